#!/usr/bin/env bash
# The cosine_similarity_loss of MLX is 1 for equal rows and -1 for opposite ones.
# Versions: mlx 0.32.4 (its build for a CPU), numpy 2.4.6.
# Expected (a first guess): a loss is small where it should be: 1 - cos, as in PyTorch, or -cos, as
# in Keras and in lightly.
# Seen: it is the cosine itself. Whoever minimises it turns the two views of an image away from each
# other: after some steps of gradient descent a pair at right angles has a cosine below -0.9. Its
# text says what it computes; its name says loss, and stands among losses.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  "mlx[cpu]==0.32.4" numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import mlx.core as mx
import mlx.nn as nn


def loss(a, b):
    return nn.losses.cosine_similarity_loss(a, b, reduction="mean")


row, other = mx.array([[3.0, 4.0]]), mx.array([[-4.0, 3.0]])
values = [loss(row, view).item() for view in (row, other, -row)]
a, b = mx.array([[1.0, 0.0]]), mx.array([[0.0, 1.0]])
for _ in range(50):
    a, b = (z - 0.2 * g for z, g in zip((a, b), mx.grad(loss, argnums=(0, 1))(a, b)))
cosine = loss(a, b).item()
print(f"equal {values[0]:.2f}, right angle {values[1]:.2f}, opposite {values[2]:.2f}; "
      f"a pair at a right angle after 50 steps: cosine {cosine:.2f}")
assert [round(value, 4) for value in values] == [1, 0, -1] and cosine < -0.9
PYTHON
