#!/usr/bin/env bash
# torch.func.functional_call of a BatchNorm changes the model, or the dictionary that it was given.
# Versions: torch 2.14.1.
# Expected (a first guess): a functional call leaves everything as it was: it computes an output
# from the given parameters.
# Seen: given parameters alone, it moves the model's own running mean, so trying other weights
# leaves its mark on the model. Given the buffers too, it writes into those tensors: the state
# that was handed in comes back changed, and a state_dict() handed in is the model's own.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torch.func import functional_call

torch.manual_seed(0)
images = torch.randn(64, 2) + 5
model = torch.nn.BatchNorm1d(2)
tried = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
functional_call(model, tried, (images,))
own = float(model.running_mean.mean())
model = torch.nn.BatchNorm1d(2)
state = {name: value.clone() for name, value in model.state_dict().items()}
functional_call(model, state, (images,))
given, left = float(state["running_mean"].mean()), float(model.running_mean.mean())
print(f"running mean of the model {own:.2f}; with buffers given: theirs {given:.2f}, "
      f"the model's {left:.2f}, batches counted {int(state['num_batches_tracked'])}")
assert own > 0.4 and given > 0.4 and left == 0 and state["num_batches_tracked"] == 1
PYTHON
