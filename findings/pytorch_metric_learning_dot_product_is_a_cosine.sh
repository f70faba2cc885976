#!/usr/bin/env bash
# The dot product of (3, 4) with itself is 1 by pytorch-metric-learning's DotProductSimilarity.
# Versions: pytorch-metric-learning 2.9.0, torch 2.14.1.
# Expected (a first guess): DotProductSimilarity() gives 25, and CosineSimilarity(), beside it, 1.
# LpDistance() of (3, 4) and (6, 8) is 5.
# Seen: both similarities give 1, and the distance is 0: the base class normalises by default.
# A loss with DotProductSimilarity() is the same for rows three times as long.
# normalize_embeddings=False gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pytorch-metric-learning==2.9.0 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from pytorch_metric_learning.distances import CosineSimilarity, DotProductSimilarity, LpDistance
from pytorch_metric_learning.losses import NTXentLoss

row = torch.tensor([[3.0, 4.0]])
dot, cosine = DotProductSimilarity()(row).item(), CosineSimilarity()(row).item()
length, plain = LpDistance()(row, 2 * row).item(), LpDistance(normalize_embeddings=False)
raw = DotProductSimilarity(normalize_embeddings=False)(row).item()
torch.manual_seed(0)
rows, labels = torch.randn(8, 4), torch.arange(8) % 4
losses = [NTXentLoss(distance=DotProductSimilarity(**options))(scale * rows, labels).item()
          for options in ({}, {"normalize_embeddings": False}) for scale in (1, 3)]
print("dot product:", dot, "cosine:", cosine, "without normalising:", raw)
print("distance to twice the row:", length, "without normalising:", plain(row, 2 * row).item())
print("NTXentLoss of rows, and of three times the rows:", losses[:2], "without:", losses[2:])
assert abs(dot - 1) < 1e-6 and abs(cosine - 1) < 1e-6 and raw == 25
assert abs(length) < 1e-3 and abs(plain(row, 2 * row).item() - 5) < 1e-4
assert abs(losses[0] - losses[1]) < 1e-4 and abs(losses[2] - losses[3]) > 0.1
PYTHON
