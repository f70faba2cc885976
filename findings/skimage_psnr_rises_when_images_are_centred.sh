#!/usr/bin/env bash
# scikit-image's PSNR of two float images rises by 6 dB when 0.5 is taken from both.
# Versions: scikit-image 0.26.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the range of the values is measured, or an error asks for it, as
# structural_similarity does for floats; the difference of the images is the same.
# Seen: without data_range the range is 1 where no value of the first image is negative and 2
# otherwise. Centred images get 6.02 dB for nothing. Floats from 0 to 255 are an error. Give
# data_range.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from skimage.metrics import peak_signal_noise_ratio as psnr
from skimage.metrics import structural_similarity

draw = np.random.default_rng(0)
image = draw.random((16, 16))
noisy = image + draw.normal(0, 0.1, (16, 16))
plain, centred = psnr(image, noisy), psnr(image - 0.5, noisy - 0.5)
told = psnr(image - 0.5, noisy - 0.5, data_range=1)


def error_of(function, *images):
    try:
        function(*images)
    except ValueError:
        return "ValueError"
    return "no error"


errors = error_of(structural_similarity, image, noisy), error_of(psnr, 255 * image, 255 * noisy)
print(f"PSNR {plain:.2f}, centred {centred:.2f}, with data_range=1 {told:.2f}; SSIM and PSNR of "
      f"0 to 255: {errors}")
assert abs(centred - plain - 20 * np.log10(2)) < 1e-9 and abs(told - plain) < 1e-9
assert errors == ("ValueError", "ValueError")
PYTHON
