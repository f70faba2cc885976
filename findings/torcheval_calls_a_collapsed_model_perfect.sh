#!/usr/bin/env bash
# torcheval's hit rate, reciprocal rank and top-2 accuracy are 1 for a model whose scores are all
# equal.
# Versions: torcheval 0.0.7, torch 2.14.1, numpy 2.4.6.
# Expected (a first guess): ties are broken by index or at random, so that ten equal scores give
# about chance: 0.1 for a hit at 1 and 0.2 for top-2.
# Seen: 1.0 each. The rank is the number of scores above the right one, so a model that scores all
# classes alike, as a collapsed encoder does, is perfect. multiclass_accuracy with k=1 says 0.1;
# with k=2 it says 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torcheval==0.0.7 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torcheval.metrics.functional import hit_rate, multiclass_accuracy, reciprocal_rank

scores, classes = torch.zeros(10, 10), torch.arange(10)
hit = hit_rate(scores, classes, k=1).mean().item()
rank = reciprocal_rank(scores, classes).mean().item()
first, second = (multiclass_accuracy(scores, classes, k=k).item() for k in (1, 2))
print(f"ten equal scores: hit at 1 {hit}, reciprocal rank {rank}, accuracy {first:.1f}, "
      f"top-2 accuracy {second}")
assert hit == rank == second == 1 and abs(first - 0.1) < 1e-6
PYTHON
