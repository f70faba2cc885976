#!/usr/bin/env bash
# The random noise of augly is the same for each image, and sets NumPy's seed on the way.
# Versions: augly 1.0.0, pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): RandomNoise draws new noise for each image, from its own generator or
# from NumPy's, so two views of one image differ.
# Seen: it calls np.random.seed(42) each time. Both views have the same noise, and every draw from
# NumPy's global generator that comes after it is the same for each image too: here the place of a
# crop, whatever seed the experiment had. seed is a parameter of 42, and None is refused.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  augly==1.0.0 pillow==13.0.0 numpy==2.4.6 python-magic==0.4.27
"$work/env/bin/python" -W ignore - <<'PYTHON'
import augly.image as augly
import numpy as np
from PIL import Image

image = Image.new("RGB", (32, 32), (128, 128, 128))
noise = augly.RandomNoise()
views = [np.asarray(noise(image)) for _ in range(2)]
crops = []
for seed in range(5):
    np.random.seed(seed)
    before = np.random.randint(1000)
    noise(image)
    crops.append((before, np.random.randint(1000)))
try:
    noise.seed = None
    noise(image)
    refused = False
except AssertionError:
    refused = True
print(f"two views are equal: {(views[0] == views[1]).all()}, spread {views[0].std():.1f}")
print("draws before and after the noise, for five seeds:", crops, "None is refused:", refused)
assert (views[0] == views[1]).all() and views[0].std() > 20 and refused
assert len({before for before, _ in crops}) == 5 and len({after for _, after in crops}) == 1
PYTHON
