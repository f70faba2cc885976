#!/usr/bin/env bash
# timm's Lars and lightly's LARS do not adapt the step of a weight that has no weight decay.
# Versions: timm 1.0.31, lightly 1.6.0, torch 2.14.1.
# Expected (a first guess): the step is scaled by the norm of the weight over that of its gradient;
# a weight decay of 0 and one of 1e-9 make the same step.
# Seen: with 0 the step is plain SGD's, 50 times as large here, and it follows the size of the
# gradient; timm's Lamb does the same. With 1e-9 it is scaled. timm's always_adapt=True gives the
# guess; lightly has no such option. A rate that was chosen for LARS is then used by SGD.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 timm==1.0.31 lightly==1.6.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from lightly.utils.lars import LARS
from timm.optim import Lamb, Lars


def step(optimiser, slope=0.1, **options):
    weight = torch.nn.Parameter(torch.full((4, 4), 2.0))
    weight.grad = torch.full((4, 4), slope)
    optimiser([weight], lr=0.1, **options).step()
    return 2 - float(weight.detach()[0, 0])


plain = step(torch.optim.SGD)
print(f"SGD steps by {plain:.5f}")
for optimiser in (Lars, LARS):
    none, tiny = (step(optimiser, weight_decay=decay) for decay in (0, 1e-9))
    steeper = [step(optimiser, slope=1.0, weight_decay=decay) for decay in (0, 1e-9)]
    print(f"{optimiser.__module__}: {none:.5f} without decay, {tiny:.5f} with 1e-9; "
          f"a slope of ten times: {steeper[0]:.5f} and {steeper[1]:.5f}")
    assert abs(none - plain) < 1e-6 and 30 * tiny < none
    assert abs(steeper[0] - 10 * none) < 1e-5 and abs(steeper[1] - tiny) < 1e-5
always = step(Lars, weight_decay=0, always_adapt=True)
lamb = step(Lamb, weight_decay=0), step(Lamb, weight_decay=1e-9)
print(f"always_adapt: {always:.5f}; Lamb: {lamb[0]:.3f} and {lamb[1]:.3f}")
assert 30 * always < plain and lamb[1] > 1.9 * lamb[0]
PYTHON
