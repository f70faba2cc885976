#!/usr/bin/env bash
# mlxtend's proportion_difference says p = 0.9995 or p = 0.0005, by which model is named first.
# Versions: mlxtend 0.25.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the p-value of a difference of two accuracies, 0.95 and 0.80 on 100
# images each, is that of two sides, about 0.001, and does not depend on the order.
# Seen: it is the lower tail of z: 0.9995 with the better model first, 0.0005 with it second, and
# 0.5 for equal ones, where two sides say 1. There is no argument for the side. So a null hypothesis
# is rejected at 0.05 where two sides say 0.1, and never if the better model comes first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  mlxtend==0.25.0 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
from mlxtend.evaluate import proportion_difference
from scipy.stats import norm

first, second = proportion_difference(0.95, 0.80, 100), proportion_difference(0.80, 0.95, 100)
equal = proportion_difference(0.90, 0.90, 100)[1]
both = 2 * norm.sf(abs(first[0]))
print("better first:", *first, "; better second:", *second, "; equal:", equal)
print("two sides:", both)
assert first[1] > 0.999 and second[1] < 0.001 and abs(first[1] + second[1] - 1) < 1e-9
assert equal == 0.5 and 0.0009 < both < 0.0011 and abs(first[0]) == abs(second[0])
PYTHON
