#!/usr/bin/env bash
# OpenCV's min(image, 200) turns green and red black; add(image, 10) brightens all channels.
# Versions: opencv-python-headless 5.0.0.93, numpy 2.4.6.
# Expected (a first guess): a number stands for all channels: min(image, 200) caps the image at
# 200, as add, subtract, absdiff and multiply take a number, and as NumPy has it.
# Seen: for min, max and the bitwise operations the number is for the first channel, and the
# others get 0. The tuple (200, 200, 200) gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  opencv-python-headless==5.0.0.93 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import cv2
import numpy as np

image = np.random.default_rng(0).integers(1, 240, (8, 8, 3)).astype(np.uint8)
added, capped = cv2.add(image, 10), cv2.min(image, 200)
by_tuple = cv2.min(image, (200, 200, 200))
means = [capped[..., channel].mean().round(1).item() for channel in range(3)]
print("channel means after min(image, 200):", means,
      "and by NumPy:", np.minimum(image, 200).mean((0, 1)).round(1).tolist())
assert (added == image + 10).all() and (by_tuple == np.minimum(image, 200)).all()
assert (capped[..., 0] == np.minimum(image[..., 0], 200)).all() and not capped[..., 1:].any()
raised = cv2.max(image, 100)
assert raised[..., 0].min() >= 100 and (raised[..., 1:] == image[..., 1:]).all()
PYTHON
