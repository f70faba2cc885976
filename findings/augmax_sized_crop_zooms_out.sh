#!/usr/bin/env bash
# RandomSizedCrop of augmax with prevent_underzoom=True shows a black margin in every fifth image.
# Versions: augmax 0.4.1, jax 0.10.2, numpy 2.4.6.
# Expected (a first guess): prevent_underzoom, the default, prevents "zooming beyond the image
# size": a crop of a white image is white.
# Seen: crops of 32 from an image of 48 have black margins in about a fifth of the draws, the same
# with prevent_underzoom=False. The least zoom allowed is 32 / 48 = 0.67, but its logarithm, -0.41,
# is compared with the zoom of 0.5. Zooms are drawn evenly on a logarithmic scale from 0.5 to 2, so
# 21 % are below 0.67. zoom_range=(0.67, 2) keeps the crops inside.
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

white = jnp.ones((48, 48, 3))
keys = jax.random.split(jax.random.PRNGKey(0), 400)


def black(**options):
    chain = augmax.Chain(augmax.RandomSizedCrop(32, **options))
    crops = np.asarray(jax.jit(jax.vmap(lambda key: chain(key, white)))(keys))
    share = (crops.min(axis=(1, 2, 3)) < 0.5).mean()
    print(f"{options}: {share:.3f} of the crops have a black margin, "
          f"darkest crop {crops.mean(axis=(1, 2, 3)).min():.2f}")
    return share


expected = np.log((32 / 48) / 0.5) / np.log(2 / 0.5)
print(f"share of zooms below 32 / 48: {expected:.3f}")
prevented, allowed = black(prevent_underzoom=True), black(prevent_underzoom=False)
assert prevented == allowed and abs(prevented - expected) < 0.06
assert black(zoom_range=(0.67, 2.0)) == 0
PYTHON
