#!/usr/bin/env bash
# Paddle's GroupNorm gives features of spread 30 where its LayerNorm gives 1.
# Versions: paddlepaddle 3.3.1 (its build for a CPU), numpy 2.4.6.
# Expected (a first guess): GroupNorm with one group normalises an image as LayerNorm over the whole
# image does: to mean 0 and spread 1.
# Seen: so it is for numbers around 0. Around 300 with a spread of 0.1 most images come out with a
# spread near 30, and around 1000 one comes out at 0.1. Both fit a variance that is the mean of the
# squares less the square of the mean, in float32: it is lost in rounding, and epsilon alone
# divides. LayerNorm and InstanceNorm of the same library are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  paddlepaddle==3.3.1 numpy==2.4.6 setuptools==84.2.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import paddle

paddle.seed(0)
seen = {}
for centre in (0, 100, 300, 1000):
    images = np.random.default_rng(0).normal(centre, 0.1, (4, 512, 1)).astype(np.float32)
    tensor = paddle.to_tensor(images)
    group = paddle.nn.GroupNorm(1, 512)(tensor).numpy().astype(np.float64).std((1, 2))
    layer = paddle.nn.LayerNorm([512, 1])(tensor).numpy().astype(np.float64).std((1, 2))
    seen[centre] = group
    print(f"around {centre}: GroupNorm {group.round(2)}, LayerNorm {layer.round(2)}")
    assert np.abs(layer - 1).max() < 0.01
assert np.abs(seen[0] - 1).max() < 0.01 and np.abs(seen[100] - 1).max() > 0.1
assert np.median(seen[300]) > 20 and np.median(seen[1000]) > 20
PYTHON
