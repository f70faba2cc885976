#!/usr/bin/env bash
# kneed's KneeLocator puts the elbow of an inertia curve at one cluster, or at the last.
# Versions: kneed 0.9.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): it sees whether a curve falls, and finds the bend at 3, or else says
# None.
# Seen: unless told, it takes every curve for a rising one that flattens: K = 1. With only
# curve="convex" it says 10, the largest K; only with direction="decreasing" as well it says 3.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  kneed==0.9.0 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
from kneed import KneeLocator

clusters = range(1, 11)
inertia = [1000, 500, 200, 180, 165, 152, 141, 132, 125, 120]
usual = KneeLocator(clusters, inertia).knee
half = KneeLocator(clusters, inertia, curve="convex").knee
told = KneeLocator(clusters, inertia, curve="convex", direction="decreasing").knee
print(f"elbow at {usual}; with curve='convex' at {half}; with direction='decreasing' too at {told}")
assert (usual, half, told) == (1, 10, 3)
PYTHON
