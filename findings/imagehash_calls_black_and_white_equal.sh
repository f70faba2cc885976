#!/usr/bin/env bash
# ImageHash gives a black, a white and a red image one hash.
# Versions: ImageHash 4.3.2, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): images that share no pixel are far apart, at least by the average hash,
# which is about brightness.
# Seen: the distance is 0 by average_hash, dhash, phash_simple and whash, and 1 of 64 by phash. All
# compare an image with its own mean or its neighbours, and an even image has nothing to compare. A
# search for duplicates takes all even images of a data set for one, whatever their colour.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  ImageHash==4.3.2 Pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import imagehash
from PIL import Image

images = [Image.new("RGB", (64, 64), colour) for colour in ("black", "white", (200, 30, 30))]
names = ("average_hash", "dhash", "phash_simple", "whash", "phash")
seen = {}
for name in names:
    black, white, red = (getattr(imagehash, name)(image) for image in images)
    seen[name] = (int(black - white), int(black - red))
print("distances of black to white and to red:", seen)
assert all(seen[name] == (0, 0) for name in names[:4]) and max(seen["phash"]) <= 1
PYTHON
