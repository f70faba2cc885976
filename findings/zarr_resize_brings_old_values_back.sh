#!/usr/bin/env bash
# A zarr array that is made shorter and longer again shows some of its old values.
# Versions: zarr 3.1.6, h5py 3.16.0, numpy 2.4.6.
# Expected (a first guess): the rows that were cut off are gone, and new rows hold the fill value,
# as in HDF5.
# Seen: of 10 rows in chunks of 8, cut to 4 and back to 10, rows 4 to 7 are the old ones and only 8
# and 9 are new. What is cut inside a chunk stays in it. A file of features that is shortened for a
# new, smaller set and then grows holds features of the old set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  zarr==3.1.6 h5py==3.16.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import h5py
import numpy as np
import zarr

values = np.arange(10, dtype=np.float32)
array = zarr.create_array(
    store=zarr.storage.MemoryStore(), shape=(10,), chunks=(8,), dtype="float32", fill_value=-1)
array[:] = values
array.resize((4,))
array.resize((10,))
with h5py.File("x", "w", driver="core", backing_store=False) as file:
    other = file.create_dataset("x", data=values, chunks=(8,), maxshape=(None,), fillvalue=-1)
    other.resize((4,))
    other.resize((10,))
    hdf = other[:].tolist()
print("zarr", array[:].tolist(), "HDF5", hdf)
assert array[:].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, -1, -1]
assert hdf == [0, 1, 2, 3] + [-1] * 6
PYTHON
