#!/usr/bin/env bash
# The first cluster of clusteval's k-means has the number -1, which stands for noise elsewhere.
# Versions: clusteval 2.2.7, scikit-learn 1.9.1, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): labels from 0 on with cluster="kmeans", as with "agglomerative"; and
# max_clust clusters are tried too, as documented ("smaller or equals").
# Seen: 1 is taken from all labels, which suits SciPy's trees, that count from 1, but not k-means.
# So a whole blob is called -1, as noise is by this library's own DBSCAN and HDBSCAN, and a step
# that drops noise drops it. And max_clust=3 tries two clusters only, so three blobs are never
# found with it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  clusteval==2.2.7 scikit-learn==1.9.1 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from clusteval import clusteval

rng = np.random.default_rng(0)
rows = np.concatenate([rng.normal(size=(60, 2)) + c for c in ([0, 0], [8, 0], [0, 8])])
seen = {}
for most in (3, 4):
    for name in ("agglomerative", "kmeans"):
        model = clusteval(cluster=name, evaluate="silhouette", min_clust=2, max_clust=most,
                          verbose="silent")
        result = model.fit(rows)
        labels, counts = np.unique(result["labx"], return_counts=True)
        tried = result["score"]["clusters"].tolist()
        print(f"max_clust {most}, {name}: tried {tried}, labels {labels}, rows {counts}")
        seen[most, name] = (tried, labels.tolist())
assert seen[3, "kmeans"] == ([2], [-1, 0]) and seen[4, "kmeans"] == ([2, 3], [-1, 0, 1])
assert seen[4, "agglomerative"] == ([2, 3], [0, 1, 2])
PYTHON
