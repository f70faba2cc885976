#!/usr/bin/env bash
# tifffile returns one image of a file to which three were appended.
# Versions: tifffile 2026.3.3, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): imwrite(path, image, append=True), once for each of three images, then
# imread(path): an array of the shape (3, 8, 9), as for a stack that was written at once.
# Seen: the first image alone, of the shape (8, 9). Each call starts a series of its own, and imread
# returns the first series. Pillow counts three frames. With metadata=None in each imwrite all three
# are read. So a file of crops or frames that grows during a run loads as one image.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  tifffile==2026.3.3 pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

images = np.random.default_rng(0).integers(0, 256, (3, 8, 9), dtype=np.uint8)


def read(name, **options):
    path = Path(sys.prefix) / f"{name}.tif"
    for image in images:
        tifffile.imwrite(path, image, append=True, **options)
    array, series = tifffile.imread(path), len(tifffile.TiffFile(path).series)
    print(f"{name}: imread gives {array.shape}, {series} series, "
          f"{Image.open(path).n_frames} frames by Pillow")
    return array


appended, plain = read("appended"), read("without metadata", metadata=None)
at_once = Path(sys.prefix) / "at once.tif"
tifffile.imwrite(at_once, images)
print("written at once:", tifffile.imread(at_once).shape)
assert np.array_equal(appended, images[0])
assert np.array_equal(plain, images) and np.array_equal(tifffile.imread(at_once), images)
PYTHON
