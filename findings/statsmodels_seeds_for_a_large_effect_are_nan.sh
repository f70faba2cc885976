#!/usr/bin/env bash
# Asked how many pairs show a very large effect, statsmodels answers nan, or not, by its size.
# Versions: statsmodels 0.15.0, scipy 1.17.1.
# Expected (a first guess): the larger the effect, the fewer pairs; beyond some size it is always 2,
# the fewest that have a spread.
# Seen: 2.5 at five standard deviations, nan at eight, 2 at ten, nan at twenty. Only a warning says
# that the solver failed. Paired seeds have such effects: differences of 0.06 that vary by 0.005.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 statsmodels==0.15.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import math
import warnings

from statsmodels.stats.power import TTestPower

found = {}
for effect in (1.0, 5.0, 8.0, 10.0, 20.0):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found[effect] = float(TTestPower().solve_power(effect, alpha=0.05, power=0.8))
print("; ".join(f"{effect:g} deviations: {n:.1f} pairs" for effect, n in found.items()))
assert 9 < found[1.0] < 11 and 2 < found[5.0] < 3
assert math.isnan(found[8.0]) and found[10.0] == 2.0 and math.isnan(found[20.0])
PYTHON
