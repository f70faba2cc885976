#!/usr/bin/env bash
# The "l2" distance of nmslib is squared in its HNSW index, and not by brute force.
# Versions: nmslib 2.1.2, numpy 2.4.6.
# Expected (a first guess): one space, one distance: the rows (0, 0) and (3, 4) are 5 apart in each
# index of the space "l2", and so they are by the same index's getDistance().
# Seen: a query of brute_force and of sw-graph says 5, one of hnsw says 25, with an index whose own
# getDistance() says 5. The order of the neighbours is right; a threshold on the distance, a weight
# by it or a comparison with the exact search is not. HNSW says 5 too if its index was made with
# skip_optimized_index=1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  nmslib==2.1.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import nmslib
import numpy as np

rows = np.array([[0, 0], [3, 4], [6, 8]], dtype=np.float32)
true = np.linalg.norm(rows - rows[0], axis=1)


def distances(method, **parameters):
    index = nmslib.init(method=method, space="l2")
    index.addDataPointBatch(rows)
    index.createIndex(parameters)
    names, found = index.knnQuery(rows[0], k=3)
    print(f"{method} {parameters}: rows {names.tolist()} at {found.tolist()}, "
          f"getDistance(0, 1) = {index.getDistance(0, 1)}")
    assert names.tolist() == [0, 1, 2] and index.getDistance(0, 1) == 5
    return found


print("by numpy:", true.tolist())
assert np.allclose(distances("brute_force"), true)
assert np.allclose(distances("sw-graph"), true)
assert np.allclose(distances("hnsw"), true ** 2)
assert np.allclose(distances("hnsw", skip_optimized_index=1), true)
PYTHON
