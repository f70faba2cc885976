#!/usr/bin/env bash
# timm's Mixup and RandomErasing write into the batch that they are given.
# Versions: timm 1.0.31, torchvision 0.29.1, torch 2.14.1.
# Expected (a first guess): they return a new batch, as the transforms of torchvision do, which have
# an option for the other.
# Seen: the returned tensor is the one that was handed in. Two views by two calls on one batch are
# one tensor, mixed twice, so their distance is 0; and a batch that is kept for a plot or a second
# loss is no longer the data.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 \
  timm==1.0.31 torchvision==0.29.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import torch
from timm.data import Mixup
from timm.data.random_erasing import RandomErasing

batch = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
kept, labels = batch.clone(), torch.arange(4)
np.random.seed(0)
mixup = Mixup(mixup_alpha=1.0, num_classes=4)
one, two = mixup(batch, labels)[0], mixup(batch, labels)[0]
moved, apart = float((batch - kept).abs().max()), float((one - two).abs().max())
images = kept.clone()
RandomErasing(probability=1.0, device="cpu")(images)
erased = float((images - kept).abs().max())
print(f"the batch moved by {moved:.2f} and two views of it are {apart:.2f} apart; "
      f"erasing moved it by {erased:.2f}")
assert moved > 0.1 and apart == 0 and erased > 0.1
PYTHON
