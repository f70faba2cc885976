#!/usr/bin/env bash
# The mean of twenty million float32 ones is 0.84 in numba and in bottleneck.
# Versions: numba 0.68.1, bottleneck 1.6.0, numpy 2.4.6.
# Expected (a first guess): np.sum, np.mean and np.std in a function that numba compiles give what
# NumPy gives, and bottleneck's nansum and nanmean are NumPy's, only faster: 20,000,000 and 1.0, and
# a spread of 0.
# Seen: both add one number after the other in float32, and the sum stands still at 16,777,216. The
# mean is 0.84 and the standard deviation of a constant 0.16. NumPy adds in pairs.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  numba==0.68.1 bottleneck==1.6.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import bottleneck
import numba
import numpy as np

ones = np.ones(20_000_000, np.float32)
total, mean, spread = numba.njit(lambda rows: (np.sum(rows), np.mean(rows), np.std(rows)))(ones)
print(f"numba {total:.0f} {mean:.3f} {spread:.3f}; "
      f"bottleneck {bottleneck.nansum(ones):.0f} {bottleneck.nanmean(ones):.3f}; "
      f"NumPy {ones.sum():.0f} {ones.mean():.3f} {ones.std():.3f}")
assert total == bottleneck.nansum(ones) == 2**24 and ones.sum() == len(ones)
assert abs(mean - 0.839) < 1e-3 and abs(bottleneck.nanmean(ones) - 0.839) < 1e-3
assert spread > 0.1 and ones.mean() == 1 and ones.std() == 0
PYTHON
