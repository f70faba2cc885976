#!/usr/bin/env bash
# The features of "bn1" by torchvision's create_feature_extractor have no negative value, if a later
# layer is asked for as well.
# Versions: torchvision 0.29.1, torch 2.14.1.
# Expected (a first guess): what the node "bn1" returns: the output of Batch Normalization, about
# half of it below 0, whatever else is asked for.
# Seen: asked for alone it is that. Together with "layer4" it is the output of the ReLU behind it,
# which writes into the same memory: its mean is 0.4 and not 0. So it is within the blocks; "conv1"
# is left alone. Nothing warns. Set inplace = False in each ReLU first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

torch.manual_seed(0)
model, images = resnet18(), torch.randn(16, 3, 32, 32)


def below(names):
    with torch.no_grad():
        features = create_feature_extractor(model, names)(images)[names[0]]
    print(f"{names}: {features.lt(0).float().mean():.2f} of {names[0]} is below 0, "
          f"mean {features.mean():.2f}")
    return features.lt(0).float().mean().item()


alone, both = below(["bn1"]), below(["bn1", "layer4"])
inner, conv = below(["layer1.0.bn1", "layer4"]), below(["conv1", "layer4"])
for module in model.modules():
    if isinstance(module, torch.nn.ReLU):
        module.inplace = False
mended = below(["bn1", "layer4"])
assert both == inner == 0 and 0.4 < alone < 0.6 and 0.4 < mended < 0.6 and conv > 0.4
PYTHON
