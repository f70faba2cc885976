#!/usr/bin/env bash
# safetensors gives tensors back in another order than they were saved in.
# Versions: safetensors 0.8.0, numpy 2.4.6.
# Expected (a first guess): a dictionary keeps its order, as with numpy.savez, so that values can
# be zipped with a model's parameters.
# Seen: names come back sorted as text: layer10 before layer2, whatever was saved first. Tensors
# of equal shape then change places without an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  safetensors==0.8.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os
import tempfile

import numpy as np
from safetensors.numpy import load_file, save_file

saved = {f"layer{i}": np.full(1, i) for i in (1, 2, 10, 3)}
with tempfile.TemporaryDirectory() as folder:
    save_file(saved, os.path.join(folder, "a.safetensors"))
    loaded = load_file(os.path.join(folder, "a.safetensors"))
    np.savez(os.path.join(folder, "a.npz"), **saved)
    of_numpy = list(np.load(os.path.join(folder, "a.npz")))
print("saved", list(saved), "safetensors", list(loaded), "numpy", of_numpy)
assert of_numpy == list(saved)
assert list(loaded) == ["layer1", "layer10", "layer2", "layer3"]
PYTHON
