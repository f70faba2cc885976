#!/usr/bin/env bash
# A module that torch.export made moves the running statistics of the model that it was made from.
# Versions: torch 2.14.1.
# Expected (a first guess): an export is a snapshot: the exported program has parameters and buffers
# of its own, as a file has.
# Seen: they are the model's own tensors. One call of a program that was exported in training mode
# moves the model's running mean from 0 to 1 and its counter to 1; and weights that are trained
# later are those of the program too. Export a deep copy.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import copy

import torch

model = torch.nn.BatchNorm1d(3)
program = torch.export.export(model, (torch.randn(4, 3),))
untouched = float(model.running_mean.abs().max())
program.module()(torch.full((4, 3), 10.0))
moved = model.running_mean.tolist()
copied = torch.nn.BatchNorm1d(3)
torch.export.export(copy.deepcopy(copied), (torch.randn(4, 3),)).module()(torch.ones(4, 3))
assert not copied.running_mean.any()
with torch.no_grad():
    model.weight.fill_(5)
follows = program.state_dict["weight"].tolist()
print(f"running mean of the model {untouched} after the export, {moved} after a call of the "
      f"program; the weight set to 5 is {follows} in the program")
assert untouched == 0 and moved == [1, 1, 1] and follows == [5, 5, 5]
assert int(model.num_batches_tracked) == 1
PYTHON
