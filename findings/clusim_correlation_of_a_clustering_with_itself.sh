#!/usr/bin/env bash
# The Pearson correlation of a clustering with itself is 0.000009 by clusim.
# Versions: clusim 0.4, networkx 3.6.1, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the correlation of two tables that say for each pair of rows whether
# they share a cluster: 1 for equal clusterings, and independent of the number of rows.
# Seen: the root is missing under the fraction, so it shrinks with the square of the number of
# pairs. It keeps its sign, says nothing about strength, and cannot be compared between sets of
# other sizes; the documentation gives this formula and a range of -1 to 1. numpy's corrcoef of
# the pairs is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  clusim==0.4 networkx==3.6.1 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from clusim.clustering import Clustering
from clusim.sim import pearson_correlation

seen = []
for rows in (40, 400):
    classes = np.arange(rows) % 4
    other = np.where(np.arange(rows) < rows // 4, 0, classes)
    for name, labels in (("itself", classes), ("another", other)):
        pairs = np.triu_indices(rows, 1)
        same = [(v[:, None] == v)[pairs] for v in (classes, labels)]
        known = np.corrcoef(*same)[0, 1]
        tables = [Clustering().from_membership_list(v.tolist()) for v in (classes, labels)]
        value = pearson_correlation(*tables)
        print(f"{rows} rows, with {name}: clusim {value:.2g}, numpy {known:.2f}")
        root = np.sqrt(np.prod([float(v.sum()) * (~v).sum() for v in same]))
        assert np.isclose(value * root, known)
        seen.append((value, known))
assert seen[0][0] < 1e-4 and np.isclose(seen[0][1], 1) and seen[0][0] > 5000 * seen[2][0]
PYTHON
