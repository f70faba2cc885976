#!/usr/bin/env bash
# The test of hypothesize's pball says p = 0 for most sets of independent columns.
# Versions: hypothesize 1.2.3, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): H_p_value tests that all columns are independent, so it is below 0.05
# for 5 % of the sets of independent columns.
# Seen: for six columns it is below 0.05 for most of them, and then it is exactly 0. One term of
# the formula is 240 to the power of c cubed instead of 240 times c cubed, so a single pair with a
# t of about 1.8 is enough. With the product in its place the share is near 5 %. The correlations
# and the p-values of the pairs are right.
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
from hypothesize.measuring_associations import pball
from scipy.stats import chi2

rng = np.random.default_rng(0)
rows, columns, pairs = 50, 6, np.triu_indices(6, 1)


def formula(correlations, power):
    t = correlations * np.sqrt((rows - 2) / (1 - correlations**2))
    c = np.sqrt((rows - 2.5) * np.log(1 + t**2 / (rows - 2)))
    b = 48 * (rows - 2.5) ** 2
    term = 240.0 ** c**3 if power else 240 * c**3
    c = c + (c**3 + 3 * c) / b - (4 * c**7 + 33 * c**5 + term + 855 * c) / (
        10 * b**2 + 8 * b * c**4 + 1000 * b)
    return chi2.sf((c**2).sum(), len(c))


values = []
for _ in range(100):
    result = pball(pd.DataFrame(rng.normal(size=(rows, columns))))
    correlations = result["pbcorm"][pairs]
    by_formula = [formula(correlations, power) for power in (True, False)]
    values.append((result["H_p_value"], *by_formula))
seen, powers, products = np.array(values).T
print(f"share of p-values below 0.05: hypothesize {(seen < 0.05).mean():.2f}, of p-values that are "
      f"0 {(seen == 0).mean():.2f}; by the formula with the product {(products < 0.05).mean():.2f}")
assert np.allclose(seen, powers, atol=1e-6)
assert (seen < 0.05).mean() > 0.6 and (seen == 0).mean() > 0.6 and (products < 0.05).mean() < 0.12
PYTHON
