#!/usr/bin/env bash
# The AUC of Keras for a perfect ranking is 0.5 if all cosines are negative, or all are close.
# Versions: keras 3.15.1, jax 0.10.2, scikit-learn 1.9.1.
# Expected (a first guess): the area under the ROC curve depends on the order of the scores alone.
# So a ranking of pairs by cosine that puts all equal pairs first has an AUC of 1, with any shift
# or scale.
# Seen: 0.5 for cosines from -0.9 to -0.1, and 0.5 for cosines from 0.9960 to 0.9990, as of a
# collapsed encoder. Scores are counted at 200 fixed thresholds between 0 and 1, so those below 0
# are all alike, and so are those between two thresholds. Nothing warns. On cosines of both signs
# it is too low by some points. Its text advises scores spread over 0 to 1; thresholds=... takes a
# list, but from 0 to 1 too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  keras==3.15.1 jax==0.10.2 numpy==2.4.6 scikit-learn==1.9.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os

os.environ["KERAS_BACKEND"] = "jax"
import numpy as np
from keras.metrics import AUC
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(0)
equal = np.repeat([0, 1], 500)
perfect = np.linspace(0, 1, 1000)
noisy = np.tanh(rng.standard_normal(1000) * 0.3 + equal * 0.4 - 0.2)


def show(name, scores):
    metric = AUC()
    metric.update_state(equal, scores)
    seen, right = float(metric.result()), roc_auc_score(equal, scores)
    print(f"{name}: Keras {seen:.3f}, scikit-learn {right:.3f}")
    return seen, right


assert show("perfect, -0.9 to -0.1", perfect * 0.8 - 0.9) == (0.5, 1.0)
assert show("perfect, 0.9960 to 0.9990", 0.996 + perfect * 0.003) == (0.5, 1.0)
seen, right = show("perfect, 0 to 1", perfect)
assert abs(seen - right) < 0.001
seen, right = show("noisy cosines", noisy)
assert seen < right - 0.02
seen, right = show("the same, moved to 0 to 1", (noisy + 1) / 2)
assert abs(seen - right) < 0.002
PYTHON
