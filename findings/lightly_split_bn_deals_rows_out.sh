#!/usr/bin/env bash
# lightly's SplitBatchNorm gives every K-th row to a split; timm's cuts the batch into blocks.
# Versions: lightly 1.6.0, timm 1.0.31, torch 2.14.1.
# Expected (a first guess): both cut the batch into blocks of consecutive rows, so that a batch in
# the order of its domains can be given to either.
# Seen: with rows 0-3 of mean 0 and rows 4-7 of mean 10, timm centres each half (mean of rows 0-3
# is 0.00); lightly mixes the halves (rows 0-3 come out at -0.98).
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
from lightly.models.batchnorm import SplitBatchNorm
from timm.layers import SplitBatchNorm2d

torch.manual_seed(0)
images = torch.randn(8, 4, 6, 6)
images[4:] += 10
blocks = float(SplitBatchNorm2d(4, num_splits=2)(images)[:4].mean())
dealt = float(SplitBatchNorm(4, num_splits=2)(images)[:4].mean())
every_other = float(SplitBatchNorm(4, num_splits=2)(images[[0, 4, 1, 5, 2, 6, 3, 7]])[::2].mean())
print(f"mean of rows 0-3: timm {blocks:.2f}, lightly {dealt:.2f}; "
      f"lightly with the halves interleaved {every_other:.2f}")
assert abs(blocks) < 0.01 and dealt < -0.9 and abs(every_other) < 0.01
PYTHON
