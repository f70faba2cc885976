#!/usr/bin/env bash
# In TensorStore the fourth row of a slice is not slice[3].
# Versions: tensorstore 0.1.86, numpy 2.4.6.
# Expected (a first guess): as in NumPy, h5py and zarr: rows[2:8] has rows 0 to 5, and [3] is the
# row that was 5.
# Seen: a slice keeps the numbers of its source: rows[2:8][3] is row 3, the second of the slice. The
# same view given to np.array is counted from 0 again, so one line is a row and the next another.
# view[ts.d[0].translate_to[0]] gives the guess. The text of `domain` has an example of it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  tensorstore==0.1.86 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import tensorstore as ts

rows = ts.array(np.arange(10))
view = rows[2:8]
seen, copied = int(view[3].read().result()), int(np.array(view)[3])
moved = int(view[ts.d[0].translate_to[0]][3].read().result())
print(f"rows[2:8][3] is {seen}, of its copy in NumPy {copied}, of the moved view {moved}")
assert (seen, copied, moved) == (3, 5, 5)
PYTHON
