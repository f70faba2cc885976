#!/usr/bin/env bash
# The adapted Rand error of two different clusterings is 0 by scikit-image: class 0 is left out.
# Versions: scikit-image 0.26.0, numpy 2.4.6.
# Expected (a first guess): labels are names, so the error does not change when 1 is added to all of
# them, and it is 0 only where both clusterings are equal, as for variation_of_information of the
# same module.
# Seen: what is 0 in the first clustering does not count: ignore_labels is (0,) here and empty
# there. A clustering that mixes class 0 with the two others has the error 0 until 1 is added, and
# 0.34 after. Classes of this field are numbered from 0; images of segments keep 0 for the
# background.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-image==0.26.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from skimage.metrics import adapted_rand_error, variation_of_information

truth = np.repeat([0, 1, 2], 100)
found = np.where(truth == 0, np.arange(300) % 2 + 1, truth)
error, moved = (adapted_rand_error(truth + k, found + k)[0] for k in (0, 1))
every = adapted_rand_error(truth, found, ignore_labels=())[0]
information = [variation_of_information(truth + k, found + k).sum() for k in (0, 1)]
same = [labels[:, None] == labels for labels in (truth, found)]
pairs = [matrix.sum() - 300 for matrix in (same[0] & same[1], *same)]
right = 1 - 2 * pairs[0] / (pairs[1] + pairs[2])
print(f"error {error:.3f}, with 1 added to all labels {moved:.3f}, with ignore_labels=() "
      f"{every:.3f}, by counting pairs {right:.3f}; variation of information "
      f"{information[0]:.3f} and {information[1]:.3f}")
assert error == 0 and moved > 0.2 and abs(information[0] - information[1]) < 1e-9
assert abs(moved - every) < 1e-9 and abs(moved - right) < 1e-9
PYTHON
