#!/usr/bin/env bash
# A 95 % interval of an accuracy by bootstrapped ends at 1.02.
# Versions: bootstrapped 0.0.2, numpy 2.4.6, pandas 3.0.6, scipy 1.17.1.
# Expected (a first guess): the percentile bootstrap that the package names in its one-line summary:
# the middle 95 % of the resampled means, so between 0 and 1 for 48 right answers of 50.
# Seen: 0.92 to 1.02. bootstrap() returns the pivotal interval, which is the percentile one
# reflected at the estimate, unless it is given is_pivotal=False: then it says 0.90 to 1. For 20
# positive losses, one of them large, the interval of the mean begins at -2.9.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  bootstrapped==0.0.2 numpy==2.4.6 pandas==3.0.6 scipy==1.17.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import bootstrapped.bootstrap as bs
import bootstrapped.stats_functions as stats
import numpy as np

np.random.seed(0)
answers = np.array([1] * 48 + [0] * 2)
losses = np.array([0.1] * 19 + [60])


def interval(values, **options):
    found = bs.bootstrap(values, stat_func=stats.mean, **options)
    return found.lower_bound, found.upper_bound


def by_numpy(values):
    rows = np.random.default_rng(1).choice(values, (10000, len(values)))
    return tuple(np.percentile(rows.mean(1), [2.5, 97.5]))


for name, values in {"48 of 50": answers, "losses": losses}.items():
    default, percentile, oracle = (interval(values), interval(values, is_pivotal=False),
                                   by_numpy(values))
    print(f"{name}: mean {values.mean():.2f}, smallest {values.min():.3f}, largest "
          f"{values.max():.2f}\n  bootstrap() {default[0]:.2f} to {default[1]:.2f}, "
          f"is_pivotal=False {percentile[0]:.2f} to {percentile[1]:.2f}, "
          f"percentiles by numpy {oracle[0]:.2f} to {oracle[1]:.2f}")
    assert np.allclose(percentile, oracle)
    assert np.allclose(default, 2 * values.mean() - np.array(oracle[::-1]))
    assert default[1] > 1 if name == "48 of 50" else default[0] < 0
PYTHON
