#!/usr/bin/env bash
# torch.optim.swa_utils.update_bn averages batches: it weighs a last batch of two rows like one of
# 64, and leaves the spread between batches out of the variance.
# Versions: torch 2.14.1.
# Expected (a first guess): "one pass over data to estimate the activation statistics" ends with the
# mean and the variance of the rows, which do not depend on their order or on the batches.
# Seen: for two groups of rows with means of 0 and 10, each a batch, the variance is 1 instead of
# 26; shuffled it is right. Two more rows at 100 in a batch of their own move the mean from 5 to 37;
# the mean of all rows is 6.5. A loader that keeps its last batch, or rows sorted by class, give
# other statistics than training saw. Shuffle, and drop the last batch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torch.optim.swa_utils import update_bn

torch.manual_seed(0)
rows = torch.cat([torch.randn(64, 1), torch.randn(64, 1) + 10])
more = torch.cat([rows, torch.randn(2, 1) + 100])


def found(data):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(1))
    update_bn(torch.utils.data.DataLoader(data, batch_size=64), model)
    return float(model[0].running_mean), float(model[0].running_var)


sorted_, mixed, small = found(rows), found(rows[torch.randperm(128)]), found(more)
true = [(float(data.mean()), float(data.var())) for data in (rows, more)]
print(f"128 rows have the variance {true[0][1]:.1f}: sorted {sorted_[1]:.1f}, shuffled "
      f"{mixed[1]:.1f}; with two rows more the mean is {true[1][0]:.1f}, here {small[0]:.1f}")
assert true[0][1] > 20 and sorted_[1] < 1.5 and abs(mixed[1] - true[0][1]) < 2
assert abs(sorted_[0] - true[0][0]) < 0.01 and true[1][0] < 7 and small[0] > 35
PYTHON
