#!/usr/bin/env bash
# faiss leaves rows that lie exactly at the threshold out of a range search.
# Versions: faiss-cpu 1.15.1, scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): "all elements within this radius", as its text says, has the row at a
# distance of 1 in a search within 1, and an equal row in a search within 0, as scikit-learn's
# radius_neighbors has.
# Seen: the comparison is strict. Within 1 of the row 0 there is only the row itself, and within 0
# not even that, so a search for exact duplicates finds none. For inner products a threshold of 1
# leaves out equal unit rows. The C++ header says "distance < radius"; the text in Python does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  faiss-cpu==1.15.1 scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import faiss
import numpy as np
from sklearn.neighbors import NearestNeighbors

rows = np.float32([[0], [0], [1], [2]])
index = faiss.IndexFlatL2(1)
index.add(rows)
seen = [sorted(index.range_search(rows[:1], radius)[2].tolist()) for radius in (0.0, 1.0)]
other = NearestNeighbors().fit(rows)
expected = [sorted(other.radius_neighbors(rows[:1], radius)[1][0].tolist()) for radius in (0, 1)]
unit = faiss.IndexFlatIP(2)
unit.add(np.float32([[1, 0], [1, 0], [0, 1]]))
cosines = unit.range_search(np.float32([[1, 0]]), 1.0)[2].tolist()
print(f"within 0 and within 1: faiss {seen}, scikit-learn {expected}; "
      f"inner product of at least 1: {cosines}")
assert seen == [[], [0, 1]] and expected == [[0, 1], [0, 1, 2]] and cosines == []
PYTHON
