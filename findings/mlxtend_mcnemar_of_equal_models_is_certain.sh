#!/usr/bin/env bash
# mlxtend's McNemar test says p = 0 for two models that agree on every row.
# Versions: mlxtend 0.25.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): p = 1, or nan: no row speaks for either model.
# Seen: chi2 is infinite and p is 0. The continuity correction takes 1 from a difference of 0, and
# the square is divided by 0 rows; one row on each side gives 0.48. A model that was entered under
# two names is the most significant pair of a table, and Holm's correction leaves the 0 as it is.
# exact=True gives 1; corrected=False and Cochran's Q give nan.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  mlxtend==0.25.0 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from mlxtend.evaluate import cochrans_q, mcnemar, mcnemar_table

target = np.arange(100) % 2
model = np.where(np.arange(100) < 80, target, 1 - target)
table = mcnemar_table(target, model, model)
chi2, p = mcnemar(table)
exact = mcnemar(table, exact=True)[1]
print(f"equal models, table {table.tolist()}: chi2 {chi2}, p {p}; exact {exact}")
plain = mcnemar(table, corrected=False)[1]
cochran = cochrans_q(target, model, model)[1]
one = mcnemar(np.array([[79, 1], [1, 19]]))[1]
print(f"without the correction {plain}; Cochran's Q {cochran}; one row on each side: {one:.2f}")
assert chi2 == np.inf and p == 0 and exact == 1
assert np.isnan(plain) and np.isnan(cochran) and 0.4 < one < 0.5
PYTHON
