#!/usr/bin/env bash
# The learning rate of thinc's slanted_triangular turns negative after its last step.
# Versions: thinc 8.3.13, numpy 2.4.6. In 9.1.1 too.
# Expected (a first guess): slanted_triangular(0.1, 50) climbs to 0.1 and falls to 0.1 / 32 at step
# 50. Its text says "an infinite series", so a run of 60 steps goes on at the lowest rate, as
# warmup_linear goes on at 0.
# Seen: the line goes on falling: 0.001 at step 51, -0.018 at step 60, -0.97 at step 500. A
# negative rate climbs the loss. An epoch more than planned is enough. Nothing warns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  thinc==8.3.13 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
from itertools import islice

import numpy as np
from thinc.api import slanted_triangular, warmup_linear


def rates(schedule, n=500):
    return np.array(list(islice(schedule, n)))


slanted, linear = rates(slanted_triangular(0.1, 50)), rates(warmup_linear(0.1, 5, 50))
for step in (1, 5, 50, 51, 60, 500):
    print(f"step {step:3}: slanted_triangular {slanted[step - 1]:7.4f}, "
          f"warmup_linear {linear[step - 1]:7.4f}")
# The formula of Howard and Ruder, with T = 50, cut = 5 and ratio = 32, for steps 5 to 50.
t = np.arange(5, 51)
paper = 0.1 * (1 + (1 - (t - 5) / (5 * (1 / 0.1 - 1))) * 31) / 32
assert np.allclose(slanted[4:50], paper) and slanted.max() == slanted[4]
assert abs(slanted[49] - 0.1 / 32) < 1e-9 and (slanted[51:] < 0).all() and slanted[-1] < -0.9
assert (linear[50:] == 0).all()
PYTHON
