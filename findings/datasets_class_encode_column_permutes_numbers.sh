#!/usr/bin/env bash
# class_encode_column of the datasets library gives class 2 of twelve the id 4.
# Versions: datasets 5.2.0, pyarrow 26.0.1, numpy 2.4.6.
# Expected (a first guess): a column that holds 0, 1, ... 11 already keeps its numbers.
# Seen: the values become text and are sorted as text, so 0, 1, 10, 11, 2 ... get the ids 0, 1, 2,
# 3, 4 ... With up to ten classes nothing happens; with the hundred of CIFAR-100 88 ids change, and
# no longer fit labels kept elsewhere. cast_column(..., ClassLabel(num_classes=12)) keeps them.
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

datasets.disable_progress_bars()


def encoded(classes):
    rows = datasets.Dataset.from_dict({"label": list(range(classes))})
    return rows.class_encode_column("label")["label"][:]


few, twelve, hundred = encoded(10), encoded(12), encoded(100)
moved = sum(new != old for old, new in enumerate(hundred))
print(f"ids of the classes 0 to 11: {twelve}; of 100 classes {moved} have another id")
assert few == list(range(10))
assert twelve == [0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 2, 3] and moved == 88
rows = datasets.Dataset.from_dict({"label": list(range(12))})
kept = rows.cast_column("label", datasets.ClassLabel(num_classes=12))["label"][:]
assert kept == list(range(12))
PYTHON
