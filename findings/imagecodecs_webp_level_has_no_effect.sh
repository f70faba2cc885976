#!/usr/bin/env bash
# imagecodecs writes the same WebP for level 0 and level 100, and its JPEG XL loses at level 100.
# Versions: imagecodecs 2026.3.6, numpy 2.4.6.
# Expected (a first guess): level is the quality, from 0 to 100, as for its JPEG and AVIF: 0 gives a
# small, poor file, and 100 is the nearest to the image; without a level there is some usual quality
# below 100.
# Seen: WebP is lossless unless lossless=False is said as well; the level changes not a byte. JPEG
# XL is lossless without a level and lossy with level=100, by up to three grey levels here: the
# highest level in the range is worse than none.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  imagecodecs==2026.3.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import imagecodecs
import numpy as np

image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def loss(read, data):
    return int(np.abs(read(data)[..., :3].astype(int) - image).max())


webp = {level: imagecodecs.webp_encode(image, level=level) for level in (0, 50, 100)}
lossy = imagecodecs.webp_encode(image, level=50, lossless=False)
jxl = {level: imagecodecs.jpegxl_encode(image, level=level) for level in (None, 100)}
losses = {level: loss(imagecodecs.jpegxl_decode, data) for level, data in jxl.items()}
print("WebP bytes by level:", {level: len(data) for level, data in webp.items()},
      f"level 50 and lossless=False {len(lossy)}; JPEG XL, largest error by level: {losses}")
assert len(set(webp.values())) == 1 and loss(imagecodecs.webp_decode, webp[0]) == 0
assert len(lossy) < len(webp[0]) and losses[None] == 0 < losses[100]
PYTHON
