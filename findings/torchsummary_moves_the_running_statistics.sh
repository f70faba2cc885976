#!/usr/bin/env bash
# torchsummary, asked how large a model is, changes the model's Batch Normalization.
# Versions: torchsummary 1.5.1, torch 2.14.1, numpy 2.4.6.
# Expected (a first guess): a table; the model is read and stays as it was.
# Seen: two rows of noise run through it in training mode. The counter is 1, the running
# statistics have moved a tenth of the way towards those of the noise, and the random numbers that
# follow are others, so a run with the summary is not the run without it. After eval() the
# statistics stay, but random numbers are used all the same.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torchsummary==1.5.1 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io

import torch
from torchsummary import summary

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8))
state = torch.get_rng_state()


def moved():
    with contextlib.redirect_stdout(io.StringIO()):
        summary(model, (3, 32, 32), device="cpu")
    return model[1].num_batches_tracked.item(), model[1].running_var[0].item()


model.eval()
still = moved()
model.train()
torch.set_rng_state(state)
count, variance = moved()
drawn = not torch.equal(state, torch.get_rng_state())
print(f"counter {count}, running variance {variance:.3f}, random numbers used: {drawn}; "
      f"in eval(): {still}")
assert still == (0, 1.0) and count == 1 and variance < 0.95 and drawn
PYTHON
