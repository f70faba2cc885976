#!/usr/bin/env bash
# usearch fills the places of neighbours that do not exist with key 0, a real row.
# Versions: usearch 2.26.6, numpy 2.4.6.
# Expected (a first guess): an error, fewer columns, or an impossible key such as -1, as faiss
# gives.
# Seen: a search of two queries for 5 neighbours among 3 rows returns key 0 in the last two
# columns, so labels[keys] gives row 0 two more votes. Only the counts and NaN distances tell.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  usearch==2.26.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from usearch.index import Index

rows = np.eye(4, dtype=np.float32)[:3]
index = Index(ndim=4, metric="cos", dtype="f32")
index.add(np.arange(3), rows)
found = index.search(rows[1:], 5)
print("keys", found.keys.tolist(), "distances", found.distances.tolist(),
      "counts", found.counts.tolist())
assert found.keys.shape == (2, 5) and (found.keys[:, 3:] == 0).all()
assert found.counts.tolist() == [3, 3]
PYTHON
