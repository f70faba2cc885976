#!/usr/bin/env bash
# torchmetrics' dunn_index is not the Dunn index of the textbooks.
# Versions: torchmetrics 1.9.0, torch 2.14.1.
# Expected (a first guess): the smallest distance between points of two clusters over the largest
# distance within one: 6/4 for points 0, 4 | 10, 14.
# Seen: distances are those of the centroids and of points to their centroid: 10/2 = 5. Values of
# other packages and papers cannot be compared with it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 torchmetrics==1.9.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torchmetrics.functional.clustering import dunn_index

points, clusters = torch.tensor([[0.0], [4.0], [10.0], [14.0]]), torch.tensor([0, 0, 1, 1])
seen = float(dunn_index(points, clusters))
distances = torch.cdist(points, points)
same = clusters[:, None] == clusters
classical = float(distances[~same].min() / distances[same].max())
print(f"torchmetrics {seen:.2f}, by the definition {classical:.2f}")
assert classical == 1.5 and abs(seen - 5) < 1e-6
PYTHON
