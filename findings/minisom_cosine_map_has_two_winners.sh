#!/usr/bin/env bash
# A cosine map of MiniSom names one winner of a row by winner() and another by quantization().
# Versions: minisom 2.3.6, numpy 2.4.6.
# Expected (a first guess): with activation_distance="cosine", quantization(row) is the weights of
# winner(row), and the quantization and topographic errors belong to the cosine.
# Seen: winner, training and win_map use the cosine; quantization and both errors use the
# Euclidean distance of the same weights. For rows of different lengths the two differ for a
# quarter of the rows, and the errors judge a map by a distance that it was not trained for. Rows
# of length 1 make it less, not go away. Take the units from winner.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  minisom==2.3.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from minisom import MiniSom

rng = np.random.default_rng(0)
rows = rng.normal(size=(200, 4))
for name, data in (("different lengths", rows * rng.uniform(0.2, 5, size=(200, 1))),
                   ("length 1", rows / np.linalg.norm(rows, axis=1, keepdims=True))):
    som = MiniSom(6, 6, 4, activation_distance="cosine", random_seed=0)
    som.train(data, 1000)
    weights = som.get_weights().reshape(36, 4)
    winners = np.array([np.ravel_multi_index(som.winner(row), (6, 6)) for row in data])
    lengths = np.linalg.norm(data, axis=1)[:, None] * np.linalg.norm(weights, axis=1)
    by_cosine = (data @ weights.T / lengths).argmax(axis=1)
    by_length = np.linalg.norm(data[:, None] - weights, axis=2).argmin(axis=1)
    same = (som.quantization(data) == weights[winners]).all(axis=1).mean()
    print(f"rows of {name}: quantization() has the weights of winner() for {same:.2f} of the rows; "
          f"winner() is nearest by cosine for {(winners == by_cosine).mean():.2f}")
    assert (winners == by_cosine).all() and same < (0.85 if name != "length 1" else 0.999)
    assert np.array_equal(som.quantization(data), weights[by_length])
PYTHON
