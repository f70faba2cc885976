#!/usr/bin/env bash
# LayerNorm of PyTorch Geometric normalises all rows of a batch together.
# Versions: torch_geometric 2.8.1, torch 2.14.1.
# Expected (a first guess): LayerNorm(C) gives each row mean 0 and variance 1, as torch's does, so a
# row's output does not depend on the other rows.
# Seen: there is one mean and one variance for the whole matrix (or for each graph, where batch is
# given). One row that is 100 times as long makes the others almost 0. MLP(norm="layer_norm"), which
# looks like a projection head, does the same: an embedding depends on its batch, also after eval().
# LayerNorm(C, mode="node") gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torch_geometric==2.8.1 torch==2.14.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import torch
from torch_geometric.nn import MLP, LayerNorm

torch.manual_seed(0)
rows = torch.randn(8, 16)
longer = torch.cat([rows[:7], 100 * rows[7:]])
graph, node = LayerNorm(16).eval(), LayerNorm(16, mode="node").eval()
heads = {mode: MLP([16, 16, 16], norm="layer_norm", norm_kwargs={"mode": mode}).eval()
         for mode in ("graph", "node")}
plain = MLP([16, 16, 16], norm="layer_norm").eval()
plain.load_state_dict(heads["graph"].state_dict())
with torch.no_grad():
    first, second = graph(rows)[0], graph(longer)[0]
    by_node = node(longer)
    torch_norm = torch.nn.LayerNorm(16)(longer)
    moved = (plain(rows)[0] - plain(longer)[0]).abs().max().item()
    stays = (heads["node"](rows)[0] - heads["node"](longer)[0]).abs().max().item()
    means = graph(rows).mean(1)
    total = graph(rows).mean().item()
print("means of rows:", [round(x, 2) for x in means.tolist()], "of all:", round(total, 6))
print(f"spread of row 0: {first.std():.2f}, beside a long row {second.std():.3f}")
print(f"row 0 of an MLP moves by {moved:.2f}, with mode='node' by {stays:.1e}")
assert means.abs().max() > 0.1 and abs(total) < 1e-5
assert first.std() > 0.5 and second.std() < 0.1
assert torch.allclose(by_node, torch_norm, atol=1e-4) and moved > 0.05 and stays < 1e-5
PYTHON
