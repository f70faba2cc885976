#!/usr/bin/env bash
# clusim's purity of clusters that hold one class each is 0.1.
# Versions: clusim 0.4, networkx 3.6.1, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): purity_index(found, classes) is the share of rows that belong to the
# commonest class of their cluster: 1 for pure clusters, however many, and so 1 for single rows.
# Seen: it adds up over the columns or rows of that side which has fewer groups. So where there are
# more clusters than classes it asks how much of a class lies in one cluster: 0.1 for twenty single
# rows of two classes, 0.2 for pairs, in both orders of the arguments. With equally many groups the
# order decides: (classes, found) is the purity of found, and (found, classes) is 0.95 for two
# clusters of 19 rows and one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  clusim==0.4 networkx==3.6.1 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
from collections import Counter

from clusim import sim
from clusim.clustering import Clustering

classes = [0] * 10 + [1] * 10


def purity(found):
    members = {of: [c for c, f in zip(classes, found) if f == of] for of in set(found)}
    return sum(max(Counter(each).values()) for each in members.values()) / len(found)


def library(found):
    clusters, truth = (Clustering().from_membership_list(x) for x in (found, classes))
    return sim.purity_index(clusters, truth), sim.purity_index(truth, clusters)


seen = {}
for name, found in (("single rows", list(range(20))), ("pairs", [i // 2 for i in range(20)]),
                    ("one cluster", [0] * 20), ("two clusters of 19 and 1", [0] * 19 + [1])):
    seen[name] = (*library(found), purity(found))
    print(f"{name}: {seen[name][0]:.2f}, arguments swapped {seen[name][1]:.2f}, "
          f"right {seen[name][2]:.2f}")
assert all(abs(seen["single rows"][i] - 0.1) < 1e-9 for i in (0, 1)) and seen["single rows"][2] == 1
assert all(abs(seen["pairs"][i] - 0.2) < 1e-9 for i in (0, 1)) and seen["pairs"][2] == 1
assert seen["one cluster"] == (0.5, 0.5, 0.5)
assert all(abs(a - b) < 1e-9 for a, b in zip(seen["two clusters of 19 and 1"], (0.95, 0.55, 0.55)))
PYTHON
