#!/usr/bin/env bash
# piq's PSNR of an image with itself is 80 dB.
# Versions: piq 0.8.0, scikit-image 0.26.0, torch 2.14.1.
# Expected (a first guess): infinity, as in scikit-image and by the definition its text points to.
# Seen: 80. A constant of 1e-8 is added to the mean squared error, so no pair is better: an error of
# a hundred thousandth of the range, which is 100 dB, is 80 as well. A lossless copy among near
# copies lowers a mean, and equals none of them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 \
  piq==0.8.0 torchvision==0.29.1 scikit-image==0.26.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import piq
import torch
from skimage.metrics import peak_signal_noise_ratio

image = 0.9 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
near = image + 1e-5
seen = [float(piq.psnr(image, other)) for other in (image, near)]
base = image.double().numpy()
same, other = (float(peak_signal_noise_ratio(base, base + step, data_range=1.0))
               for step in (0, 1e-5))
print(f"piq: equal {seen[0]:.2f}, 1e-5 off {seen[1]:.2f}; scikit-image: {same}, {other:.2f}")
assert abs(seen[0] - 80) < 1e-3 and 79.9 < seen[1] < 80 and same == float("inf")
assert abs(other - 100) < 1e-6
PYTHON
