#!/usr/bin/env bash
# lightly's memory bank drops the rows of a batch that do not fit before its end.
# Versions: lightly 1.6.0, torch 2.14.1.
# Expected (a first guess): the bank is a ring: rows that reach the end go on at the start, or a
# batch that does not divide the bank is refused, as MoCo's code does.
# Seen: a batch of 48 in a bank of 64 is written whole once, then 16 of its 48 rows are kept, and so
# on: of 20 batches a third of the rows is never a negative, and it is always the end of the batch
# that is lost. Nothing warns. A bank whose size the batch divides loses nothing; the last batch
# of an epoch, if smaller, ends that.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch==2.14.1 torchvision==0.29.1 numpy==2.4.6 lightly==1.6.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from lightly.models.modules.memory_bank import MemoryBankModule


def lost(sizes, places=64):
    bank, seen, number = MemoryBankModule(size=(places, 1)), set(), 0
    lost = 0
    for size in sizes:
        rows = torch.arange(number + 1.0, number + size + 1)[:, None]
        bank(rows, update=True)
        kept = set(bank.bank.flatten().tolist()) & set(rows.flatten().tolist())
        assert kept == set(rows.flatten().tolist()[:len(kept)])
        lost, number = lost + size - len(kept), number + size
    return lost, number


for name, sizes in {"batches of 48": [48] * 20, "batches of 32": [32] * 20,
                    "five of 32, then one of 20, ten times": ([32] * 5 + [20]) * 10}.items():
    print(f"{name}: {lost(sizes)[0]} of {lost(sizes)[1]} rows are never in a bank of 64")
assert lost([48] * 20) == (320, 960) and lost([32] * 20)[0] == 0
assert lost(([32] * 5 + [20]) * 10)[0] > 50
PYTHON
