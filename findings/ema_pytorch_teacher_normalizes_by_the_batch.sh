#!/usr/bin/env bash
# The averaged model of ema-pytorch stays in training mode: it normalises by its batch and changes
# when it is asked.
# Versions: ema-pytorch 0.8.3, torch 2.14.1.
# Expected (a first guess): an average of weights is for evaluation, so calling it uses the
# averaged running statistics and changes nothing.
# Seen: the copy inherits training mode. One image and the same image in a batch come out
# differently, and 50 calls with bright images move its running mean from 5 to above 90.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 ema-pytorch==0.8.3
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from ema_pytorch import EMA

torch.manual_seed(0)
online = torch.nn.BatchNorm1d(2)
average = EMA(online, beta=0.9)
for _ in range(300):
    online(torch.randn(8, 2) + 5)
    average.update()
before = float(average.ema_model.running_mean.mean())
out = float(average(torch.randn(64, 2) + 100).mean())
for _ in range(50):
    average(torch.randn(64, 2) + 100)
after = float(average.ema_model.running_mean.mean())
print(f"training mode {average.ema_model.training}; images of mean 100 come out at {out:.2f}; "
      f"running mean {before:.1f}, after 50 calls {after:.1f}")
assert average.ema_model.training and abs(out) < 0.01 and before < 6 and after > 90
PYTHON
