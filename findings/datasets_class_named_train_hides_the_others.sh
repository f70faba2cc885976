#!/usr/bin/env bash
# A folder of images with a class called train is loaded as that class alone.
# Versions: datasets 5.2.0, pyarrow 26.0.1, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): imagefolder makes one class of each folder, as torchvision's
# ImageFolder does: apple, train and whale.
# Seen: a folder called train is taken for a split. The others are left out, without a word, and
# nothing has a label. CIFAR-100 has such a class. With a class called trains all is well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  datasets==5.2.0 pyarrow==26.0.1 pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import datasets
from PIL import Image

datasets.disable_progress_bars()


def load(*classes):
    folder = Path(sys.prefix) / "-".join(classes)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (4, 4)).save(folder / name / f"{number}.png")
    cache = str(folder) + "-cache"
    return datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache)


hidden, whole = load("apple", "train", "whale"), load("apple", "trains", "whale")
print("with a class train:", {name: rows.num_rows for name, rows in hidden.items()},
      "columns", hidden["train"].column_names, "; with trains:", whole["train"].num_rows)
assert list(hidden) == ["train"] and hidden["train"].num_rows == 3
assert hidden["train"].column_names == ["image"]
assert whole["train"].num_rows == 9 and len(whole["train"].features["label"].names) == 3
PYTHON
