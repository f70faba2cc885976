#!/usr/bin/env bash
# gower's distances between two sets of equally many rows are wrong below the diagonal.
# Versions: gower 0.1.2, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): gower_matrix(X, Y)[i, j] is the distance of row i of X and row j of Y.
# Seen: so it is if one set has a row more. If both have equally many, the half above the diagonal
# is computed and mirrored, as for a set with itself, though X[i] and Y[j] are not X[j] and Y[i]. Of
# 100 queries among 100 rows 46 find their right nearest neighbour, and nearest-neighbour accuracy
# falls from 1.00 to 0.68. Ask for one row less, or add one.
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

rng = np.random.default_rng(0)
labels, query_labels = rng.integers(0, 4, (2, 100))
centres = rng.normal(size=(4, 6)) * 3
rows, queries = (centres[of] + rng.normal(size=(100, 6)) for of in (labels, query_labels))


def formula(x, y):
    spread = np.ptp(np.vstack([x, y]), axis=0)
    return (np.abs(x[:, None] - y[None]) / spread).mean(2)


def report(name, seen, right):
    upper = np.triu(np.ones(seen.shape, bool))
    close = np.isclose(seen, right, atol=1e-5)
    nearest = seen.argmin(1)
    found = (nearest == right.argmin(1)).sum()
    accuracy = (labels[nearest] == query_labels[:len(seen)]).mean()
    print(f"{name}: right above the diagonal {close[upper].mean():.2f}, below "
          f"{close[~upper].mean():.2f}; right neighbours {found}, accuracy {accuracy:.2f}")
    return close[upper].all(), close[~upper].mean(), found, accuracy


same = report("100 queries, 100 rows", gower.gower_matrix(queries, rows), formula(queries, rows))
fewer = report("99 queries, 100 rows", gower.gower_matrix(queries[:99], rows),
               formula(queries[:99], rows))
assert fewer[0] and fewer[1] == 1 and fewer[2] == 99
assert same[0] and same[1] < 0.05 and same[2] < 70 and same[3] < fewer[3]
PYTHON
