#!/usr/bin/env bash
# lightly's knn_predict weighs neighbours by raw dot products, so larger features all get class 0.
# Versions: lightly 1.6.0, torch 2.14.1.
# Expected (a first guess): a kNN by cosine similarity at temperature 0.1 normalises what it is
# given, so the scale of the features does not matter.
# Seen: the exponential of the dot product overflows: of ten well separated classes, all rows
# scaled by 5 get class 0 (accuracy 0.10); normalised first, 1.00.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 lightly==1.6.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from lightly.utils.benchmarking import knn_predict

torch.manual_seed(0)
labels = torch.arange(100) % 10
rows = torch.randn(10, 16)[labels] + 0.3 * torch.randn(100, 16)


def accuracy(features):
    ranked = knn_predict(features, features.T, labels, num_classes=10, knn_k=20, knn_t=0.1)
    return float((ranked[:, 0] == labels).float().mean())


given, unit = accuracy(5 * rows), accuracy(torch.nn.functional.normalize(rows, dim=1))
print(f"as given {given:.2f}, normalised first {unit:.2f}")
assert given < 0.15 and unit > 0.95
PYTHON
