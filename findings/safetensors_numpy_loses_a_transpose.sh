#!/usr/bin/env bash
# A transposed NumPy array comes back from safetensors with its numbers in other places.
# Versions: safetensors 0.8.0 and 0.7.0, numpy 2.4.6.
# Expected (a first guess): save_file and load_file of safetensors.numpy give the same array back,
# as np.save and np.load do.
# Seen: features.T has the right shape and the wrong order: the bytes are written as they lie in
# memory, column by column, and read row by row. So it is with an array in Fortran order, and with
# images whose channels were moved to the front. 0.7.0 wrote all three rightly. The description asks
# for contiguous arrays; nothing raises or warns. np.ascontiguousarray helps.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  safetensors==0.8.0 numpy==2.4.6
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet --no-deps \
  --target "$work/old" safetensors==0.7.0
cat >"$work/roundtrip.py" <<'PYTHON'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

rng = np.random.default_rng(0)
features, images = rng.standard_normal((6, 4)), rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
arrays = {"features": features, "features.T": features.T,
          "in Fortran order": np.asfortranarray(features), "copy of features.T": features.T.copy(),
          "channels first": np.moveaxis(images, 3, 1)}
save_file(arrays, sys.argv[1] + "/arrays.safetensors")
loaded = load_file(sys.argv[1] + "/arrays.safetensors")
right = {name: np.array_equal(loaded[name], array) for name, array in arrays.items()}
sizes = all(loaded[name].shape == array.shape for name, array in arrays.items())
print(safetensors.__version__, "shapes kept:", sizes, "; numbers kept:", right)
if safetensors.__version__ == "0.7.0":
    assert sizes and all(right.values())
else:
    assert sizes and right["features"] and right["copy of features.T"]
    assert not any(right[name] for name in ("features.T", "in Fortran order", "channels first"))
PYTHON
"$work/env/bin/python" -W ignore "$work/roundtrip.py" "$work"
PYTHONPATH=$work/old "$work/env/bin/python" -W ignore "$work/roundtrip.py" "$work"
