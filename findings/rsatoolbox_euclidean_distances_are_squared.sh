#!/usr/bin/env bash
# The "euclidean" distances of rsatoolbox are squared, and divided by the number of columns.
# Versions: rsatoolbox 0.3.2, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): what scipy's pdist calls euclidean.
# Seen: 1.06 for 2.52: the square, divided by the 6 columns. Ranks stay the same. Sums and ratios
# of distances do not, nor do correlations and cosines of two such matrices.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  rsatoolbox==0.3.2 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist

rows = np.random.default_rng(0).normal(size=(4, 6))
theirs = calc_rdm(Dataset(rows), method="euclidean").dissimilarities[0]
plain = pdist(rows)
print("rsatoolbox", theirs.round(3).tolist(), "scipy", plain.round(3).tolist())
assert np.allclose(theirs, plain**2 / 6) and not np.allclose(theirs, plain, rtol=0.2)
PYTHON
