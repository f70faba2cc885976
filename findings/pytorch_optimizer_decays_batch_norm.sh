#!/usr/bin/env bash
# pytorch_optimizer keeps LayerNorm out of weight decay, and decays BatchNorm and GroupNorm.
# Versions: pytorch_optimizer 4.1.0, torch 2.14.1.
# Expected (a first guess): create_optimizer(model, "adamw", weight_decay=0.1) decays weights, and
# no scale or shift of any normalisation: its list of exclusions has biases and LayerNorm.
# Seen: the list is that, and no more. The scales of BatchNorm, GroupNorm and RMSNorm are decayed,
# those of LayerNorm and all shifts are not, so a comparison of the layers compares two recipes as
# well. Nothing warns. A wd_ban_list with "BatchNorm", "GroupNorm" and "RMSNorm" gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pytorch_optimizer==4.1.0 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from pytorch_optimizer import create_optimizer
from torch import nn

layers = {"Linear": nn.Linear(4, 4), "BatchNorm": nn.BatchNorm1d(4),
          "GroupNorm": nn.GroupNorm(2, 4), "RMSNorm": nn.RMSNorm(4),
          "LayerNorm": nn.LayerNorm(4)}
model = nn.ModuleDict({f"layer_{i}": layer for i, layer in enumerate(layers.values())})
names = {id(parameter): f"{kind}.{name}" for kind, layer in layers.items()
         for name, parameter in layer.named_parameters()}


def decayed(**options):
    optimizer = create_optimizer(model, "adamw", lr=0.1, weight_decay=0.1, **options)
    return optimizer, sorted(names[id(p)] for group in optimizer.param_groups
                             if group["weight_decay"] for p in group["params"])


optimizer, plain = decayed()
for parameter in model.parameters():
    parameter.grad = torch.zeros_like(parameter)
optimizer.step()
scales = {kind: layer.weight[0].item() for kind, layer in layers.items() if kind != "Linear"}
bans = ["bias", "LayerNorm", "BatchNorm", "GroupNorm", "RMSNorm"]
mended = decayed(wd_ban_list=bans)[1]
print("decayed:", plain, "with a longer list:", mended)
print("scales after a step without gradient:", {k: round(v, 3) for k, v in scales.items()})
assert plain == ["BatchNorm.weight", "GroupNorm.weight", "Linear.weight", "RMSNorm.weight"]
assert mended == ["Linear.weight"] and scales.pop("LayerNorm") == 1 and max(scales.values()) < 1
PYTHON
