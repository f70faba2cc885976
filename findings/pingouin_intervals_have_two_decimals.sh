#!/usr/bin/env bash
# pingouin's bootstrap interval for a mean does not contain the mean.
# Versions: pingouin 0.7.0, pandas 3.1.1, statsmodels 0.15.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the two ends as floats, around the mean; and where a t-test has
# p = 0.00004, an interval of the difference that leaves out 0.
# Seen: the numbers themselves, not only their print, are rounded to two decimals. Accuracies from
# 0.8712 to 0.8719 get the interval from 0.87 to 0.87, and a difference of 0.004 the one from 0.00
# to 0.01. compute_bootci(..., decimals=6) and pingouin.options["round.column.CI95"] = None help.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pingouin==0.7.0 pandas==3.1.1 statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pingouin

seeds = np.array([0.8712, 0.8716, 0.8718, 0.8713, 0.8715, 0.8719])
low, high = map(float, pingouin.compute_bootci(seeds, func="mean", seed=0))
fine = pingouin.compute_bootci(seeds, func="mean", seed=0, decimals=6)
print(f"mean {seeds.mean():.5f}, interval {low} to {high}, with decimals=6: {fine}")
assert low == high == 0.87 and fine[0] < seeds.mean() < fine[1]
drop = np.array([0.004, 0.005, 0.003, 0.004, 0.005, 0.0045])
test = pingouin.ttest(drop, 0).iloc[0]
pingouin.options["round.column.CI95"] = None
exact = pingouin.ttest(drop, 0).iloc[0]
print(f"p = {test['p_val']:.5f}, interval {test['CI95']}, unrounded {exact['CI95']}")
assert test["p_val"] < 1e-4 and list(test["CI95"]) == [0, 0.01] and exact["CI95"][0] > 0.003
PYTHON
