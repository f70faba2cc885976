#!/usr/bin/env bash
# The gaussian_blur of keras.ops.image blurs along the colours, and not the rows, on JAX.
# Versions: keras 3.15.1, jax 0.10.2, numpy 2.4.6, scipy 1.17.1.
# Expected (a first guess): without data_format it takes that of the configuration, channels_last,
# as its text says, and a red point becomes a round red spot, the same with each backend.
# Seen: so it is with the NumPy backend. With JAX the spot is a row of red, green and blue: the
# rows of the image are taken for its channels, and the colours for its columns. A white image of
# three colours comes out grey. Nothing warns. With data_format="channels_last" it is right;
# RandomGaussianBlur says so itself, so the layer is right as well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  keras==3.15.1 jax==0.10.2 numpy==2.4.6 scipy==1.17.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os
import subprocess
import sys

script = """
import numpy as np
from keras import backend, config, ops

point = np.zeros((1, 17, 17, 3), "float32")
point[0, 8, 8, 0] = 1
for options in ({}, {"data_format": "channels_last"}):
    seen = np.asarray(ops.image.gaussian_blur(point, (5, 5), (1.0, 1.0), **options))[0]
    rows, columns, colours = (round(float(v), 3) for v in (
        seen[7, 8].sum(), seen[8, 7].sum(), seen[..., 1:].sum()))
    print(backend.backend(), config.image_data_format(), options, "one row up", rows,
          "one column to the left", columns, "green and blue", colours)
"""
from scipy import ndimage
import numpy as np

point = np.zeros((17, 17))
point[8, 8] = 1
right = float(ndimage.gaussian_filter(point, 1.0, radius=2)[7, 8])
print(f"scipy: one row up {right:.3f}")
lines = []
for name in ("numpy", "jax"):
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, text=True,
                         capture_output=True, env={**os.environ, "KERAS_BACKEND": name}).stdout
    print(out, end="")
    lines += [line for line in out.splitlines() if "one row up" in line]
good = f"one row up {right:.3f} one column to the left {right:.3f} green and blue 0.0"
assert all(lines[i].endswith(good) for i in (0, 1, 3)), good
rows, colours = (float(lines[2].split(key)[1].split()[0]) for key in ("row up", "and blue"))
assert rows == 0 and colours > 0.2
PYTHON
