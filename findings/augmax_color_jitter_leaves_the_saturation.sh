#!/usr/bin/env bash
# The ColorJitter of augmax never changes the saturation, and changes the hue only if told to
# change brightness and contrast too.
# Versions: augmax 0.4.1, jax 0.10.2, numpy 2.4.6.
# Expected (a first guess): ColorJitter(brightness=0, contrast=0, saturation=0.9, hue=0, p=1) draws
# another saturation for each image, and hue=0.5 alone another hue.
# Seen: both give back each image as it was. The changed saturation is computed and dropped. And
# one random key is made for each strength above 0, but keys are dealt out to brightness, contrast,
# hue and saturation in this order, whether they are wanted or not: with one strength, only
# brightness gets one. So the hue moves where brightness and contrast are above 0 as well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  augmax==0.4.1 jax==0.10.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import colorsys

import augmax
import jax
import jax.numpy as jnp
import numpy as np

image = np.random.default_rng(0).uniform(0.2, 0.8, (2, 2, 3)).astype("float32")
keys = jax.random.split(jax.random.PRNGKey(0), 16)
tiny = 1e-9


def hsv(pixels):
    return np.array([colorsys.rgb_to_hsv(*p) for p in pixels.reshape(-1, 3)])


def changes(brightness, contrast, saturation, hue):
    chain = augmax.Chain(augmax.ColorJitter(brightness, contrast, saturation, hue, p=1.0))
    seen = np.asarray(jax.jit(jax.vmap(lambda key: chain(key, jnp.asarray(image))))(keys))
    change = abs(seen - image).max()
    moved = max(abs(hsv(s) - hsv(image))[:, 1].max() for s in seen)
    print(f"brightness {brightness}, contrast {contrast}, saturation {saturation}, hue {hue}: "
          f"pixels change by {change:.3f}, saturation by {moved:.3f}")
    return change, moved


assert max(changes(0, 0, 0.9, 0)) < 1e-4
assert max(changes(0, 0, 0, 0.5)) < 1e-4
assert max(changes(tiny, tiny, 0.9, tiny)) < 1e-4
change, moved = changes(tiny, tiny, 0, 0.5)
assert change > 0.1 and moved < 1e-4
PYTHON
