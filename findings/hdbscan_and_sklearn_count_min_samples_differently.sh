#!/usr/bin/env bash
# min_samples means another number of neighbours in hdbscan and in scikit-learn's HDBSCAN.
# Versions: hdbscan 0.8.44, scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): the same algorithm with the same parameters gives the same labels.
# Seen: they differ; they agree with min_samples one larger in scikit-learn, which counts the row
# itself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  hdbscan==0.8.44 scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import hdbscan
from sklearn.cluster import HDBSCAN
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

rows, _ = make_blobs(300, centers=5, cluster_std=1.5, random_state=0)
theirs = hdbscan.HDBSCAN(min_cluster_size=10, min_samples=5).fit_predict(rows)
same, one_more = (
    HDBSCAN(min_cluster_size=10, min_samples=n, copy=True).fit_predict(rows) for n in (5, 6)
)
scores = adjusted_rand_score(theirs, same), adjusted_rand_score(theirs, one_more)
print(f"agreement (ARI) with min_samples 5 and 5: {scores[0]:.3f}; with 5 and 6: {scores[1]:.3f}")
assert scores[0] < 1 and scores[1] == 1
PYTHON
