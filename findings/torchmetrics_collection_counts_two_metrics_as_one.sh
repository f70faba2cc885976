#!/usr/bin/env bash
# In a MetricCollection of torchmetrics the top-2 accuracy is the top-1 accuracy if the first batch
# was easy.
# Versions: torchmetrics 1.9.0, torch 2.14.1.
# Expected (a first guess): each metric of a collection has the value that it has alone; only
# metrics that count the same things, such as precision and recall, share their counts.
# Seen: whoever has equal counts after the first batch shares them from then on. A first batch that
# is all right makes top-2 equal top-1: 0.24 instead of 0.45. So do two thresholds (1.00 instead of
# 0.51), and an accuracy that leaves out a class which the first batch did not hold. Another order
# of the batches gives the true values. compute_groups=False does too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy


def values(make, batches, **options):
    collection = MetricCollection(make(), **options)
    for batch in batches:
        collection.update(*batch)
    return {name: round(value.item(), 2) for name, value in collection.compute().items()}


torch.manual_seed(0)
easy = 9 * torch.eye(5), torch.arange(5)
rest = torch.randn(100, 5), torch.randint(5, (100,))
clear = torch.tensor([0.01, 0.99]), torch.tensor([0, 1])
close = torch.tensor([0.6, 0.2]).repeat(50), torch.tensor([1, 0]).repeat(50)
without_0 = torch.tensor([1, 2]), torch.tensor([1, 2])
with_0 = torch.tensor([0] * 8 + [1, 1]), torch.tensor([0] * 8 + [1, 2])
cases = {
    "top": (lambda: {"one": MulticlassAccuracy(5, top_k=1), "two": MulticlassAccuracy(5, top_k=2)},
            easy, rest),
    "threshold": (lambda: {"one": BinaryAccuracy(0.5), "two": BinaryAccuracy(0.9)}, clear, close),
    "class left out": (lambda: {"one": MulticlassAccuracy(3, average="micro"),
                                "two": MulticlassAccuracy(3, average="micro", ignore_index=0)},
                       without_0, with_0),
}
seen = {}
for name, (make, first, second) in cases.items():
    ways = {"easy batch first": values(make, [first, second]),
            "easy batch last": values(make, [second, first]),
            "first, without groups": values(make, [first, second], compute_groups=False)}
    print(f"{name}: {ways}")
    seen[name] = [way["two"] for way in ways.values()]
    assert ways["easy batch first"]["one"] == ways["easy batch first"]["two"]
assert seen == {"top": [0.24, 0.45, 0.45], "threshold": [1.0, 0.51, 0.51],
                "class left out": [0.92, 0.75, 0.75]}
PYTHON
