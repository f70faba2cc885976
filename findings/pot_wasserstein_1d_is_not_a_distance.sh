#!/usr/bin/env bash
# POT's wasserstein_1d is W to the power of p; its sliced distance of the same rows is W.
# Versions: POT 0.9.7.post1, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): both are the p-Wasserstein distance. In one dimension there is one
# slice, so they are equal; rows twice as far apart are at twice the distance.
# Seen: of all mass at 0 and all mass at 3, for p = 2, wasserstein_1d says 9 and
# sliced_wasserstein_distance and max_sliced_wasserstein_distance say 3. For p = 1 all agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pot==0.9.7.post1 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import ot


def distances(far, p):
    here, there = np.zeros((4, 1)), np.full((4, 1), far)
    plain = ot.wasserstein_1d(here[:, 0], there[:, 0], p=p)
    slices = (
        measure(here, there, p=p, seed=0)
        for measure in (ot.sliced_wasserstein_distance, ot.max_sliced_wasserstein_distance)
    )
    return tuple(round(float(np.squeeze(value)), 6) for value in (plain, *slices))


two, one, twice = distances(3.0, 2), distances(3.0, 1), distances(6.0, 2)
print(f"wasserstein_1d, sliced, largest slice: {two} for p = 2, {one} for p = 1; "
      f"twice as far: {twice}")
assert two == (9, 3, 3) and one == (3, 3, 3) and twice == (36, 6, 6)
PYTHON
