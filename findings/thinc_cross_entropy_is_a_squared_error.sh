#!/usr/bin/env bash
# The cross-entropy by thinc of a model that is sure and wrong is 2, and halves when the batch is
# given twice.
# Versions: thinc 8.3.13, numpy 2.4.6. In 9.1.1 too.
# Expected (a first guess): CategoricalCrossentropy().get_loss(probabilities, classes) is the mean
# of -log(p of the true class): 13.8 where that p is a millionth, and the same for a batch and for
# the batch twice.
# Seen: 2.0, and 1.0 for the batch twice. The number is the sum of the squares of the gradient,
# which is probability minus truth over the number of rows: a squared error, divided by the rows
# twice. The gradient itself is that of the cross-entropy, so training is right and the printed
# loss is not. It puts two models in the wrong order. L2Distance divides by the rows twice as well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  thinc==8.3.13 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from thinc.api import CategoricalCrossentropy, L2Distance

loss = CategoricalCrossentropy()


def show(name, p, labels):
    p, labels = np.array(p, dtype="f"), np.array(labels)
    formula = -np.log(p[np.arange(len(p)), labels]).mean()
    squares = ((p - np.eye(p.shape[1])[labels]) ** 2).sum() / len(p) ** 2
    seen = loss.get_loss(p, labels)
    print(f"{name}: thinc {seen:.3f}, mean of -log p {formula:.3f}, squares {squares:.3f}")
    assert abs(seen - squares) < 1e-4
    gradient = loss.get_grad(p, labels)
    assert np.allclose(gradient, (p - np.eye(p.shape[1])[labels]) / len(p), atol=1e-6)
    return seen, formula


wrong = [1e-6, 1 - 2e-6, 1e-6]
one = show("a row, sure and wrong", [wrong], [0])
two = show("the same row twice", [wrong] * 2, [0] * 2)
assert abs(one[0] - 2) < 1e-3 and abs(two[0] - 1) < 1e-3 and abs(one[1] - two[1]) < 1e-6
# Ten rows: one is very wrong, or all are undecided.
right = [0.998, 0.001, 0.001]
first = show("nine right, one wrong", [right] * 9 + [wrong], [0] * 10)
second = show("all of them undecided", [[0.4, 0.3, 0.3]] * 10, [0] * 10)
assert first[0] < second[0] and first[1] > second[1]
a, b = np.ones((4, 2), dtype="f"), np.zeros((4, 2), dtype="f")
distances = [float(L2Distance().get_loss(*(np.tile(x, (k, 1)) for x in (a, b)))) for k in (1, 2)]
print(f"L2Distance of a batch, and of the batch twice: {distances}")
assert distances == [0.5, 0.25]
PYTHON
