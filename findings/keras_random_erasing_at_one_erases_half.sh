#!/usr/bin/env bash
# RandomErasing(factor=1.0) of Keras, the default, erases a part of every second image.
# Versions: keras 3.15.1, jax 0.10.2, numpy 2.4.6.
# Expected (a first guess): what its text says: "factor=1.0 means erasing is always applied".
# Seen: about half of the images stay as they are, and three quarters at factor=0.5. A single
# number is the upper end of a range: each image draws its own probability between 0 and it.
# RandomInvert does the same; RandomGrayscale(factor=1.0) turns every image grey. factor=(1.0, 1.0)
# erases in all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  keras==3.15.1 jax==0.10.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os

os.environ["KERAS_BACKEND"] = "jax"
import numpy as np
from keras import layers

images = np.random.default_rng(0).uniform(0.1, 0.9, (1000, 8, 8, 3)).astype("float32")


def changed(layer):
    seen = np.asarray(layer(images, training=True))
    share = (abs(seen - images).max(axis=(1, 2, 3)) > 1e-6).mean()
    print(f"{type(layer).__name__}, {layer.factor}: {share:.3f} of the images are changed")
    return share


options = dict(value_range=(0, 1), seed=0)
erase = dict(scale=(0.5, 0.5), fill_value=0.0, **options)
assert 0.45 < changed(layers.RandomErasing(**erase)) < 0.55
assert 0.45 < changed(layers.RandomErasing(factor=1.0, **erase)) < 0.55
assert 0.2 < changed(layers.RandomErasing(factor=0.5, **erase)) < 0.3
assert changed(layers.RandomErasing(factor=(1.0, 1.0), **erase)) == 1
assert 0.45 < changed(layers.RandomInvert(factor=1.0, **options)) < 0.55
assert changed(layers.RandomGrayscale(factor=1.0, seed=0)) == 1
PYTHON
