#!/usr/bin/env bash
# The Winsorized covariances of hypothesize's winall are correlations.
# Versions: hypothesize 1.2.3, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): "wcov" holds the covariances, with the variances on its diagonal, as
# wincor gives for a pair.
# Seen: it holds the correlations a second time, so it does not change when a column is multiplied
# by 100, and its diagonal is 1. A Mahalanobis distance or a whitening made of it has the wrong
# scale. wincor of each pair is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  hypothesize==1.2.3 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
from hypothesize.measuring_associations import wincor, winall

rng = np.random.default_rng(0)
data = rng.normal(size=(100, 3)) @ [[1, 0.5, 0], [0, 1, 0.5], [0, 0, 1]] * [1, 10, 100]
result = winall(pd.DataFrame(data))
ordered = np.sort(data, axis=0)
cut = np.clip(data, ordered[20], ordered[-21])
known = np.cov(cut, rowvar=False)
pairs = np.array([[wincor(data[:, i], data[:, j])["wcov"] for j in range(3)] for i in range(3)])
print("wcov by winall:", result["wcov"].round(2).tolist())
print("by numpy:", known.round(2).tolist())
print("by wincor of each pair:", pairs.round(2).tolist())
assert np.allclose(pairs, known) and np.allclose(result["wcov"], np.corrcoef(cut, rowvar=False))
assert not np.allclose(result["wcov"], known)
PYTHON
