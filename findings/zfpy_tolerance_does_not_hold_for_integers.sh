#!/usr/bin/env bash
# zfpy with a tolerance of 0.5 turns labels from 0 to 9 into numbers from -6 to 13.
# Versions: zfpy 1.0.1, numpy 2.4.6.
# Expected (a first guess): compress_numpy(labels, tolerance=0.5) keeps each number to within 0.5,
# so that whole numbers come back as they were, or it refuses integers.
# Seen: so it is for float32 and float64. Of int32 or int64 only a quarter come back, and the others
# are off by up to 8 in a matrix and by up to 19 in three dimensions. A tolerance of 1e-9 makes no
# difference. zfp bounds the error for floats only, and zfpy does not check. Without a tolerance the
# integers come back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  zfpy==1.0.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import zfpy

rng = np.random.default_rng(0)


def errors(shape, dtype, **options):
    labels = rng.integers(0, 10, shape).astype(dtype)
    back = zfpy.decompress_numpy(zfpy.compress_numpy(labels, **options))
    assert back.dtype == dtype and back.shape == shape
    worst, equal = np.abs(back.astype(float) - labels).max(), (np.rint(back) == labels).mean()
    print(f"{shape} {dtype} {options}: off by up to {worst:.2f}, {equal:.2f} come back, "
          f"from {back.min():.0f} to {back.max():.0f}")
    return worst, equal


for shape, least in (((64, 64), 5), ((8, 8, 8), 12)):
    for tolerance in (0.5, 1e-9):
        for dtype in ("float32", "float64"):
            worst, equal = errors(shape, dtype, tolerance=tolerance)
            assert worst <= tolerance and equal == 1
        for dtype in ("int32", "int64"):
            worst, equal = errors(shape, dtype, tolerance=tolerance)
            assert worst >= least and equal < 0.5
    assert errors(shape, "int32") == (0, 1)
PYTHON
