#!/usr/bin/env bash
# NumPy's mean of 4096 bfloat16 numbers around 3 is 0.5.
# Versions: ml_dtypes 0.6.0, numpy 2.4.6.
# Expected (a first guess): about 3: NumPy adds float16 in float32 for a mean, and jax does so for
# bfloat16, whose arrays are NumPy arrays of this type once they leave the device.
# Seen: NumPy adds one number after the other in bfloat16, with three digits, and the sum stands
# still at 2048, where one more 3, or 7, rounds away. The mean of 1000 ones is 0.256, that of each
# column of a batch 0.5, and the standard deviation is 1.42 instead of 1. Nothing warns.
# mean(dtype=np.float32) is right, and so is jnp.mean.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  ml_dtypes==0.6.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import ml_dtypes
import numpy as np

rows = np.random.default_rng(0).normal(3, 1, (4096, 8)).astype(ml_dtypes.bfloat16)
wide = rows.astype(np.float64)
ones = np.ones(1000, ml_dtypes.bfloat16)
print(f"mean of 1000 ones: bfloat16 {float(ones.mean()):.3f}, "
      f"float16 {float(np.ones(1000, np.float16).mean()):.3f}")
print(f"mean of a column: {float(rows[:, 0].mean()):.2f}, in float64 {wide[:, 0].mean():.2f}, "
      f"in float32 {float(rows[:, 0].mean(dtype=np.float32)):.2f}")
print(f"standard deviation: {float(rows[:, 0].std()):.2f}, in float64 {wide[:, 0].std():.2f}")
print("means of all columns:", rows.mean(0).astype(float))
assert float(ones.mean()) < 0.26 and float(np.ones(1000, np.float16).mean()) == 1
assert (rows.mean(0).astype(float) < 0.6).all() and abs(wide[:, 0].mean() - 3) < 0.05
assert abs(float(rows[:, 0].mean(dtype=np.float32)) - 3) < 0.05 and float(rows[:, 0].std()) > 1.3
PYTHON
