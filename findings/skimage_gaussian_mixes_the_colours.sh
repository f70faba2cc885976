#!/usr/bin/env bash
# scikit-image's gaussian filter blurs a colour image across its channels too.
# Versions: scikit-image 0.26.0, scipy 1.17.1, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): each channel is blurred by itself, as Pillow, OpenCV, torchvision and
# kornia do: an image that is pure red all over stays as it is.
# Seen: with a sigma of 1 it comes out as (0.70, 0.30, 0.06). Red runs over into green and blue,
# which lie next to it in the array. channel_axis=-1 keeps the colours apart.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-image==0.26.0 scipy==1.17.1 pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from PIL import Image, ImageFilter
from skimage.filters import gaussian

red = np.zeros((32, 32, 3), dtype=np.uint8)
red[..., 0] = 255
usual = gaussian(red, sigma=1)[16, 16].round(2).tolist()
apart = gaussian(red, sigma=1, channel_axis=-1)[16, 16].round(2).tolist()
pillow = np.asarray(Image.fromarray(red).filter(ImageFilter.GaussianBlur(1)))[16, 16].tolist()
print(f"red becomes {usual}, with channel_axis=-1 {apart}, in Pillow {pillow}")
assert usual == [0.7, 0.3, 0.06] and apart == [1, 0, 0] and pillow == [255, 0, 0]
PYTHON
