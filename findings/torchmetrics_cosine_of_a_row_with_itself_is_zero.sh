#!/usr/bin/env bash
# The matrix of cosines of a batch with itself has zeros on its diagonal, unless the batch is given
# twice.
# Versions: torchmetrics 1.9.0, torch 2.14.1.
# Expected (a first guess): pairwise_cosine_similarity(z) is pairwise_cosine_similarity(z, z), with
# ones on the diagonal.
# Seen: with one argument the diagonal is set to 0, the value of a right angle. That is right for
# distances, from which the default comes. Here a row is less like itself than like its neighbours,
# and a mean or a softmax over the matrix is another number. (zero_diagonal=False asks for ones.)
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
from torchmetrics.functional import pairwise_cosine_similarity, pairwise_euclidean_distance

z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) + 3
once, twice = pairwise_cosine_similarity(z), pairwise_cosine_similarity(z, z)
distance = pairwise_euclidean_distance(z)
print(f"diagonal with one argument {once.diagonal().tolist()}, with two "
      f"{[round(v, 3) for v in twice.diagonal().tolist()]}; "
      f"mean {once.mean():.3f}, {twice.mean():.3f}")
assert (once.diagonal() == 0).all() and torch.allclose(twice.diagonal(), torch.ones(6))
assert (distance.diagonal() == 0).all()
asked = pairwise_cosine_similarity(z, zero_diagonal=False)
assert torch.allclose(asked, twice)
PYTHON
