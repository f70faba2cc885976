#!/usr/bin/env bash
# A model that ptflops has counted stays in evaluation mode.
# Versions: ptflops 0.7.5, torch 2.14.1, numpy 2.4.6.
# Expected (a first guess): the mode that it had, as torchinfo and thop leave it.
# Seen: training is False afterwards. A script that counts after model.train() trains on with
# frozen running statistics and without dropout, and nothing says so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  ptflops==0.7.5 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from ptflops import get_model_complexity_info

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8))
model.train()
get_model_complexity_info(
    model, (3, 32, 32), print_per_layer_stat=False, as_strings=False, verbose=False)
model(torch.randn(4, 3, 32, 32))
count = model[1].num_batches_tracked.item()
print(f"training: {model.training}; batches that its norm layer counts in the next step: {count}")
assert not model.training and not model[1].training and count == 0
PYTHON
