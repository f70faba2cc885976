#!/usr/bin/env bash
# deepsig's bonferroni_correction turns the p-value 0.001 into 0.09, and 0.04 into 0.004.
# Versions: deepsig 1.2.8, statsmodels 0.15.0, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): each p-value times their number, at most 1, in the order of those
# given.
# Seen: the smallest times n, the next times n - 1, and so on down to 1. That is Holm's method
# without its last step, which keeps the order, so 0.03 and 0.04 become 0.06 and 0.04. From three
# on they may also come back in another order: they are put back by argsort once more, which is
# not the way back. Use multipletests of statsmodels.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  deepsig==1.2.8 statsmodels==0.15.0 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from deepsig import bonferroni_correction
from statsmodels.stats.multitest import multipletests

for raw in ([0.03, 0.04], [0.03, 0.04, 0.032, 0.001]):
    raw = np.array(raw)
    seen = bonferroni_correction(raw)
    known = [multipletests(raw, method=m)[1] for m in ("bonferroni", "holm")]
    print(f"raw {raw}, deepsig {seen.round(3)}, Bonferroni {known[0]}, Holm {known[1]}")
    order = raw.argsort()
    steps = raw[order] * np.arange(len(raw), 0, -1)
    assert np.allclose(seen, steps[order]) and np.allclose(known[0], raw * len(raw))
    assert not any(np.allclose(seen, v) for v in known)
assert seen[raw.argmin()] > 0.05 > seen[raw.argmax()]
PYTHON
