#!/usr/bin/env bash
# community_leiden() of igraph puts each vertex of two cliques into a community of its own.
# Versions: igraph 1.0.0.
# Expected (a first guess): two cliques of six, joined by one edge, are two communities, as
# community_multilevel() and igraph's other methods find without options.
# Seen: twelve communities of one vertex, and so for a graph of nearest neighbours, and for a
# triangle. The default is not modularity but the constant Potts model at a resolution of 1: no edge
# of weight 1, or of a cosine's weight, is worth a community. objective_function="modularity", or a
# resolution near the density of edges, gives two.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet igraph==1.0.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import random

from igraph import Graph

random.seed(0)
clique = [(i, j) for i in range(6) for j in range(i)]
cliques = Graph([*clique, *((i + 6, j + 6) for i, j in clique), (0, 6)])
points = [(random.gauss(10 * (i % 2), 1), random.gauss(0, 1)) for i in range(60)]
near = set()
for i, (x, y) in enumerate(points):
    order = sorted(range(60), key=lambda j: (points[j][0] - x) ** 2 + (points[j][1] - y) ** 2)
    near |= {(min(i, j), max(i, j)) for j in order[1:11]}
graphs = {"cliques": cliques, "neighbours": Graph(sorted(near)), "triangle": Graph.Full(3)}
for name, graph in graphs.items():
    usual, cosines = graph.community_leiden(), [random.uniform(0.5, 1) for _ in graph.es]
    weighted = graph.community_leiden(weights=cosines)
    other = graph.community_leiden(objective_function="modularity"), graph.community_multilevel()
    print(f"{name}, {graph.vcount()} vertices: {len(usual)} communities, with weights "
          f"{len(weighted)}; by modularity {len(other[0])}, multilevel {len(other[1])}")
    assert len(usual) == len(weighted) == graph.vcount()
    assert max(len(other[0]), len(other[1])) < 6
same = [0] * 6 + [1] * 6
modularity = cliques.community_leiden(objective_function="modularity").membership
assert same == modularity == cliques.community_multilevel().membership
assert same == cliques.community_leiden(resolution=cliques.density()).membership
PYTHON
