#!/usr/bin/env bash
# timm's RandAugment of a weak magnitude fails now and then: Pillow 13 refuses its posterize.
# Versions: timm 1.0.31, torchvision 0.29.1, Pillow 13.0.0, torch 2.14.1.
# Expected (a first guess): magnitude 0 is next to no change, and 2 of 10 a weak one, as in
# torchvision's RandAugment.
# Seen: magnitudes below 2.5 ask posterize to keep 0 bits, which ends in "bits must be between or
# equal to 1 and 8". It strikes one image in thirty for each operation, so a run stops in its first
# epoch. A magnitude that is drawn anew for each image, as in rand-m9-mstd101, meets it too. At 0
# solarize is a full negative. A name that ends in inc1 avoids both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 pillow==13.0.0 timm==1.0.31
"$work/env/bin/python" -W ignore - <<'PYTHON'
import random

import numpy as np
import torch
from PIL import Image, ImageChops
from timm.data.auto_augment import rand_augment_transform
from torchvision.transforms import RandAugment

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
negative = ImageChops.invert(image)


def count(augment, times=400):
    refused = inverted = 0
    for _ in range(times):
        try:
            inverted += ImageChops.difference(augment(image), negative).getbbox() is None
        except ValueError as error:
            assert "bits must be between" in str(error)
            refused += 1
    return refused, inverted


seen = {}
for name in ("rand-m0-n1", "rand-m2-n1", "rand-m9-n1", "rand-m9-mstd101-n1", "rand-m2-n1-inc1"):
    seen[name] = count(rand_augment_transform(name, {}))
seen["torchvision"] = count(RandAugment(num_ops=1, magnitude=0))
for name, (refused, inverted) in seen.items():
    print(f"{name}: of 400 images {refused} refused, {inverted} come out as their negative")
failing = {name for name, (refused, _) in seen.items() if refused}
assert failing == {"rand-m0-n1", "rand-m2-n1", "rand-m9-mstd101-n1"}
assert seen["rand-m0-n1"][1] > 2 * seen["rand-m2-n1-inc1"][1] and seen["torchvision"][1] == 0
PYTHON
