#!/usr/bin/env bash
# The homogeneity of permetrics leaves out each cluster whose number is not that of a class.
# Versions: permetrics 2.1.0, scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): the homogeneity, completeness and V-measure of scikit-learn, as its
# NMI, its Rand indices and its silhouette are those of scikit-learn.
# Seen: with classes 0 and 1 only the clusters 0 and 1 are looked at. A random clustering of 400
# rows into twenty has a homogeneity above 0.85, where scikit-learn says below 0.06. Three clean
# clusters and a fourth of the rest have 1.0 or 0.6, by which of them is number 3; the V-measure
# follows. With as many clusters as classes all is well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  permetrics==2.1.0 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from permetrics import ClusteringMetric
from sklearn.metrics import homogeneity_completeness_v_measure, normalized_mutual_info_score


def both(classes, clusters):
    metric = ClusteringMetric(y_true=classes, y_pred=clusters, decimal=6)
    theirs = [float(getattr(metric, name)()) for name in ("HS", "CS", "VMS", "NMIS")]
    usual = (*homogeneity_completeness_v_measure(classes, clusters),
             normalized_mutual_info_score(classes, clusters))
    return theirs, [float(value) for value in usual]


classes = np.arange(400) % 2
random = np.random.default_rng(0).integers(0, 20, 400)
(many, *_, nmi), (usual, *_, nmi_usual) = both(classes, random)
print(f"random clusters: homogeneity {many:.2f}, scikit-learn {usual:.2f}; "
      f"NMI {nmi:.2f} and {nmi_usual:.2f}")
assert many > 0.85 and usual < 0.06 and abs(nmi - nmi_usual) < 1e-6
three = np.arange(300) // 100
rest = np.where(np.arange(300) % 100 < 60, three, 3)
for clusters, wrong in ((rest, True), (3 - rest, False)):
    ours, usual = both(three, clusters)
    print(f"the rest is {clusters[-1]}: homogeneity {ours[0]:.2f}, V-measure {ours[2]:.2f}; "
          f"scikit-learn {usual[0]:.2f} and {usual[2]:.2f}")
    assert abs(usual[0] - 0.6) < 0.01 and abs(ours[0] - (1.0 if wrong else 0.6)) < 0.01
    assert (ours[2] > usual[2] + 0.1) == wrong
few, usual = both(classes, (classes + (np.arange(400) < 50)) % 2)
print(f"two clusters: {few[0]:.3f} and {usual[0]:.3f}")
assert np.allclose(few, usual, atol=1e-5)
PYTHON
