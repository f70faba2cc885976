#!/usr/bin/env bash
# permute's fwer_minp adjusts the p-value 0.01 to 0.5, and 0.5 to 0.085.
# Versions: permute 0.2, cryptorandom 0.4, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): adjusted p-values in the order of those given, each at least as large
# as the raw one, as from multipletests of statsmodels.
# Seen: they are adjusted in sorted order and then put back by argsort once more, which is not the
# way back. So they stand beside other hypotheses, and some are below the raw value. Only orders
# that are their own inverse, such as a swap of two, come out right. Sort the p-values, and the
# columns with them, before the call.
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
from permute.npc import fwer_minp

rng = np.random.default_rng(0)
null = rng.normal(size=(2000, 4))
raw = np.array([0.5, 0.01, 0.2, 0.03])
order = np.argsort(raw)
adjusted = fwer_minp(raw, null, combine="tippett")
in_order = fwer_minp(raw[order], null[:, order], combine="tippett")
right = np.empty(4)
right[order] = in_order
by_chance = (null > np.quantile(null, 1 - raw[1], axis=0)).any(axis=1).mean()
print("raw:", raw)
print("adjusted by fwer_minp:", adjusted.round(3))
print("sorted before, put back after:", right.round(3))
print(f"share of the runs under the null with a p-value of 0.01 or less: {by_chance:.3f}")
assert np.allclose(adjusted, in_order[order]) and abs(right[1] - by_chance) < 0.005
assert (right >= raw).all() and adjusted[1] == 0.5 and adjusted[0] < 0.1
PYTHON
