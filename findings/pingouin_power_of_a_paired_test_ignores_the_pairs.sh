#!/usr/bin/env bash
# pingouin's paired t-test finds p = 0.00004 and, in the same row, a power of 0.25.
# Versions: pingouin 0.7.0, pandas 3.1.1, statsmodels 0.15.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): effect and power of a paired test are those of the differences; the
# test of the differences against 0 is the same test and gives the same row.
# Seen: t and p are equal, but cohen_d is 0.65 and not 5.6, and power 0.25 and not 1.00: d divides
# by the spread of the runs, not of the differences, and that d goes into the power of a paired
# test. Two arms that share their seeds look as if they needed far more seeds.
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

first = np.array([0.871, 0.862, 0.880, 0.866, 0.874, 0.869])
second = first - np.array([0.004, 0.005, 0.003, 0.004, 0.005, 0.0045])
paired, differences = (
    table[["T", "p_val", "cohen_d", "power"]].to_numpy(dtype=float)[0]
    for table in (pingouin.ttest(first, second, paired=True), pingouin.ttest(first - second, 0))
)
print("t, p, d, power of the pairs:", paired.round(5), "and of the differences:",
      differences.round(5))
assert np.allclose(paired[:2], differences[:2])
assert paired[2] < 1 < 5 < differences[2] and paired[3] < 0.3 and differences[3] > 0.99
PYTHON
