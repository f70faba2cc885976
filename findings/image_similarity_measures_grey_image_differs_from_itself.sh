#!/usr/bin/env bash
# image-similarity-measures gives a square grey image and itself a PSNR of 32 dB.
# Versions: image-similarity-measures 0.3.6, numpy 1.26.4.
# Expected (a first guess): a grey image of shape (64, 64) is taken, since psnr() and rmse() give it
# a third axis themselves; with itself it has an RMSE of 0 and an infinite PSNR.
# Seen: an RMSE of 0.026 and 32 dB. Only the first image gets the axis: (64, 64, 1) less (64, 64)
# has the shape (64, 64, 64), and compares pixels of other places. So an equal image, a noisy copy
# and an unrelated image have about the same value. A grey image that is not square raises an
# error. With an axis added to both the values are right, for the default max_p=4095.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  image-similarity-measures==0.3.6 numpy==1.26.4
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from image_similarity_measures.quality_metrics import psnr, rmse

rng = np.random.default_rng(0)
image, other = rng.integers(0, 256, (2, 64, 64), dtype=np.uint8)
near = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
seen = {}
for name, pair in {"itself": image, "a near copy": near, "an unrelated image": other}.items():
    true = np.sqrt(((image.astype(float) - pair) ** 2).mean()) / 4095
    grey = rmse(image, pair), psnr(image, pair)
    axis = rmse(image[..., None], pair[..., None]), psnr(image[..., None], pair[..., None])
    print(f"with {name}: RMSE {grey[0]:.4f}, PSNR {grey[1]:.1f}; with a third axis {axis[0]:.4f}, "
          f"{axis[1]:.1f}; RMSE by numpy {true:.4f}")
    assert np.isclose(axis[0], true, rtol=1e-4)
    seen[name] = grey
assert all(0.02 < r < 0.03 and 31 < p < 33 for r, p in seen.values())
PYTHON
