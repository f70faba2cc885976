#!/usr/bin/env bash
# In python-louvain a lower resolution gives more communities, and so does a higher one.
# Versions: python-louvain 0.16, networkx 3.6.1, numpy 2.4.6.
# Expected (a first guess): the higher the resolution the more communities, as in networkx, igraph
# and leidenalg; or the other way round, for its own text calls it a time, in which communities
# grow.
# Seen: a ring of 30 cliques has about 17 communities at 1 and 30, one for each clique, at 0.25 and
# at 4; networkx has 9, 18 and 30. One formula moves the vertices, and another, in which the factor
# stands in the other term, says whether to go on; below 1 they disagree, and it stops early. A
# search for fewer clusters finds more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  python-louvain==0.16 networkx==3.6.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import community
import networkx as nx

graph, counts = nx.ring_of_cliques(30, 5), {}
for resolution in (0.1, 0.25, 0.5, 1, 2, 4):
    options = {"resolution": resolution}
    counts[resolution] = (
        len(set(community.best_partition(graph, random_state=0, **options).values())),
        len(nx.community.louvain_communities(graph, seed=0, **options)))
    print("resolution {}: python-louvain {}, networkx {}".format(resolution, *counts[resolution]))
ours, theirs = zip(*counts.values())
assert list(theirs) == sorted(theirs) and theirs[0] < 10 and theirs[-1] == 30
assert ours[3] < 20 and all(counts[r][0] == 30 for r in (0.1, 0.25, 0.5, 2, 4))
PYTHON
