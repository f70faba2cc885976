#!/usr/bin/env bash
# The p-value of hyppo's Hotelling test of one column depends on the unit of that column.
# Versions: hyppo 0.5.2, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): for one column Hotelling's test is the t-test: its statistic is t
# squared, and and per mille or fractions are all one.
# Seen: with one column the difference is not divided by the variance. So accuracies as fractions
# are never different and the same in per mille always are. A second column of noise brings the
# division back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  hyppo==0.5.2 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from hyppo.ksample import Hotelling
from scipy.stats import ttest_ind

rng = np.random.default_rng(0)
for gap in (0.0, 0.05):
    first, second = rng.normal(0.8, 0.01, size=(2, 30, 1))
    second = second - gap
    test = ttest_ind(first, second)
    t, p_value = test.statistic[0], test.pvalue[0]
    for name, factor in (("fractions", 1), ("per mille", 1000)):
        value, p_hyppo = Hotelling().test(first * factor, second * factor)
        value, p_hyppo = np.ravel(value)[0], np.ravel(p_hyppo)[0]
        spread = (np.var(first * factor, ddof=1) + np.var(second * factor, ddof=1)) / 2
        print(f"gap {gap}, {name}: hyppo {value:.3g}, p {p_hyppo:.2g}; "
              f"t squared {t**2:.3g}, p {p_value:.2g}")
        assert np.isclose(value, t**2 * spread)
        assert (p_hyppo > 0.5) == (factor == 1)
    wide = [np.hstack([x, rng.normal(size=(30, 1))]) for x in (first, second)]
    assert np.isclose(Hotelling().test(*wide)[0], Hotelling().test(*[1000 * x for x in wide])[0])
PYTHON
