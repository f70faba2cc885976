#!/usr/bin/env bash
# The noise_variance of batchgenerators' GaussianNoiseTransform is a standard deviation.
# Versions: batchgenerators 0.25.5, numpy 2.4.6.
# Expected (a first guess): noise_variance=(0.04, 0.04) adds noise of variance 0.04, standard
# deviation 0.2; the documentation says that a variance is sampled from that range.
# Seen: the standard deviation is 0.04, the variance 0.0016, with one draw for an image or one for
# each channel. The square root of what one means gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  batchgenerators==0.25.5 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import random

import numpy as np
from batchgenerators.transforms.noise_transforms import GaussianNoiseTransform

random.seed(0)
np.random.seed(0)
low, square = (0.04, 0.04), (0.2, 0.2)


def deviation(transform):
    return float(np.std(transform(data=np.zeros((2, 1, 200, 200)))["data"]))


noise = deviation(GaussianNoiseTransform(low))
channel = deviation(GaussianNoiseTransform(low, per_channel=True))
rooted = deviation(GaussianNoiseTransform(square))
print(f"standard deviation for 0.04: {noise:.4f}, by channel {channel:.4f}; for 0.2: {rooted:.4f}")
assert abs(noise - 0.04) < 0.001 and abs(channel - 0.04) < 0.001 and abs(rooted - 0.2) < 0.005
PYTHON
