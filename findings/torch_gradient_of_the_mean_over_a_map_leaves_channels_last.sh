#!/usr/bin/env bash
# The gradient of AdaptiveAvgPool2d(1) is not in the memory format of its input.
# Versions: torch 2.14.1.
# Expected (a first guess): pooling a channels_last map to 1 x 1 gives a channels_last gradient, as
# pooling it to 2 x 2 does, and as AvgPool2d, BatchNorm2d and the others do.
# Seen: for an output of 1 x 1, and only there, the gradient lies in NCHW. Nearly every network ends
# in this layer, and every elementwise backward pass below it meets two formats (in this project a
# ReLU's took ten times as long). A mean over a permuted view keeps the format.
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


def format_of_gradient(pool):
    x = torch.randn(8, 16, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    seen = []
    h = x * 1.0
    h.register_hook(seen.append)
    y = pool(h)
    y.backward(torch.randn_like(y))
    last = seen[0].is_contiguous(memory_format=torch.channels_last)
    return "channels_last" if last else "NCHW" if seen[0].is_contiguous() else "neither"


found = {
    "AdaptiveAvgPool2d(1)": format_of_gradient(nn.AdaptiveAvgPool2d(1)),
    "AdaptiveAvgPool2d(2)": format_of_gradient(nn.AdaptiveAvgPool2d(2)),
    "AdaptiveMaxPool2d(1)": format_of_gradient(nn.AdaptiveMaxPool2d(1)),
    "AvgPool2d(8)": format_of_gradient(nn.AvgPool2d(8)),
    "BatchNorm2d": format_of_gradient(nn.BatchNorm2d(16)),
}
print("; ".join(f"{name}: {kind}" for name, kind in found.items()))
assert found.pop("AdaptiveAvgPool2d(1)") == "NCHW"
assert set(found.values()) == {"channels_last"}
PYTHON
