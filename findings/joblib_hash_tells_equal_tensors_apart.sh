#!/usr/bin/env bash
# joblib.hash, and so joblib.Memory, gives equal PyTorch tensors different hashes.
# Versions: joblib 1.6.0, torch 2.14.1.
# Expected (a first guess): two tensors with equal values, shape and dtype have one hash, as NumPy
# arrays have, so a cached function is not run again.
# Seen: a clone, or the first half of a longer tensor, has another hash; NumPy arrays with the
# same values have one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 joblib==1.6.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import joblib
import numpy as np
import torch

tensors = torch.arange(6.0), torch.arange(12.0)[:6]
arrays = np.arange(6.0), np.arange(12.0)[:6]
assert torch.equal(*tensors)
of_tensors, of_arrays = (len({joblib.hash(x) for x in pair}) for pair in (tensors, arrays))
print(f"hashes of two equal tensors: {of_tensors}, of two equal arrays: {of_arrays}")
assert of_tensors == 2 and of_arrays == 1
PYTHON
