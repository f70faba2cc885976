#!/usr/bin/env bash
# In torchmetrics the AUROC of one set of cosines depends on how they are cut into batches.
# Versions: torchmetrics 1.9.0, torch 2.14.1.
# Expected (a first guess): AUROC is about the order of the scores, so it is 1.0 where each positive
# pair has a higher cosine than each negative one, in one batch or in two.
# Seen: 1.0 and 0.81. A batch with a value below 0 is taken for logits and put through a sigmoid, a
# batch of values from 0 to 1 is left, and the two are then sorted together. The sigmoid is
# documented; that each update decides for itself is not. BinaryAveragePrecision does the same.
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
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision

cosines = torch.tensor([0.5, 0.4, 0.2, 0.1, 0.5, 0.4, 0.2, -0.1])
pairs = torch.tensor([1, 1, 0, 0] * 2)
seen = {}
for make in (BinaryAUROC, BinaryAveragePrecision):
    whole, cut = make(), make()
    whole.update(cosines, pairs)
    for scores, labels in zip(cosines.split(4), pairs.split(4), strict=True):
        cut.update(scores, labels)
    seen[make.__name__] = [round(float(metric.compute()), 4) for metric in (whole, cut)]
print("in one batch and in two:", seen)
assert seen["BinaryAUROC"] == [1, 0.8125]
whole, cut = seen["BinaryAveragePrecision"]
assert whole == 1 and cut < 0.9
PYTHON
