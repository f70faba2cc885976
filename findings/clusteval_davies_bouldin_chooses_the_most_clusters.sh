#!/usr/bin/env bash
# The Davies-Bouldin index of clusteval finds eleven clusters, of at most eleven, in three blobs.
# Versions: clusteval 2.2.7, scikit-learn 1.9.1, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): evaluate="dbindex" computes the index of davies_bouldin_score in
# scikit-learn: for each cluster its worst neighbour, and the mean of these. It is least at three
# clusters.
# Seen: the worst pair of all, divided by the number of clusters. So the value falls as clusters
# are added, and the largest number that may be tried wins. With evaluate="silhouette" the same
# rows give three.
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
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import davies_bouldin_score

rng = np.random.default_rng(0)
rows = np.concatenate([rng.normal(size=(60, 2)) + c for c in ([0, 0], [8, 0], [0, 8])])
chosen = {}
for name in ("dbindex", "silhouette"):
    model = clusteval(cluster="agglomerative", evaluate=name, min_clust=2, max_clust=12,
                      verbose="silent")
    result = model.fit(rows)
    chosen[name] = len(np.unique(result["labx"]))
    if name == "dbindex":
        scores = result["score"]["score"].to_numpy()
tree = linkage(rows, method="ward")
labels = [fcluster(tree, k, criterion="maxclust") for k in range(2, 12)]
known = np.array([davies_bouldin_score(rows, v) for v in labels])
print("clusters:", list(range(2, 12)))
print("clusteval:", scores.round(2))
print("scikit-learn:", known.round(2))
print(f"chosen: {chosen}, by scikit-learn {known.argmin() + 2}")
assert chosen == {"dbindex": 11, "silhouette": 3} and known.argmin() + 2 == 3
assert np.isclose(scores[0], known[0] / 2) and (scores < known).all()
PYTHON
