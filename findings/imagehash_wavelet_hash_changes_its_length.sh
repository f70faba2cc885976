#!/usr/bin/env bash
# A wavelet hash of 8 x 8 bits by ImageHash has 14 x 14 bits with db4.
# Versions: ImageHash 4.3.2, PyWavelets 1.9.0, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): whash(image, hash_size=8, mode="db4"), the other wavelet of its
# description, has 64 bits as with the Haar wavelet.
# Seen: it has 196. A longer wavelet reaches over the border of the image, and PyWavelets adds
# coefficients for it at each level; the hash keeps them all. Two of three bits are about the image
# mirrored at its border, and a threshold of, say, 10 bits for a duplicate means another one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  ImageHash==4.3.2 PyWavelets==1.9.0 Pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import imagehash
import numpy as np
from PIL import Image

rng = np.random.default_rng(0)


def bits(mode, side, hash_size=8):
    image = Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8))
    code = imagehash.whash(image, hash_size=hash_size, mode=mode)
    print(f"{mode}, image of {side} x {side}, hash_size={hash_size}: {code.hash.shape} bits")
    return code.hash.size


for side in (64, 256):
    assert bits("haar", side) == 64 and bits("db4", side) == 196
assert bits("haar", 64, 4) == 16 and bits("db4", 64, 4) == 100
PYTHON
