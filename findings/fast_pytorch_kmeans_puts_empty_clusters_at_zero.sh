#!/usr/bin/env bash
# In fast-pytorch-kmeans a cluster that loses its rows moves to the origin and stays there.
# Versions: fast-pytorch-kmeans 0.2.2, torch 2.14.1.
# Expected (a first guess): an empty cluster keeps its centre or is started again on a row.
# Seen: its centre becomes (0, 0): of 20 runs on rows far from the origin with more clusters than
# there are groups, about half end with such a centre, so K is silently smaller.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 fast-pytorch-kmeans==0.2.2 psutil==7.2.2
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from fast_pytorch_kmeans import KMeans

dead = 0
for seed in range(20):
    torch.manual_seed(seed)
    rows = torch.cat([0.1 * torch.randn(30, 2) + 20, 0.1 * torch.randn(30, 2) + 30])
    kmeans = KMeans(n_clusters=12, mode="euclidean")
    labels = kmeans.fit_predict(rows)
    at_zero = (kmeans.centroids == 0).all(dim=1)
    assert not at_zero[labels].any()  # no row belongs to it
    dead += bool(at_zero.any())
print(f"{dead} of 20 runs have a centre at the origin; the rows are at 20 and 30")
assert dead >= 1
PYTHON
