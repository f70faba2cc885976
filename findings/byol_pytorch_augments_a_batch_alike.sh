#!/usr/bin/env bash
# byol-pytorch's own augmentations crop, flip and colour all images of a batch alike.
# Versions: byol-pytorch 0.9.1, torchvision 0.29.1, torch 2.14.1.
# Expected (a first guess): each image of the batch gets a crop, a flip and colours of its own, as
# in SimCLR, after which the default augmentation is named in the code.
# Seen: they are drawn once for the batch, for torchvision's transforms take a batch for one image.
# Six copies of an image come out equal, in 50 draws of 50; a step compares one crop with one other.
# And the model is called with noise when it is made, which moves the running statistics of the
# encoder that was handed in. An augment_fn of one's own that loops over the images gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 byol-pytorch==0.9.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import random

import torch
from byol_pytorch import BYOL
from torch import nn

random.seed(0)
torch.manual_seed(0)
encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
learner = BYOL(encoder, image_size=16, hidden_layer=-1, projection_hidden_size=32)
copies = torch.rand(1, 3, 16, 16).repeat(6, 1, 1, 1)
within, between, last = [], [], None
for _ in range(50):
    views = learner.augment1(copies)
    within.append(float((views - views[:1]).abs().max()))
    between.append(1.0 if last is None else float((views[0] - last).abs().max()))
    last = views[0]
alone = torch.cat([learner.augment1(image[None]) for image in copies])
moved = float(encoder[1].running_mean.abs().max())
print(f"six copies in a batch differ by {max(within):.3f} at most, two draws by {min(between):.2f} "
      f"at least, one at a time by {float((alone - alone[:1]).abs().max()):.2f}")
print(f"before the first step: running mean {moved:.3f}, {encoder[1].num_batches_tracked} batches")
assert max(within) < 1e-5 and min(between) > 0.1 and float((alone - alone[:1]).abs().max()) > 0.1
assert encoder[1].num_batches_tracked > 0 and moved > 0
PYTHON
