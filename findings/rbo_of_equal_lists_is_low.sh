#!/usr/bin/env bash
# The rank-biased overlap of a list of ten with itself is 0.65 by rbo; with its first three it is 1.
# Versions: rbo 0.1.3, numpy 1.26.4.
# Expected (a first guess): a similarity of rankings from 0 to 1, with 1 for equal lists of ten
# neighbours, whatever the weight p; and below 1 for lists of three and of ten.
# Seen: rbo(p=0.9) of ten equal neighbours is 0.65, and 0.27 at a depth of three: 1 - p^depth, the
# part of an endless list that was seen. So values of other depths do not compare. rbo(), with its
# default of p = 1, is another measure, the average overlap, and ends where the shorter list
# ends: the first three of ten score 1. rbo_ext(p=0.9) gives 1 for equal lists.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  rbo==0.1.3 numpy==1.26.4
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from rbo import RankingSimilarity

ten = list(range(10))
same, start = RankingSimilarity(ten, ten), RankingSimilarity(ten[:3], ten)
values = {"ten and ten, p=0.9": same.rbo(p=0.9), "at a depth of 3": same.rbo(k=3, p=0.9),
          "extrapolated": same.rbo_ext(p=0.9), "three and ten, p=1": start.rbo(),
          "three and ten, p=0.9": start.rbo(p=0.9)}
for name, value in values.items():
    print(f"{name}: {value:.3f}")
assert np.allclose(list(values.values()), [1 - 0.9 ** 10, 1 - 0.9 ** 3, 1, 1, 1 - 0.9 ** 3])
PYTHON
