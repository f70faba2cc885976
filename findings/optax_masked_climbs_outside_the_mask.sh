#!/usr/bin/env bash
# With optax.masked the weights outside the mask climb the loss, at a learning rate of 1.
# Versions: optax 0.2.8, jax 0.10.2, numpy 2.4.6.
# Expected (a first guess): optax.masked(optax.sgd(0.1), mask) trains the weights where the mask is
# true and leaves the others as they are: a linear probe on a frozen encoder.
# Seen: the others change most. Their gradient passes through as it is, and apply_updates adds it:
# plus one times the gradient, where sgd(0.1) takes minus a tenth. The loss grows from 0.5 to 2e27
# in 20 steps. The text of masked does say that unmasked updates pass through; its use in a chain,
# before the optimiser, needs that. As a freeze, take optax.freeze in front, or partition with
# set_to_zero.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  optax==0.2.8 jax==0.10.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import jax
import jax.numpy as jnp
import optax

weights = {"encoder": jnp.array([1.0]), "head": jnp.array([1.0])}
mask = {"encoder": False, "head": True}


def loss(w):
    return ((w["encoder"] * 2 + w["head"] - 2) ** 2).sum() / 2


def train(optimizer, steps):
    w, state = weights, optimizer.init(weights)
    for _ in range(steps):
        updates, state = optimizer.update(jax.grad(loss)(w), state, w)
        w = optax.apply_updates(w, updates)
    return float(w["encoder"][0]), float(w["head"][0]), float(loss(w))


masked = optax.masked(optax.sgd(0.1), mask)
labels = {"encoder": "frozen", "head": "trained"}
parts = {"frozen": optax.set_to_zero(), "trained": optax.sgd(0.1)}
gradient = jax.grad(loss)(weights)
print(f"start: encoder 1.0, head 1.0, loss {float(loss(weights))}; "
      f"gradient of the encoder {float(gradient['encoder'][0])}")
for steps in (1, 20):
    for name, optimizer in {"masked": masked, "partition": optax.partition(parts, labels)}.items():
        encoder, head, value = train(optimizer, steps)
        print(f"{name}, {steps} steps: encoder {encoder:.4g}, head {head:.4g}, loss {value:.4g}")
        if name == "partition":
            assert encoder == 1.0 and value < 0.5
        elif steps == 1:
            assert encoder == 1.0 + float(gradient["encoder"][0]) and abs(head - 0.9) < 1e-6
        else:
            assert value > 1e10
PYTHON
