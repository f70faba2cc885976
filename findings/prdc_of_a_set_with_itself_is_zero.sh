#!/usr/bin/env bash
# The precision, recall and coverage of repeated rows by prdc are 0 against their exact copy.
# Versions: prdc 0.2, numpy 2.4.6, scikit-learn 1.9.1.
# Expected (a first guess): precision, recall and coverage are 1 for a set and its copy, whatever is
# in it: each row lies on one of the other set.
# Seen: they are 1 for 50 different rows. With each of them there six times, and nearest_k=5, all are
# 0: the radius around a row is 0 then, and a row is inside only if it is nearer than the radius. So
# the features of a collapsed model, or images that repeat, count as covered by nothing. With "not
# farther than the radius" all three would be 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  prdc==0.2 numpy==2.4.6 scikit-learn==1.9.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io

import numpy as np
from prdc import compute_prdc

rows = np.random.default_rng(0).integers(0, 9, (50, 8)).astype(float)
cases = {"50 rows": rows, "each six times": np.repeat(rows, 6, axis=0),
         "one row 60 times": np.ones((60, 8))}
seen = {}
for name, case in cases.items():
    with contextlib.redirect_stdout(io.StringIO()):
        seen[name] = compute_prdc(case, case.copy(), nearest_k=5)
    distances = np.linalg.norm(case[:, None] - case[None], axis=2)
    radius = np.sort(distances, axis=1)[:, 5]
    closed = (distances <= radius[:, None]).any(axis=0).mean()
    print(f"{name}: {({key: round(float(value), 2) for key, value in seen[name].items()})}, "
          f"precision with <= {closed:.2f}")
    assert closed == 1
assert all(seen["50 rows"][name] == 1 for name in ("precision", "recall", "coverage"))
assert not any(seen["each six times"].values()) and not any(seen["one row 60 times"].values())
PYTHON
