#!/usr/bin/env bash
# An epoch of pytorch-metric-learning's MPerClassSampler over 60 rows has 99,996 rows.
# Versions: pytorch-metric-learning 2.9.0, torch 2.14.1, numpy 2.4.6.
# Expected (a first guess): len(sampler) is the number of rows, 60, or a little less.
# Seen: 99,996, and as many for 600 rows. length_before_new_iter is 100,000 by default and is the
# length of one pass. A plan in epochs, a schedule or a comparison with another sampler is off by
# that factor. With length_before_new_iter=60 it is 60, but some rows are left out and others come
# twice or more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pytorch-metric-learning==2.9.0 scikit-learn==1.9.1 tqdm==4.67.1 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from pytorch_metric_learning.samplers import MPerClassSampler

np.random.seed(0)
labels = [row % 6 for row in range(60)]
usual = MPerClassSampler(labels, m=2, batch_size=12)
more = MPerClassSampler(labels * 10, m=2, batch_size=12)
told = MPerClassSampler(labels, m=2, batch_size=12, length_before_new_iter=60)
rows = list(told)
print(f"60 rows: {len(usual):,} an epoch; told 60: {len(told)}, of which {len(set(rows))} differ")
assert len(usual) == len(list(usual)) == len(more) == 99996
assert len(told) == len(rows) == 60 and len(set(rows)) < 60
PYTHON
