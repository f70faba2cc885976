#!/usr/bin/env bash
# rliable's interquartile mean of three runs is their plain mean, outlier and all.
# Versions: rliable 1.2.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the mean of the middle half: of 0, 0.9 and 0.9 it gives the failed run
# less weight than the mean does (0.75, if a row may count in part).
# Seen: 0.6, the mean. A quarter of the runs at each end is rounded down, so with one, two or three
# runs of one task nothing is cut. With a fourth run of 0.9 the failed one is cut whole and the
# score is 0.9. Three seeds are what many tables have, and the name promises a robust number.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  rliable==1.2.0 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from rliable import metrics

three, four = np.array([[0.0], [0.9], [0.9]]), np.array([[0.0], [0.9], [0.9], [0.9]])
seen = [float(metrics.aggregate_iqm(runs)) for runs in (three, four)]
assert all(abs(metrics.aggregate_iqm(three[:n]) - three[:n].mean()) < 1e-12 for n in (1, 2, 3))
weighted = (0.25 * 0.0 + 1.0 * 0.9 + 0.25 * 0.9) / 1.5
print(f"IQM of three runs {seen[0]:.3f} (mean {three.mean():.3f}, middle half {weighted:.3f}), "
      f"of four {seen[1]:.3f} (mean {four.mean():.3f})")
assert abs(seen[0] - three.mean()) < 1e-12 and abs(seen[1] - 0.9) < 1e-12
assert abs(weighted - 0.75) < 1e-12
PYTHON
