#!/usr/bin/env bash
# In tinygrad ignore_index=-1 ignores nothing: rows of label -1 count as rows without a loss.
# Versions: tinygrad 0.14.0, numpy 2.4.6.
# Expected (a first guess): sparse_categorical_crossentropy(labels, ignore_index=-1) is the mean
# over the rows whose label is not -1, the label of noise by DBSCAN and of an unlabelled row in
# scikit-learn. With any other number it is.
# Seen: the sum over the labelled rows divided by all rows: half where half of the labels are -1.
# -1 is the default and stands for "no such label". With label_smoothing the rows of label -1 even
# train the model, towards equal scores. With -100 both are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  tinygrad==0.14.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os

os.environ["DEV"] = "PYTHON"
import numpy as np
from tinygrad import Tensor

scores = np.array([[1, 2, 3], [2, 0, 1], [4, 0, 0], [0, 5, 0]], "float32")
labels = np.array([2, 0, -1, -1])
logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
keep = labels >= 0
for smoothing in (0.0, 0.1):
    rows = (1 - smoothing) * logs[np.arange(4), labels] + smoothing * logs.mean(1)
    right = -rows[keep].mean()

    def loss(ignored, values=scores):
        renamed = Tensor(np.where(keep, labels, ignored).astype("int32"))
        return Tensor(values).sparse_categorical_crossentropy(
            renamed, ignore_index=ignored, label_smoothing=smoothing).item()

    other = scores.copy()
    other[2] = [8, 0, 0]
    change = loss(-1, other) - loss(-1)
    print(f"label smoothing {smoothing}: {loss(-1):.4f} with -1, {loss(-100):.4f} with -100, "
          f"formula {right:.4f}; another ignored row changes the first by {change:.4f}")
    assert abs(loss(-100) - right) < 1e-5 and abs(loss(-100, other) - right) < 1e-5
    if smoothing:
        assert abs(change) > 0.01
    else:
        assert abs(loss(-1) - right / 2) < 1e-5 and abs(change) < 1e-6
PYTHON
