#!/usr/bin/env bash
# The GaussianBlur of augmax with sigma 1 is the mean of two pixels, and shifts by half a pixel.
# Versions: augmax 0.4.1, jax 0.10.2, numpy 2.4.6.
# Expected (a first guess): GaussianBlur(sigma=3, p=1) spreads a point to a Gaussian of standard
# deviation 3 around its place.
# Seen: 1.5 for sigma 3 and 0.5 for sigma 1, and the centre lies half a pixel away. The kernel has
# 2 sigma points, an even number, which stand for -2 to 2 whatever sigma is: it ends sigma pixels to
# each side, and its shape tends to a square. So a blurred view is also a shifted one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  augmax==0.4.1 jax==0.10.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import augmax
import jax
import jax.numpy as jnp
import numpy as np

point = jnp.zeros((33, 33, 1)).at[16, 16].set(1.0)
x = np.arange(33) - 16
for sigma, width in ((1, 0.5), (2, 0.91), (3, 1.52), (5, 2.69)):
    blur = augmax.GaussianBlur(sigma=sigma, p=1.0)
    seen = np.asarray(augmax.Chain(blur)(jax.random.PRNGKey(0), point))[..., 0]
    line = seen.sum(0).astype("float64")
    centre = (line * x).sum()
    deviation = np.sqrt((line * (x - centre) ** 2).sum())
    print(f"sigma {sigma}: {int((line > 1e-6).sum())} columns, centre {centre:.2f}, "
          f"standard deviation {deviation:.2f}, weights {line[line > 1e-6].round(3).tolist()}")
    assert abs(line.sum() - 1) < 1e-4 and abs(centre - 0.5) < 1e-3
    assert (line > 1e-6).sum() == 2 * sigma and abs(deviation - width) < 0.01
PYTHON
