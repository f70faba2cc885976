#!/usr/bin/env bash
# rotate(image, 30) of imutils turns an image to the left, and rotate_bound(image, 30) to the right.
# Versions: imutils 0.5.4, opencv-python-headless 5.0.0.93, numpy 2.4.6.
# Expected (a first guess): both turn to the same side; rotate_bound only makes the image larger, so
# that no corner is cut off.
# Seen: a mark on the right goes up by rotate and down by rotate_bound. It negates the angle before
# it gives it to OpenCV. A label that is an angle, or a pair of views with a known rotation, has the
# wrong sign after changing from one to the other.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  imutils==0.5.4 opencv-python-headless==5.0.0.93 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import imutils
import numpy as np

image = np.zeros((101, 101), np.uint8)
image[45:56, 70:90] = 255                      # a mark to the right of the middle


def angle(turned):
    rows, columns = np.nonzero(turned > 128)
    height, width = turned.shape
    return np.degrees(np.arctan2((height - 1) / 2 - rows.mean(), columns.mean() - (width - 1) / 2))


seen = {turn.__name__: angle(turn(image, 30)) for turn in (imutils.rotate, imutils.rotate_bound)}
for name, degrees in seen.items():
    print(f"{name}(image, 30) turns by {degrees:.0f} degrees, counted against the clock")
assert abs(seen["rotate"] - 30) < 2 and abs(seen["rotate_bound"] + 30) < 2
PYTHON
