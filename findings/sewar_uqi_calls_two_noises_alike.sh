#!/usr/bin/env bash
# sewar's universal quality index of two unrelated images of noise is 0.7 and not 0.
# Versions: sewar 0.4.10, numpy 2.4.6, scipy 1.17.1.
# Expected (a first guess): the index of Wang and Bovik (2002), the mean over windows of
# 4 cov(x, y) mean(x) mean(y) / ((var x + var y) (mean(x)^2 + mean(y)^2)): about 0 for two images
# that have nothing in common, and below 0 for an image and its negative.
# Seen: 0.7, and 0.5 for the negative. The library puts means, which scipy's uniform_filter gives,
# where its formula has sums over a window of 8 x 8. So the mean is hardly taken out of the
# covariance, and images score high for being about equally bright: 100 added to both gives 0.9.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  sewar==0.4.10 numpy==2.4.6 scipy==1.17.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sewar.full_ref import uqi


def by_the_paper(first, second, size=8):
    x, y = (sliding_window_view(a.astype(float), (size, size)).reshape(-1, size * size)
            for a in (first, second))
    means = x.mean(1), y.mean(1)
    covariance = ((x - means[0][:, None]) * (y - means[1][:, None])).mean(1)
    below = (x.var(1) + y.var(1)) * (means[0] ** 2 + means[1] ** 2)
    return (4 * covariance * means[0] * means[1] / below).mean()


rng = np.random.default_rng(0)
first, second = rng.integers(0, 150, (2, 96, 96), dtype=np.uint8)
pairs = {"an image and itself": (first, first), "two images of noise": (first, second),
         "the same, 100 brighter": (first + 100, second + 100),
         "an image and its negative": (first, 149 - first)}
seen = {}
for name, pair in pairs.items():
    seen[name] = uqi(*pair), by_the_paper(*pair)
    print(f"{name}: {seen[name][0]:.2f} by sewar, {seen[name][1]:.2f} by the formula")
assert np.allclose(seen["an image and itself"], 1)
assert all(-0.05 < b < 0.05 for _, b in list(seen.values())[1:3])
assert 0.6 < seen["two images of noise"][0] < 0.8 < seen["the same, 100 brighter"][0]
assert seen["an image and its negative"][0] > 0.4 and seen["an image and its negative"][1] < -0.9
PYTHON
