#!/usr/bin/env bash
# hnswlib writes rows that are added without ids over rows that were added with ids.
# Versions: hnswlib 0.8.0 (pip builds it with a C++ compiler), numpy 2.4.6.
# Expected (a first guess): rows without ids get ids that are free, or the call is refused where ids
# were given before.
# Seen: new rows are numbered from the count of rows on. After two rows with the ids 2 and 3, two
# rows without ids become 2 and 3: the first two are gone, the index still holds two rows, and
# nothing is said. Give ids always or never.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  hnswlib==0.8.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import hnswlib
import numpy as np

index = hnswlib.Index(space="l2", dim=2)
index.init_index(max_elements=10, random_seed=0)
index.add_items(np.float32([[0, 0], [1, 1]]), ids=[2, 3])
index.add_items(np.float32([[5, 5], [6, 6]]))
ids = sorted(index.get_ids_list())
rows = np.asarray(index.get_items([2, 3])).tolist()
print(f"four rows added, {index.get_current_count()} kept; ids {ids} hold {rows}")
assert ids == [2, 3] and rows == [[5, 5], [6, 6]] and index.get_current_count() == 2
PYTHON
