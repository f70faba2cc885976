#!/usr/bin/env bash
# networkx and scikit-network give one clustering of one graph two modularities.
# Versions: scikit-network 0.33.5, networkx 3.6.1, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the same number: modularity has one formula, and both take the same
# matrix of weights.
# Seen: -0.01 and 0.06. They agree on a graph without loops; a row's similarity to itself counts
# once in scikit-network and twice in networkx: with half the loops networkx gives
# scikit-network's number. A matrix of similarities, and a kNN graph that holds each row as its
# own neighbour, has such loops.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-network==0.33.5 networkx==3.6.1 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import networkx as nx
import numpy as np
from scipy.sparse import csr_matrix
from sknetwork.clustering import get_modularity

draw = np.random.default_rng(0)
weights = draw.random((8, 8))
weights += weights.T
np.fill_diagonal(weights, 1)
weights[weights < 0.8] = 0
clusters = np.array([0, 0, 0, 0, 1, 1, 1, 1])
loops = np.diag(np.diag(weights))


def by_networkx(matrix):
    graph = nx.from_numpy_array(matrix)
    return nx.community.modularity(graph, [set(range(4)), set(range(4, 8))])


def by_sknetwork(matrix):
    return float(get_modularity(csr_matrix(matrix), clusters))


both = by_sknetwork(weights), by_networkx(weights)
bare = by_sknetwork(weights - loops), by_networkx(weights - loops)
half = by_networkx(weights - loops / 2)
print(f"scikit-network and networkx: {both[0]:.3f} and {both[1]:.3f}; without loops {bare[0]:.3f} "
      f"and {bare[1]:.3f}; networkx with half the loops {half:.3f}")
assert abs(both[0] - both[1]) > 0.05 and abs(bare[0] - bare[1]) < 1e-9
assert abs(half - both[0]) < 1e-9
PYTHON
