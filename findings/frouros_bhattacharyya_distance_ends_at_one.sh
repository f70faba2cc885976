#!/usr/bin/env bash
# The Bhattacharyya distance of frouros is not -ln of the coefficient: it ends at 1.
# Versions: frouros 0.9.0, numpy 1.26.4, scipy 1.14.1.
# Expected (a first guess): -ln(BC), with BC = sum of sqrt(p q) over the bins: it grows without an
# end as two samples part, and adds up over independent features.
# Seen: 1 - BC, which is the square of the library's own HellingerDistance: 1 at most. For two
# overlapping samples the two are close, so nothing shows; far apart it says 0.9 where the distance
# is 2.2. The detector adds nothing to the Hellinger one, and no threshold from a paper fits.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  frouros==0.9.0 numpy==1.26.4 scipy==1.14.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from frouros.detectors.data_drift import BhattacharyyaDistance, HellingerDistance

rng = np.random.default_rng(0)
reference = rng.normal(size=1000)


def of(detector, sample):
    detector.fit(X=reference)
    return float(detector.compare(X=sample)[0].distance)


for shift in (0.5, 2, 4, 20):
    sample = rng.normal(size=1000) + shift
    edges = np.histogram_bin_edges(np.concatenate([reference, sample]), bins=10)
    p, q = (np.histogram(values, edges)[0] / 1000 for values in (reference, sample))
    coefficient = np.sqrt(p * q).sum()
    with np.errstate(divide="ignore"):
        true = -np.log(coefficient)
    seen, hellinger = of(BhattacharyyaDistance(), sample), of(HellingerDistance(), sample)
    print(f"shift {shift}: BhattacharyyaDistance {seen:.3f}, HellingerDistance^2 "
          f"{hellinger ** 2:.3f}, -ln(BC) {true:.3f}")
    assert np.isclose(seen, 1 - coefficient) and np.isclose(seen, hellinger ** 2)
assert seen == 1 and np.isinf(true)
PYTHON
