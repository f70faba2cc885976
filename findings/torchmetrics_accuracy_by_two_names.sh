#!/usr/bin/env bash
# Accuracy(task="multiclass") and MulticlassAccuracy of torchmetrics are not one accuracy.
# Versions: torchmetrics 1.9.0, torch 2.14.1.
# Expected (a first guess): the first is a short way to build the second: the share of rows that
# are right.
# Seen: the first builds the second with average="micro"; built directly it takes "macro", the
# mean over classes. A probe that always says class 0 scores 0.90 or 0.50 on nine rows of class 0
# for one of class 1; the two functional forms differ alike.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 torchmetrics==1.9.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torchmetrics import Accuracy
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional import accuracy
from torchmetrics.functional.classification import multiclass_accuracy

truth, said = torch.tensor([0] * 90 + [1] * 10), torch.zeros(100, dtype=torch.long)
short = Accuracy(task="multiclass", num_classes=2)
scores = {
    "Accuracy": short(said, truth),
    "MulticlassAccuracy": MulticlassAccuracy(num_classes=2)(said, truth),
    "accuracy": accuracy(said, truth, task="multiclass", num_classes=2),
    "multiclass_accuracy": multiclass_accuracy(said, truth, num_classes=2),
}
scores = {name: round(float(score), 6) for name, score in scores.items()}
print("the first is a", type(short).__name__, scores)
assert type(short) is MulticlassAccuracy and list(scores.values()) == [0.9, 0.5, 0.9, 0.5]
PYTHON
