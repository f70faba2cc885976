#!/usr/bin/env bash
# A usearch index of float32 rows does not know 1000 from 1001, unless a dtype is given.
# Versions: usearch 2.26.6, numpy 2.4.6.
# Expected (a first guess): Index(ndim=2) keeps the float32 rows that it is given, so index.get()
# returns them, and the row nearest to 1001 is 1001.
# Seen: without a dtype the index keeps bfloat16, eight significant bits: 1000, 1001 and 1003 come
# back as 1000, 1000 and 1004, and the row 1000 is at distance 0 from a query of 1001. The ten
# nearest of 100 close rows by cosine are not the ten nearest. The function search() of the same
# module does not round, and dtype="f32" gives the guess.
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
from usearch.index import Index, search

rows = np.float32([[1003, 0], [1000, 0], [1001, 0]])
query = np.float32([1001, 0])
rng = np.random.default_rng(0)
centre = rng.standard_normal(64).astype(np.float32)
close = centre + 0.02 * rng.standard_normal((100, 64)).astype(np.float32)
truth = np.argsort(-(close @ centre) / np.linalg.norm(close, axis=1))[:10]


def look(**dtype):
    index = Index(ndim=2, metric="l2sq", **dtype)
    index.add(np.arange(3), rows)
    found = index.search(query, 3)
    stored = [float(index[key][0]) for key in range(3)]
    cosines = Index(ndim=64, metric="cos", **dtype)
    cosines.add(np.arange(100), close)
    right = len(np.intersect1d(cosines.search(centre, 10, exact=True).keys, truth))
    print(f"{index.dtype}: stored {stored}, distances from 1001 "
          f"{dict(zip(found.keys.tolist(), found.distances.tolist()))}, {right} of 10 right")
    return stored, dict(zip(found.keys.tolist(), found.distances.tolist())), right


plain, full = look(), look(dtype="f32")
function = search(rows, query, 3, "l2sq", exact=True)
print("search():", function.keys.tolist(), function.distances.tolist())
assert plain[0] == [1004, 1000, 1000] and plain[1][1] == plain[1][2] == 0 and plain[2] < 10
assert full[0] == [1003, 1000, 1001] and full[1] == {2: 0, 1: 1, 0: 4} and full[2] == 10
assert function.distances.tolist() == [0, 1, 4]
PYTHON
