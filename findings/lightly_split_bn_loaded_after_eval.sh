#!/usr/bin/env bash
# Weights loaded into lightly's SplitBatchNorm after eval() give other outputs than before it.
# Versions: lightly 1.6.0, torch 2.14.1.
# Expected (a first guess): the order of load_state_dict() and eval() does not matter.
# Seen: eval() replaces the buffers by the mean over the splits, once, when it is called; loaded
# later, the raw buffers of the first split are used. For splits of mean 0 and 10 the layer
# subtracts 5.0 in one order and 0.0 in the other.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 lightly==1.6.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from lightly.models.batchnorm import SplitBatchNorm

torch.manual_seed(0)
trained = SplitBatchNorm(4, num_splits=2)
images = torch.randn(8, 4, 6, 6)
images[1::2] += 10  # every second row belongs to the second split
for _ in range(100):
    trained(images)
weights = trained.state_dict()

load_first, eval_first = SplitBatchNorm(4, num_splits=2), SplitBatchNorm(4, num_splits=2)
load_first.load_state_dict(weights)
load_first.eval()
eval_first.eval()
eval_first.load_state_dict(weights)
zero = torch.zeros(1, 4, 1, 1)
out = [float(-layer(zero).mean()) for layer in (load_first, eval_first)]
print(f"a zero image comes out at -{out[0]:.2f} (load, eval) and -{out[1]:.2f} (eval, load)")
assert out[0] > 4 and abs(out[1]) < 0.5
PYTHON
