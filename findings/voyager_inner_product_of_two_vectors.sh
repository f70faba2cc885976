#!/usr/bin/env bash
# voyager's get_distance of two vectors is not the distance that a query of the same index gives.
# Versions: voyager 2.2.3, numpy 2.4.6.
# Expected (a first guess): an InnerProduct index has one distance, 1 minus the inner product, for
# query() and for get_distance(), whatever else lies in the index.
# Seen: query() is as guessed. get_distance() of the same two orthogonal vectors is -3 instead of
# 1, and -15 once a longer row has been added: it goes by the longest row of the index.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  voyager==2.2.3 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import voyager

index = voyager.Index(voyager.Space.InnerProduct, num_dimensions=2)
index.add_items(np.array([[2, 0], [0, 2], [0, 3]], dtype=np.float32))
first, second = [2.0, 0.0], [0.0, 2.0]


def asked():
    keys, distances = index.query(np.array(first, dtype=np.float32), k=len(index))
    return float(distances[list(keys).index(1)]), float(index.get_distance(first, second))


before = asked()
index.add_item(np.array([0, 5], dtype=np.float32))
after = asked()
print(f"orthogonal rows, by query and get_distance: {before}; with a longer row beside: {after}")
assert before[0] == after[0] == 1
assert abs(before[1] + 3) < 1e-3 and abs(after[1] + 15) < 1e-3
PYTHON
