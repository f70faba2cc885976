#!/usr/bin/env bash
# The resize of transformers rounds a float image to 256 levels.
# Versions: transformers 5.24.0, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): floats in, floats out: a float32 image in [0, 1] is averaged in float.
# Seen: it goes through bytes: each number that comes out is a whole number of 255ths, though its
# dtype is float32. A dim image, of values up to 0.01, keeps three levels at most. Resize first and
# divide by 255 later.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  transformers==5.24.0 Pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from transformers.image_transforms import resize

image = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
small, dim = resize(image, (8, 8)), resize(image * np.float32(0.01), (8, 8))
off = float(np.abs(small * 255 - np.round(small * 255)).max())
levels = len(np.unique(dim))
print(f"{small.dtype}, at most {off:.1e} from a whole 255th; a dim image has {levels} levels "
      f"of {len(np.unique(image))} values")
assert small.dtype == np.float32 and off < 1e-4 and levels <= 4
PYTHON
