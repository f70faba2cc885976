#!/usr/bin/env bash
# skl2onnx exports a nearest-neighbour classifier that weighs by distance as one that does not.
# Versions: skl2onnx 1.20.0, onnx 1.23.2, onnxruntime 1.32.0, scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): the exported model says what the fitted one says, or the export is
# refused, as it is for weights that are a function.
# Seen: with weights="distance" each neighbour has one vote. A row next to one of class 0, with two
# of class 1 among its three neighbours, is class 0 before and class 1 after, with the probabilities
# 1/3 and 2/3 wherever it lies, even on a row of the training set. The regressor is the plain mean
# of its neighbours. Nothing warns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  skl2onnx==1.20.0 onnx==1.23.2 onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from onnxruntime import InferenceSession
from skl2onnx import to_onnx
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

rows = np.array([[0], [1], [2], [3]], np.float32)
classes = np.array([0, 1, 1, 0])
asked = np.array([[0], [0.1], [0.4], [2.9]], np.float32)


def exported(model, **options):
    file = to_onnx(model, rows[:1], **options).SerializeToString()
    return InferenceSession(file).run(None, {"X": asked})


for weights in ("uniform", "distance"):
    model = KNeighborsClassifier(3, weights=weights).fit(rows, classes)
    labels, shares = exported(model, options={"zipmap": False})
    regressor = KNeighborsRegressor(3, weights=weights).fit(rows, classes.astype(np.float32))
    values = exported(regressor)[0].ravel()
    print(f"{weights}: {model.predict(asked)} before, {labels} after; "
          f"P(class 1) {model.predict_proba(asked)[:, 1].round(2)} and {shares[:, 1].round(2)}; "
          f"regressor {regressor.predict(asked).round(2)} and {values.round(2)}")
    same = np.allclose(shares, model.predict_proba(asked), atol=1e-3)
    assert same == (weights == "uniform")
    assert np.allclose(shares[:, 1], 2 / 3) and np.allclose(values, 2 / 3)
assert list(model.predict(asked)) == [0, 0, 0, 0] and list(labels) == [1, 1, 1, 1]
PYTHON
