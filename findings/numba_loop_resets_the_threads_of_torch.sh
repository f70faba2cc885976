#!/usr/bin/env bash
# One parallel loop of numba, as in UMAP, undoes torch.set_num_threads(1) for all that follows.
# Versions: numba 0.68.1, torch 2.14.1, numpy 2.4.6; Linux.
# Expected (a first guess): a compiled loop uses threads of its own, and torch keeps the number that
# it was given.
# Seen: numba's OpenMP layer and torch share one OpenMP, and numba sets its number of threads: that
# of the machine. torch.get_num_threads() is 2 afterwards. Sums are split in other places, so a
# training that follows differs in its last bits from the same one without the plot before it; on a
# busy machine the threads wait for each other, and small steps took 46 times the processor time.
# Set torch's number again after every fit of UMAP.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  numba==0.68.1 torch==2.14.1 numpy==2.4.6
NUMBA_NUM_THREADS=2 NUMBA_THREADING_LAYER=omp "$work/env/bin/python" -W ignore - <<'PYTHON'
import numba
import numpy
import torch


@numba.njit(parallel=True)
def total(values):
    found = 0.0
    for i in numba.prange(len(values)):
        found += values[i]
    return found


torch.set_num_threads(1)
before = torch.get_num_threads()  # also applies it once more, as a thread's first computation does
total(numpy.ones(100))
print("threads of torch:", before, "; after one parallel loop of numba:", torch.get_num_threads())
assert (before, torch.get_num_threads()) == (1, 2)
PYTHON
