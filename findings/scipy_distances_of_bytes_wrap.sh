#!/usr/bin/env bash
# scipy's distances between two uint8 rows are not those that its cdist finds for the same rows.
# Versions: scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): euclidean(u, v) is cdist([u], [v]), also for the bytes of two images.
# Seen: the differences and products wrap at 256. A pixel of 10 and one of 20 are 246 apart in one
# order and 10 in the other, and the cosine distance of two unlike images can be 0.00. cdist turns
# bytes into floats first and is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from scipy.spatial import distance

dark, bright = np.full(4, 10, dtype=np.uint8), np.full(4, 20, dtype=np.uint8)
there, back = float(distance.chebyshev(dark, bright)), float(distance.chebyshev(bright, dark))
print(f"chebyshev of 10 and 20: {there:.0f}, of 20 and 10: {back:.0f}")
first, second = np.random.default_rng(0).integers(0, 256, (2, 10)).astype(np.uint8)
alone = {name: float(getattr(distance, name)(first, second)) for name in ("euclidean", "cosine")}
table = {name: float(distance.cdist([first], [second], name)[0, 0]) for name in alone}
print("alone:", {k: round(v, 3) for k, v in alone.items()},
      "and by cdist:", {k: round(v, 3) for k, v in table.items()})
assert (there, back) == (246, 10)
assert alone["euclidean"] > table["euclidean"] + 50 and alone["cosine"] < table["cosine"] - 0.1
exact = np.linalg.norm(first.astype(float) - second)
assert abs(table["euclidean"] - exact) < 1e-9
PYTHON
