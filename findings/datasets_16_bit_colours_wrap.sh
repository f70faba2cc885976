#!/usr/bin/env bash
# The datasets library keeps the lower byte of a colour image of 16 bits: 256 becomes black.
# Versions: datasets 5.2.0, pyarrow 26.0.1, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): an Image column holds a uint16 array of rows, columns and colours, or
# scales it to bytes, or refuses it, as it refuses one of floats.
# Seen: a smooth ramp from 0 to 65535 comes back as 256 ramps from 0 to 255. It is cast to uint8,
# which keeps the remainder by 256; the warning speaks of downcasting. A grey uint16 image comes
# back as it was. int64, as from a NumPy computation, is cast so too: 300 is 44 and -1 is 255.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  datasets==5.2.0 pyarrow==26.0.1 pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
from datasets import Dataset, Features, Image

ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
colours = np.stack([ramp] * 3, 2)


def stored(array):
    rows = Dataset.from_dict({"image": [array]}, features=Features({"image": Image()}))
    return np.asarray(rows[0]["image"])


grey, colour = stored(ramp), stored(colours)
signed = stored(np.array([300, -1, 255] * 4).reshape(2, 2, 3))
correlation = np.corrcoef(ramp.ravel(), colour[..., 0].ravel())[0, 1]
print(f"grey: {grey.dtype}, equal: {np.array_equal(grey, ramp)}")
print(f"colour: {colour.dtype}, remainder by 256: {np.array_equal(colour, colours % 256)}, "
      f"correlation with the image {correlation:.2f}")
print("300, -1 and 255 of int64:", signed[0, 0].tolist())
assert grey.dtype == np.uint16 and np.array_equal(grey, ramp)
assert colour.dtype == np.uint8 and np.array_equal(colour, colours % 256)
assert abs(correlation) < 0.1 and signed[0, 0].tolist() == [44, 255, 255]
PYTHON
