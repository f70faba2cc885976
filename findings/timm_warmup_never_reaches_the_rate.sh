#!/usr/bin/env bash
# timm's cosine schedule with a warm-up never reaches the learning rate of the optimiser.
# Versions: timm 1.0.31, torch 2.14.1.
# Expected (a first guess): three epochs up to the rate, then the cosine down from it.
# Seen: the cosine has been running since epoch 0, so after the warm-up the rate is 0.79 of the
# one asked for (t_initial = 10, warmup_t = 3). warmup_prefix=True gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 timm==1.0.31
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from timm.scheduler import CosineLRScheduler


def rates(**options):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = CosineLRScheduler(optimiser, t_initial=10, warmup_t=3, warmup_lr_init=0.1, **options)
    found = [optimiser.param_groups[0]["lr"]]
    for epoch in range(1, 10):
        schedule.step(epoch)
        found.append(optimiser.param_groups[0]["lr"])
    return found


usual, prefix = rates(), rates(warmup_prefix=True)
print("largest rate:", round(max(usual), 3), "and with warmup_prefix:", round(max(prefix), 3))
assert 0.75 < max(usual) < 0.85 and max(prefix) == 1.0
PYTHON
