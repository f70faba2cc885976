#!/usr/bin/env bash
# A model that thop has counted has a state_dict that a fresh model of its kind does not load.
# Versions: thop 0.1.1.post2209072238, torch 2.14.1, numpy 2.4.6.
# Expected (a first guess): profile() returns the numbers and leaves the model as it was.
# Seen: each module that thop has no rule for, such as Flatten and every class of one's own, keeps
# two buffers, total_ops and total_params. They are in state_dict(), so a checkpoint that is saved
# after the count does not load strictly. Count a copy of the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  thop==0.1.1.post2209072238 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from thop import profile


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8))
        self.flat = torch.nn.Flatten()

    def forward(self, images):
        return self.flat(self.body(images))


model = Encoder()
before = set(model.state_dict())
profile(model, inputs=(torch.zeros(2, 3, 32, 32),), verbose=False)
left = sorted(set(model.state_dict()) - before)
try:
    Encoder().load_state_dict(model.state_dict())
    error = "no error"
except RuntimeError as raised:
    error = str(raised).splitlines()[1].strip()
print("left in the weights:", left, "; loading them:", error)
assert left == ["flat.total_ops", "flat.total_params", "total_ops", "total_params"]
assert "Unexpected key" in error
PYTHON
