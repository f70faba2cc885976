#!/usr/bin/env bash
# The intrinsic dimension of a plane by scikit-dimension's MLE is 0 once two of 501 rows are equal.
# Versions: scikit-dimension 0.5.0, scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): one image that is there twice changes the estimate in its third digit,
# or is refused.
# Seen: 1.9 without it and 0.0 with it. A neighbour at a distance of 0 makes the dimension of its
# row 0, and rows are combined by their harmonic mean, which one 0 decides. The same data by TwoNN
# has 2.1, and lPCA 2. comb="mean" gives 1.9. Leave out equal rows first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-dimension==0.5.0 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from skdim.id import MLE, TwoNN

rng = np.random.default_rng(0)
plane = np.zeros((500, 10))
plane[:, :2] = rng.random((500, 2))
twice = np.concatenate([plane, plane[:1]])
found = {name: (MLE().fit(rows).dimension_, MLE().fit(rows, comb="mean").dimension_,
                TwoNN().fit(rows).dimension_)
         for name, rows in (("plane", plane), ("one row twice", twice))}
for name, dimensions in found.items():
    print(name + ": MLE {:.3f}, MLE with comb='mean' {:.3f}, TwoNN {:.3f}".format(*dimensions))
assert 1.8 < found["plane"][0] < 2.2 and found["one row twice"][0] == 0
assert all(1.8 < value < 2.2 for value in found["one row twice"][1:])
PYTHON
