#!/usr/bin/env bash
# Under torch.utils.checkpoint a training step moves the statistics of BatchNorm twice.
# Versions: torch 2.14.1.
# Expected (a first guess): checkpointing trades time for memory and changes nothing else: after a
# step the running mean has gone a tenth of the way to the batch, and one batch is counted.
# Seen: 0.19 of the way, and two batches: the forward pass is done again for the gradient, and moves
# the buffers again. Both variants, use_reentrant=True and False, do so. The momentum is 0.19, and
# with momentum=None the average counts each batch twice. Gradients are the same; a pass without a
# backward pass counts once. The documentation says that "persistent states like the RNG state" may
# be further on than without it, and does not name BatchNorm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torch.utils.checkpoint import checkpoint


def step(run, learns=True):
    torch.manual_seed(0)
    block = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 3), torch.nn.ReLU())
    rows = (torch.randn(64, 2) + 10).requires_grad_()
    out = run(block, rows).sum()
    if learns:
        out.backward()
    share = float((block[0].running_mean / rows.mean(0)).mean().detach())
    return share, int(block[0].num_batches_tracked), rows.grad


plain = step(lambda block, rows: block(rows))
print(f"plain: {plain[0]:.2f} of the way, {plain[1]} batch")
for reentrant in (False, True):
    found = step(lambda block, rows: checkpoint(block, rows, use_reentrant=reentrant))
    print(f"use_reentrant={reentrant}: {found[0]:.2f} of the way, {found[1]} batches")
    assert abs(found[0] - 0.19) < 1e-3 and found[1] == 2 and torch.allclose(found[2], plain[2])
assert abs(plain[0] - 0.1) < 1e-3 and plain[1] == 1
asked = step(lambda block, rows: checkpoint(block, rows, use_reentrant=False), learns=False)
assert asked[1] == 1
PYTHON
