#!/usr/bin/env bash
# The Spearman correlation of permute is not one: it is 0.10 where SciPy says 0.98.
# Versions: permute 0.2, cryptorandom 0.4, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): spearman_corr correlates the ranks, as scipy.stats.spearmanr does, and
# tests that number by permutation.
# Seen: it correlates the two orders, argsort(x) and argsort(y), which say which row comes first,
# not which rank a row has. For related columns that is near 0, and so the test finds nothing. It
# is 1 where both columns have one order. Rank the columns with scipy's rankdata and hand them to
# corr instead.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  permute==0.2 cryptorandom==0.4 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from permute.core import corr, spearman_corr
from scipy.stats import rankdata, spearmanr

rng = np.random.default_rng(0)
x = rng.normal(size=30)
seen = []
for noise in (0.0, 0.1, 0.5):
    y = np.exp(x) + noise * rng.normal(size=30)
    value, p_value, _ = spearman_corr(x, y, reps=500, seed=1)
    ranks, p_ranks, _ = corr(rankdata(x), rankdata(y), reps=500, seed=1)
    known = spearmanr(x, y).statistic
    orders = np.corrcoef(np.argsort(x), np.argsort(y))[0, 1]
    print(f"noise {noise}: spearman_corr {value:.2f}, p {p_value:.3f}; scipy {known:.2f}; "
          f"corr of the ranks {ranks:.2f}, p {p_ranks:.3f}")
    assert np.isclose(value, orders) and np.isclose(ranks, known) and p_ranks < 0.01
    seen.append((value, known, p_value))
assert np.isclose(seen[0][0], 1)
assert all(abs(value) < 0.5 and known > 0.7 and p > 0.05 for value, known, p in seen[1:])
PYTHON
