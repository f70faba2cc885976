#!/usr/bin/env bash
# h5py and zarr store different bytes for the same numbers: 256 is 255 in one and 0 in the other.
# Versions: h5py 3.16.0, zarr 3.1.6, numpy 2.4.6.
# Expected (a first guess): numbers assigned to a uint8 data set are cast as NumPy casts them, so
# that writing an array and casting it first give one file in both formats.
# Seen: zarr casts as NumPy's astype does, modulo 256. In h5py the HDF5 library converts, and it
# clips: below 0 is 0, above 255 is 255. An overshooting image ends with white spots in one file and
# with black ones in the other, and -1, the label of noise, is class 255 in one and class 0, a real
# one, in the other. Neither warns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  h5py==3.16.0 zarr==3.1.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os
import tempfile

import h5py
import numpy as np
import zarr

place = tempfile.mkdtemp()
numbers = np.array([-1, 0, 255, 256, 300])
with h5py.File(os.path.join(place, "a.h5"), "w") as file:
    data = file.create_dataset("x", numbers.shape, "uint8")
    data[:] = numbers
    by_h5py = data[:]
array = zarr.create_array(os.path.join(place, "a.zarr"), shape=numbers.shape, dtype="uint8")
array[:] = numbers
by_zarr = array[:]
print(f"numbers {numbers.tolist()}: astype {numbers.astype(np.uint8).tolist()}, "
      f"h5py {by_h5py.tolist()}, zarr {by_zarr.tolist()}")
assert (by_h5py == numbers.clip(0, 255)).all() and (by_zarr == numbers.astype(np.uint8)).all()
assert (by_h5py != by_zarr).sum() == 3
PYTHON
