#!/usr/bin/env bash
# An image with alpha, saved by Pillow as lossless WebP, does not come back as it was.
# Versions: Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): lossless=True returns every byte, as PNG does.
# Seen: where alpha is 0 the colours have changed. convert("RGB"), which loaders of image folders
# call, drops alpha and shows the changed ones. exact=True keeps the colours.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import io

import numpy as np
from PIL import Image

pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4)).astype(np.uint8)
pixels[:8, :, 3] = 0
image = Image.fromarray(pixels)


def changed(**options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    back = np.asarray(Image.open(buffer).convert("RGB"))
    return float((back != pixels[..., :3]).any(-1).mean())


usual = changed(format="WEBP", lossless=True)
exact = changed(format="WEBP", lossless=True, exact=True)
png = changed(format="PNG")
print(f"pixels with another colour: lossless WebP {usual:.0%}, with exact=True {exact:.0%}, "
      f"PNG {png:.0%}")
assert usual > 0.45 and exact == png == 0
PYTHON
