#!/usr/bin/env bash
# calinski_harabasz_score of a perfect clustering is 1.0, next to the worst.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): infinity, or at least more than for the same clusters with a little
# noise: higher is better, and nothing is better than clusters without any spread.
# Seen: 1.0 where all rows of a cluster are equal; 2e8 with noise of 0.001. A collapse onto class
# means looks like chance.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from sklearn.metrics import calinski_harabasz_score

rows, clusters = np.repeat([[0.0, 0.0], [5.0, 5.0]], 10, axis=0), np.arange(20) // 10
noise = 1e-3 * np.random.default_rng(0).normal(size=rows.shape)
perfect, noisy = (calinski_harabasz_score(x, clusters) for x in (rows, rows + noise))
print(f"perfect {perfect}, with a little noise {noisy:.0f}")
assert perfect == 1.0 and noisy > 1e6
PYTHON
