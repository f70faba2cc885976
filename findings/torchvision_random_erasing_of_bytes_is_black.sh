#!/usr/bin/env bash
# torchvision's RandomErasing(value="random") fills a uint8 image with black and near-white specks,
# not with random colours.
# Versions: torchvision 0.29.1, torch 2.14.1.
# Expected (a first guess): every value from 0 to 255 is as likely as any other; or an error, as the
# class was written for normalised floats.
# Seen: standard normal numbers are cast to bytes. Two values in three are 0, most others are 1, and
# negative numbers below -1 wrap round to 253, 254 or 255. No value lies between 10 and 245. On
# float images in [0, 1] the same option fills with numbers from about -4 to 4. Only after Normalize
# is it noise of the image's own size: erase last.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torchvision.transforms import v2

torch.manual_seed(0)
erase = v2.RandomErasing(p=1, value="random")
image = torch.full((3, 64, 64), 100, dtype=torch.uint8)
filled = torch.cat([x[x != 100] for x in (erase(image) for _ in range(20))])
black = (filled == 0).float().mean().item()
ends = ((filled < 10) | (filled > 245)).all().item()
wrapped = (filled > 245).float().mean().item()
floats = torch.cat([x[x != 0.5] for x in (erase(torch.full((3, 64, 64), 0.5)) for _ in range(20))])
print(f"uint8: {black:.0%} of the erased values are 0, {wrapped:.0%} lie above 245, "
      f"none between: {ends}")
print(f"float: mean {floats.mean():.2f}, standard deviation {floats.std():.2f}")
assert 0.6 < black < 0.75 and 0.1 < wrapped < 0.2 and ends
assert floats.min() < -2 and floats.max() > 2
PYTHON
