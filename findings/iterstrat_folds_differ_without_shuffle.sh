#!/usr/bin/env bash
# MultilabelStratifiedKFold deals other folds at each call, though shuffle is False.
# Versions: iterative-stratification 0.1.9, scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): as in scikit-learn's KFold and StratifiedKFold, whose interface it takes
# over: with shuffle=False, its default, two calls give the same folds.
# Seen: at a second call most rows are in another fold. Ties are broken by random_state even without
# shuffling, and that is NumPy's global generator by default. So two models that are compared fold
# by fold, each with a call of its own, are not paired. A random_state raises an error, by a check
# of scikit-learn, unless shuffle=True is given too; with both the folds stay.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  iterative-stratification==0.1.9 scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import StratifiedKFold

rng = np.random.default_rng(0)
labels = (rng.random((100, 4)) < 0.3).astype(int)
single = labels[:, 0]


def fold_of(splitter, target):
    folds = np.empty(len(target), dtype=int)
    for number, (_, test) in enumerate(splitter.split(target, target)):
        folds[test] = number
    return folds


def same(splitter, target):
    first, second = fold_of(splitter, target), fold_of(splitter, target)
    return (first == second).mean()


seen = {"StratifiedKFold(5)": same(StratifiedKFold(5), single),
        "MultilabelStratifiedKFold(5)": same(MultilabelStratifiedKFold(5), labels),
        "with shuffle=True, random_state=0":
        same(MultilabelStratifiedKFold(5, shuffle=True, random_state=0), labels)}
for name, share in seen.items():
    print(f"{name}: {share:.2f} of the rows in the same fold at a second call")
assert list(seen.values())[::2] == [1, 1] and list(seen.values())[1] < 0.5
PYTHON
