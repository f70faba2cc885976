#!/usr/bin/env bash
# After freeze() and unfreeze() of an MLX model the running statistics of BatchNorm are weights.
# Versions: mlx 0.32.4 (its build for a CPU), numpy 2.4.6.
# Expected (a first guess): a linear probe, model.freeze(), then fine-tuning, model.unfreeze(): the
# model has the trainable weights that it had before. The layer's own text says that running_mean
# and running_var are "always frozen parameters".
# Seen: both are among trainable_parameters() from then on, so the optimiser moves them. With
# weight decay they shrink: by a few per cent in training, and towards 0 at each step where
# BatchNorm is in evaluation mode, a mean of 5.05 to 1.86 in 200 steps. unfreeze() of the BatchNorm
# layer itself keeps them frozen; unfreeze() of a model around it does not call that. Call it of
# each layer after.
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
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

rng = np.random.default_rng(0)
x = mx.array((rng.standard_normal((64, 4)) * 3 + 5).astype("float32"))
y = mx.array(rng.standard_normal((64, 2)).astype("float32"))


def names(model):
    return [name for name, _ in tree_flatten(model.trainable_parameters())]


def means(unfreeze, training, mend=False):
    mx.random.seed(0)
    model = nn.Sequential(nn.BatchNorm(4), nn.Linear(4, 2))
    for _ in range(100):
        model(x)
    if unfreeze:
        model.freeze()
        model.unfreeze()
    if mend:
        model.layers[0].unfreeze()
    model.train(training)
    optimizer = optim.SGD(0.05, weight_decay=0.1)
    step = nn.value_and_grad(model, lambda m, x, y: ((m(x) - y) ** 2).mean())
    for _ in range(200):
        _, gradient = step(model, x, y)
        optimizer.update(model, gradient)
        mx.eval(model.parameters(), optimizer.state)
    return names(model), float(model.layers[0].running_mean[0])


right = float(np.array(x)[:, 0].mean())
print(f"mean of the first feature: {right:.2f}")
for training in (True, False):
    for unfreeze, mend in ((False, False), (True, False), (True, True)):
        trained, mean = means(unfreeze, training, mend)
        moved = "layers.0.running_mean" in trained
        how = "frozen and unfrozen" if unfreeze else "new"
        print(f"{how}{', then the layer too' if mend else ''}, BatchNorm in "
              f"{'training' if training else 'evaluation'} mode: {len(trained)} arrays are "
              f"trained, running mean {mean:.2f}")
        assert moved == (unfreeze and not mend)
        if not moved:
            assert abs(mean - right) < 0.01
        else:
            assert mean < (right - 0.2 if training else right / 2)
PYTHON
