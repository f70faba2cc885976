#!/usr/bin/env bash
# A split into 50 rows to train and 200 to test by MultilabelStratifiedShuffleSplit has 200 and 800.
# Versions: iterative-stratification 0.1.9, scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): as in scikit-learn's StratifiedShuffleSplit, whose arguments it has:
# train_size=50 and test_size=200 of 1000 rows give 50 and 200, or a few rows more or less, and the
# others are left out.
# Seen: it deals out all 1000 rows in the ratio of the two, 200 and 800. A curve of the accuracy
# over the number of labels is then one over other numbers, and over a test set that shrinks.
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
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit
from sklearn.model_selection import StratifiedShuffleSplit

labels = (np.random.default_rng(0).random((1000, 4)) < 0.3).astype(int)


def sizes(kind, target, train, test):
    splitter = kind(1, train_size=train, test_size=test, random_state=0)
    return [len(part) for part in next(splitter.split(target, target))]


for train, test in ((50, 200), (100, 200), (400, 200), (0.05, 0.2)):
    one = sizes(StratifiedShuffleSplit, labels[:, 0], train, test)
    many = sizes(MultilabelStratifiedShuffleSplit, labels, train, test)
    print(f"train_size={train}, test_size={test}: {one} rows by scikit-learn, {many} by iterstrat")
    assert sum(one) < 1000 and sum(many) == 1000
    assert abs(many[0] - 1000 * train / (train + test)) < 5
PYTHON
