#!/usr/bin/env bash
# An index of the HNSW kind does not find a row by its own values once most rows are equal.
# Versions: faiss-cpu 1.15.1, voyager 2.2.3, numpy 2.4.6.
# Expected (a first guess): a search for a row that is in the index returns that row; equal rows
# elsewhere cost time at worst. The search may miss one row in a hundred, as it is approximate.
# Seen: of 100 rows that differ, beside 500 that are equal, none or hardly one in ten finds itself,
# in two libraries: the answer is one of the equal rows. Equal rows fill each other's lists of
# neighbours, so few paths lead out. Half a collapsed encoder, or a set with many black images,
# looks like this. The exact index of faiss finds all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  faiss-cpu==1.15.1 voyager==2.2.3 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/env/bin/python" -W ignore - <<'PYTHON'
import faiss
import numpy as np
import voyager

draw = np.random.default_rng(0)
rows = np.concatenate([np.zeros((500, 8)), draw.normal(size=(100, 8))]).astype(np.float32)
rows = rows[draw.permutation(600)]
own = np.flatnonzero(rows.any(1))
tree = voyager.Index(voyager.Space.Euclidean, 8)
tree.add_items(rows, num_threads=1)
graph, exact = faiss.IndexHNSWFlat(8, 16), faiss.IndexFlatL2(8)
graph.add(rows)
exact.add(rows)
found = {
    "faiss HNSW": graph.search(rows[own], 1)[1],
    "voyager": tree.query(rows[own], 1, num_threads=1)[0],
    "faiss exact": exact.search(rows[own], 1)[1],
}
share = {name: float((ids[:, 0] == own).mean()) for name, ids in found.items()}
print("rows that find themselves:", share)
assert share.pop("faiss exact") == 1 and max(share.values()) < 0.25
PYTHON
