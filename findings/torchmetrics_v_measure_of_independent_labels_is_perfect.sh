#!/usr/bin/env bash
# A clustering that says nothing about the classes scores a perfect V-measure in torchmetrics.
# Versions: torchmetrics 1.9.0, scikit-learn 1.9.1, torch 2.14.1.
# Expected (a first guess): homogeneity and completeness are both 0, so their harmonic mean is 0, as
# scikit-learn has it.
# Seen: where both are exactly 0, torchmetrics' v_measure_score gives 1; its own parts, and every
# other score of the pair, say 0. One image in another cluster, and it falls to nearly 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 numpy==2.4.6 torchmetrics==1.9.0 scikit-learn==1.9.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from sklearn.metrics import v_measure_score as sklearn_v
from torchmetrics.functional.clustering import (
    completeness_score,
    homogeneity_score,
    v_measure_score,
)

classes = torch.arange(10).repeat_interleave(10)  # ten classes of ten images
clusters = torch.arange(10).repeat(10)  # every cluster holds one image of every class
parts = [float(f(clusters, classes)) for f in (homogeneity_score, completeness_score)]
found = float(v_measure_score(clusters, classes))
other = float(sklearn_v(classes.numpy(), clusters.numpy()))
clusters[0] = 1
moved = float(v_measure_score(clusters, classes))
print(f"homogeneity {parts[0]:.3f}, completeness {parts[1]:.3f}, V-measure {found:.3f} "
      f"(scikit-learn {other:.3f}); one image moved: {moved:.3f}")
assert max(parts) < 1e-6 and found == 1.0 and other < 1e-6 and moved < 0.02
PYTHON
