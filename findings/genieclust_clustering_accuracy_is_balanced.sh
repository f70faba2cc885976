#!/usr/bin/env bash
# genieclust's normalized_clustering_accuracy is not the cluster accuracy of this field, rescaled:
# where classes differ in size it lies far above or far below it.
# Versions: genieclust 1.3.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the share of rows that are right under the best one-to-one map from
# clusters to classes (Hungarian method), perhaps rescaled from [1/K, 1] to [0, 1].
# Seen: it averages over classes before it rescales, so a small class weighs as much as a large one.
# For classes of 60, 20 and 20 rows, of which the large one is cut in two, cluster accuracy is 0.70
# and rescales to 0.55, which is normalized_pivoted_accuracy; normalized_clustering_accuracy is
# 0.75.
# For classes of 90, 5 and 5 rows with most of the small ones in the large cluster, cluster accuracy
# is 0.92, and normalized_clustering_accuracy 0.20.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  genieclust==1.3.0 numpy==2.4.6 scipy==1.17.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from genieclust import compare_partitions as compare
from scipy.optimize import linear_sum_assignment



def accuracy(classes, clusters):
    table = np.zeros((3, 3))
    np.add.at(table, (classes, clusters), 1)
    return table[linear_sum_assignment(-table)].sum() / len(classes)


cases = {
    "cut in two": (np.repeat([0, 1, 2], [60, 20, 20]), np.repeat([0, 1, 1, 2], [30, 30, 20, 20])),
    "swallowed": (np.repeat([0, 1, 2], [90, 5, 5]), np.repeat([0, 1, 0, 2], [94, 1, 4, 1])),
}
found = {}
for name, both in cases.items():
    ours = accuracy(*both)
    found[name] = ours, compare.normalized_clustering_accuracy(*both)
    print(f"{name}: cluster accuracy {ours:.2f}, rescaled {(ours - 1 / 3) * 1.5:.2f}, normalized "
          f"clustering accuracy {found[name][1]:.2f}, "
          f"normalized pivoted accuracy {compare.normalized_pivoted_accuracy(*both):.2f}")
assert np.allclose(found["cut in two"], (0.70, 0.75))
assert np.allclose(found["swallowed"], (0.92, 0.20))
PYTHON
