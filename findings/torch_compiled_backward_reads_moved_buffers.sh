#!/usr/bin/env bash
# A compiled module that reads a buffer and then moves it in place gets a wrong gradient, silently.
# Versions: torch 2.14.1.
# Expected (before compiling): the gradient of the uncompiled module, whose backward pass keeps the
# ratio that its forward pass computed.
# Seen: torch.compile with the backend "aot_eager" computes the ratio anew in the backward pass,
# from the buffer after its move: the gradient is 1.7 times as large, and nothing warns. Moving
# a clone that has taken the buffer's place first keeps it right.
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
from torch import nn


class Renorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("std", torch.tensor(2.0))

    def forward(self, x):
        ratio = x.std().detach() / self.std
        y = x * x * ratio
        with torch.no_grad():
            self.std.lerp_(x.std(), 0.5)
        return y.sum()


def gradient(compiled):
    layer = Renorm()
    run = torch.compile(layer, backend="aot_eager") if compiled else layer
    x = torch.linspace(0, 1, 8, requires_grad=True)
    run(x).backward()
    return x.grad


eager, compiled = gradient(False), gradient(True)
print("compiled over eager:", round(float(compiled[-1] / eager[-1]), 3))
assert not torch.allclose(eager, compiled, rtol=0.1)
PYTHON
