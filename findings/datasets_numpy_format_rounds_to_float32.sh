#!/usr/bin/env bash
# with_format("numpy") of the datasets library returns a float64 column as float32.
# Versions: datasets 5.2.0, pyarrow 26.0.1, numpy 2.4.6.
# Expected (a first guess): the dtype of the column, as Arrow's own to_numpy gives.
# Seen: float64 becomes float32, and a large number loses its last digits: 16777217 comes back as
# 16777216. A single row's value is float64 again. with_format("numpy", dtype="float64") keeps it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  datasets==5.2.0 pyarrow==26.0.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import datasets
import numpy as np

rows = datasets.Dataset.from_dict({"value": np.array([16777217.0, 1 / 3])})
assert rows.features["value"].dtype == "float64"
usual = rows.with_format("numpy")
column, single = usual["value"][:], usual[0]["value"]
kept = rows.with_format("numpy", dtype="float64")["value"][:]
arrow = rows.data.column("value").to_numpy()
print(f"column {column.dtype} {column[0]:.0f}, one row {single.dtype} {single:.0f}, "
      f"asked for float64 {kept[0]:.0f}, Arrow {arrow[0]:.0f}")
assert column.dtype == np.float32 and column[0] == 16777216
assert single.dtype == np.float64
assert kept.dtype == arrow.dtype == np.float64 and kept[0] == arrow[0] == 16777217
PYTHON
