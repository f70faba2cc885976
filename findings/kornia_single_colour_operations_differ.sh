#!/usr/bin/env bash
# kornia's RandomSaturation, RandomContrast and RandomBrightness do not compute what its
# ColorJitter computes for the same factor.
# Versions: kornia 0.9.0, torchvision 0.29.1, torch 2.14.1.
# Expected (a first guess): one factor, one result: ColorJitter is these operations in a random
# order.
# Seen: ColorJitter agrees with torchvision to rounding. Alone, brightness 1.5 adds 0.5 to every
# pixel, and contrast and saturation 1.5 are off by more than 0.1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 kornia==0.9.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import kornia.augmentation as K
import torch
from torchvision.transforms import functional as F

torch.manual_seed(0)
images, factor = 0.5 * torch.rand(1, 3, 32, 32), (1.5, 1.5)
cases = {
    "brightness": (K.RandomBrightness, F.adjust_brightness),
    "contrast": (K.RandomContrast, F.adjust_contrast),
    "saturation": (K.RandomSaturation, F.adjust_saturation),
}
for name, (single, reference) in cases.items():
    right = reference(images, 1.5)
    jitter = K.ColorJitter(**{name: factor}, p=1.0)(images)
    alone = single(**{name: factor}, p=1.0)(images)
    errors = [float((out - right).abs().max()) for out in (jitter, alone)]
    print(f"{name}: ColorJitter off by {errors[0]:.4f}, {single.__name__} by {errors[1]:.4f}")
    assert errors[0] < 1e-3 and errors[1] > 0.1
PYTHON
