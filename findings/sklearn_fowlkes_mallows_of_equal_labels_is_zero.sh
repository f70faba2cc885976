#!/usr/bin/env bash
# fowlkes_mallows_score of two equal labellings is 0.0 where each row is a cluster of its own.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): 1.0, as for any labelling with itself, and as the adjusted Rand index,
# the Rand index, NMI, AMI and V-measure have it.
# Seen: 0.0. There is no pair in a common cluster, so the score is 0 over 0, which is set to the
# worst. One pair is enough to make it 1.0: a perfect score falls to 0 with the last pair.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from sklearn import metrics

alone, one_pair = np.arange(6), np.array([0, 0, 2, 3, 4, 5])
others = ("adjusted_rand_score", "rand_score", "normalized_mutual_info_score",
          "adjusted_mutual_info_score", "v_measure_score")
score = float(metrics.fowlkes_mallows_score(alone, alone))
paired = float(metrics.fowlkes_mallows_score(one_pair, one_pair))
rest = {name: float(getattr(metrics, name)(alone, alone)) for name in others}
print(f"Fowlkes-Mallows {score} for single rows, {paired} with one pair; others: {rest}")
assert score == 0 and abs(paired - 1) < 1e-12 and all(abs(v - 1) < 1e-12 for v in rest.values())
PYTHON
