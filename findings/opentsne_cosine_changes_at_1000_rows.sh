#!/usr/bin/env bash
# openTSNE's cosine distance is another one from 1000 rows on.
# Versions: openTSNE 1.0.4, scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): metric="cosine" is 1 - cos, as in scikit-learn, for however many rows.
# Seen: it is for 999 rows. With one row more the search changes from scikit-learn to Annoy, whose
# "angular" distance is the chord, sqrt(2 - 2 cos). t-SNE squares what it gets, so the weights
# of the neighbours fall with 1 - cos, where they fell with its square: the nearest one weighs more.
# A run on a subsample is not the same method. neighbors="exact" gives 1 - cos for all sizes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  openTSNE==1.0.4 scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from openTSNE.affinity import PerplexityBasedNN

rows = np.random.default_rng(0).normal(size=(1000, 8)) + 0.5
unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)


def weights(count, method="auto"):
    found = PerplexityBasedNN(rows[:count], perplexity=10, metric="cosine", method=method,
                              symmetrize=False, random_state=0)
    neighbours, distances = found.knn_index.build()
    cosines = np.einsum("ij,ikj->ik", unit[:count], unit[neighbours])
    nearest = found.P.max(axis=1).toarray().mean() * count
    print(f"{count} rows, {method}: first neighbour at {distances[0, 0]:.3f}, 1 - cos "
          f"{1 - cosines[0, 0]:.3f}, mean weight of the nearest {nearest:.3f}")
    return distances, 1 - cosines, nearest


few, many, exact = weights(999), weights(1000), weights(1000, "exact")
assert np.allclose(few[0], few[1], atol=1e-5) and np.allclose(exact[0], exact[1], atol=1e-5)
assert np.allclose(many[0], np.sqrt(2 * many[1]), atol=1e-3)
assert abs(few[2] - exact[2]) < 0.01 and many[2] > few[2]
PYTHON
