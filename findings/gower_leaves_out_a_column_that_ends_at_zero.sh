#!/usr/bin/env bash
# gower leaves out each column whose largest value is 0.
# Versions: gower 0.1.2, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): each difference is divided by the range of its column, so adding a
# constant to a column changes nothing.
# Seen: the numbers are divided by their largest value first, and where that is 0 the column counts
# as constant. So 0, -1 and -2 are all alike, and the same column plus 1 gives distances up to 1.
# Negative squared distances, scores relative to the best run and log-probabilities that reach 0
# are such columns. Nothing warns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  gower==0.1.2 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import gower
import numpy as np

column = np.array([[0.0], [-1.0], [-2.0]])
right = np.abs(column - column.T) / 2
seen = {}
for shift in (0.0, 1.0, 5.0, -1e-3):
    seen[shift] = gower.gower_matrix(column + shift)
    print(f"0, -1, -2 plus {shift}: distances to the first row {seen[shift][0].round(4)}, "
          f"right {right[0]}")

rng = np.random.default_rng(0)
scores = rng.normal(size=(100, 2)) * [1, 20]
relative = scores - [0, scores[:, 1].max()]
alone = gower.gower_matrix(scores[:, :1]) / 2
print(f"two columns, one relative to its best: as if it were constant "
      f"{np.allclose(gower.gower_matrix(relative), alone, atol=1e-6)}; not relative "
      f"{np.allclose(gower.gower_matrix(scores), alone, atol=1e-6)}")
assert np.all(seen[0.0] == 0)
assert all(np.allclose(seen[shift], right, atol=1e-3) for shift in (1.0, 5.0, -1e-3))
assert np.allclose(gower.gower_matrix(relative), alone, atol=1e-6)
assert not np.allclose(gower.gower_matrix(scores), alone, atol=1e-6)
PYTHON
