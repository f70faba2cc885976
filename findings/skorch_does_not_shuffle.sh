#!/usr/bin/env bash
# skorch trains in the order of the rows, the same in each epoch.
# Versions: skorch 1.4.0, scikit-learn 1.9.1, torch 2.14.1.
# Expected (a first guess): fit() shuffles the rows in each epoch, as scikit-learn's networks and
# Keras do; a classifier may be given rows that are sorted by class.
# Seen: the batches are rows 0 to 3 and 4 to 7, in each epoch. Sorted rows make batches of one
# class, with statistics of one class in Batch Normalization. iterator_train__shuffle=True gives the
# guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 \
  skorch==1.4.0 scikit-learn==1.9.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import torch
from skorch import NeuralNetClassifier

seen = []


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 2)

    def forward(self, rows):
        if self.training:
            seen.append(rows[:, 0].int().tolist())
        return torch.softmax(self.layer(rows), -1)


rows, labels = np.arange(8, dtype=np.float32)[:, None], np.array([0] * 4 + [1] * 4)
for options in ({}, {"iterator_train__shuffle": True}):
    NeuralNetClassifier(Model, max_epochs=3, batch_size=4, verbose=0, train_split=None,
                        **options).fit(rows, labels)
plain, shuffled = seen[:6], seen[6:]
print(f"batches of three epochs: {plain}; with shuffle {shuffled}")
assert plain == [[0, 1, 2, 3], [4, 5, 6, 7]] * 3 and shuffled != plain
PYTHON
