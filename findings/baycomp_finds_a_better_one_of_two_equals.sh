#!/usr/bin/env bash
# baycomp's signed-rank test says that the first of two equal models is better with probability
# 0.68.
# Versions: baycomp 1.0.3, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): 0.5 and 0.5 for ten equal scores, whichever comes first; and where a
# model wins on one of ten and ties on nine, something near 0.5, as ties speak for neither.
# Seen: about 0.7 and 0.3, and the same with the names swapped. Every draw is 0.5 up to rounding,
# and it is counted on which side of 0.5 it fell. One win among nine ties gives 1.0. Scores that
# count images, or that are rounded, have such ties. The sign test gives nan. With a rope above 0
# both tests say that equal models are equal.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  baycomp==1.0.3 scipy==1.17.1 numpy==2.4.6 matplotlib==3.11.2
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from baycomp import SignedRankTest, SignTest

scores = np.linspace(0.8, 0.9, 10)
better = scores.copy()
better[0] += 0.01
rank = SignedRankTest.probs
seed = {"random_state": 0}
equal, once = rank(scores, scores, **seed), rank(scores, better, **seed)
rope, sign = rank(scores, scores, rope=0.001, **seed), SignTest.probs(scores, scores, **seed)
spread = np.ptp(SignedRankTest.sample(scores, scores, **seed)[:, 2])
print("equal scores:", *equal, "; draws of it differ by", spread)
print("second better on one of ten, equal on nine:", *once)
print("equal, with a rope:", *rope, "; sign test:", *sign)
assert abs(equal[0] - 0.5) > 0.05 and spread < 1e-12
assert once[1] == 1 and rope[1] == 1 and np.isnan(sign).all()
PYTHON
