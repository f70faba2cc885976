#!/usr/bin/env bash
# mlxtend's minmax_scaling gives 0 to 1 where it was asked for -1 to 1, or for 0 to 255.
# Versions: mlxtend 0.25.0, scikit-learn 1.9.1, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): columns between min_val and max_val.
# Seen: the range is used only if min_val is not 0 and max_val is not 1 either. So -1 to 2 works,
# and -1 to 1 and 0 to 255, the two most usual ones, are left out without a word. Use MinMaxScaler
# of scikit-learn.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  mlxtend==0.25.0 scikit-learn==1.9.1 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from mlxtend.preprocessing import minmax_scaling
from sklearn.preprocessing import MinMaxScaler

rows = np.random.default_rng(0).normal(size=(20, 2))
seen = {}
for low, high in ((-1, 1), (0, 255), (-1, 2), (1, 5)):
    scaled = minmax_scaling(rows, [0, 1], min_val=low, max_val=high)
    known = MinMaxScaler((low, high)).fit_transform(rows)
    print(f"asked for {low} to {high}: mlxtend {scaled.min():g} to {scaled.max():g}, "
          f"scikit-learn {known.min():g} to {known.max():g}")
    seen[low, high] = bool(np.allclose(scaled, known))
    assert seen[low, high] or (scaled.min(), scaled.max()) == (0, 1)
assert seen == {(-1, 1): False, (0, 255): False, (-1, 2): True, (1, 5): True}
PYTHON
