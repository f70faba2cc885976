#!/usr/bin/env bash
# flax loads the running statistics of another network into a template, whatever their shapes.
# Versions: flax 0.12.8, jax 0.10.2, numpy 2.4.6.
# Expected (a first guess): from_bytes(template, data) refuses a checkpoint whose arrays have other
# shapes or types than those of the template, as load_state_dict of PyTorch refuses other shapes.
# Seen: only the names are compared. A head of 4 classes loads where one of 10 stood, and statistics
# of one number load where a vector of four stood. BatchNorm does not look either: it normalises all
# four channels by the one, and answers. Nothing warns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  flax==0.12.8 jax==0.10.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import flax.linen as nn
import numpy as np
from flax import serialization


def weights(size):
    one, zero = np.ones(size, np.float32), np.zeros(size, np.float32)
    return {"params": {"scale": np.ones(4, np.float32), "bias": np.zeros(4, np.float32)},
            "batch_stats": {"mean": zero + 2, "var": one * 4},
            "head": np.zeros((4, 2 * size + 2), np.float32)}


template, other = weights(4), weights(1)
loaded = serialization.from_bytes(template, serialization.to_bytes(other))
for name, of in (("head", lambda w: w["head"]), ("mean", lambda w: w["batch_stats"]["mean"])):
    print(f"{name}: {of(template).shape} in the template, {of(loaded).shape} loaded")
rows = np.arange(8, dtype=np.float32).reshape(2, 4)
state = {"params": loaded["params"], "batch_stats": loaded["batch_stats"]}
out = np.asarray(nn.BatchNorm(use_running_average=True).apply(state, rows))
print(f"BatchNorm of four channels with it answers {out.shape}, {out[0].round(3)}")
assert loaded["head"].shape == (4, 4) and loaded["batch_stats"]["mean"].shape == (1,)
assert out.shape == (2, 4) and np.allclose(out, (rows - 2) / 2, atol=1e-3)
PYTHON
