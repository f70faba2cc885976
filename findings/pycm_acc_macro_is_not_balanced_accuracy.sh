#!/usr/bin/env bash
# pycm's ACC_Macro of a model that always says class 0, of ten, is 0.82.
# Versions: pycm 4.6, numpy 2.4.6.
# Expected (a first guess): the mean over the classes of each class's accuracy, which is 0.1 here,
# as balanced accuracy in scikit-learn and macro accuracy elsewhere are.
# Seen: each class counts its true negatives too, (TP + TN) / N, so a constant answer scores 0.82
# among ten classes, and more among a hundred. TPR_Macro is the 0.1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pycm==4.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
from pycm import ConfusionMatrix


def constant(classes):
    true = list(range(classes)) * 20
    return ConfusionMatrix(true, [0] * len(true))


ten, hundred = constant(10), constant(100)
print(f"always class 0: ACC_Macro {ten.ACC_Macro:.3f} of 10, "
      f"{hundred.ACC_Macro:.3f} of 100; "
      f"TPR_Macro {ten.TPR_Macro:.3f}, Overall_ACC {ten.Overall_ACC:.3f}")
assert abs(ten.ACC_Macro - 0.82) < 1e-9 and hundred.ACC_Macro > 0.98
assert abs(ten.TPR_Macro - 0.1) < 1e-9 and abs(ten.Overall_ACC - 0.1) < 1e-9
PYTHON
