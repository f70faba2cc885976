#!/usr/bin/env bash
# MONAI's Barlow Twins loss is not 0 for two equal views without redundancy, and the smaller the
# batch the larger it is.
# Versions: monai 1.6.1, torch 2.14.1.
# Expected (a first guess): 0, its minimum: the correlation matrix of the views, by torch.corrcoef,
# is the identity.
# Seen: 0.1875 for four rows of three columns. The rows are scaled by the standard deviation with n
# - 1, and the products divided by n, so the diagonal is (n - 1) / n, 0.75 here, and each column
# costs 1 / n squared whatever the encoder does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 monai==1.6.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from monai.losses import BarlowTwinsLoss

view = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
views = [view, view.repeat(4, 1)]
seen = [float(BarlowTwinsLoss()(rows, rows)) for rows in views]
off = max(float((torch.corrcoef(rows.T) - torch.eye(3)).abs().max()) for rows in views)
print(f"MONAI {seen[0]:.4f} for 4 rows, {seen[1]:.4f} for 16; correlations {off:.0e} off identity")
assert abs(seen[0] - 3 / 16) < 1e-5 and abs(seen[1] - 3 / 256) < 1e-5 and off < 1e-6
PYTHON
