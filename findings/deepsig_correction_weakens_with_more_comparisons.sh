#!/usr/bin/env bash
# deepsig's correction for many comparisons gets weaker the more there are, and two models it
# never tells apart.
# Versions: deepsig 1.2.8, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): Bonferroni's correction: the level is 1 - 0.05 / n for n comparisons,
# so the bound on the violation grows with n; and multi_aso of two models is what aso says of
# them.
# Seen: the level is 0.95 + 0.05 / n. That is right for n = 2, less strict from there on, and 1
# for n = 1. So the bound falls from 2 comparisons on, and multi_aso of two models, which are one
# comparison, gives the bound 1 (or nan where all runs of one are above those of the other). Hand
# aso the level 1 - 0.05 / n as confidence_level, pair by pair.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  deepsig==1.2.8 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from deepsig import aso, multi_aso

rng = np.random.default_rng(2)
first, second = (rng.normal(size=10) + 0.5).tolist(), rng.normal(size=10).tolist()
settings = dict(seed=1, show_progress=False, num_bootstrap_iterations=60)
counts = (1, 2, 3, 10, 100)
bounds = [float(aso(first, second, num_comparisons=n, **settings)) for n in counts]
levels = [1 - 0.05 / n for n in counts]
right = [float(aso(first, second, confidence_level=v, **settings)) for v in levels]
both = multi_aso([first, second], **settings)
apart = multi_aso([[v + 100 for v in first], second], **settings)
print("comparisons:", counts)
print("bound with num_comparisons:", np.round(bounds, 3))
print("bound with the level 1 - 0.05 / n:", np.round(right, 3))
print("multi_aso of the two:", both[0, 1], "and 100 apart:", apart[0, 1])
assert np.isclose(bounds[:2], right[:2]).all()
assert (np.diff(bounds[1:]) < 0).all() and (np.diff(right) > 0).all()
assert both[0, 1] == both[1, 0] == 1 and not apart[0, 1] < 0.5
PYTHON
