"""Which rows of a batch each process takes, and what its norm layers then normalise together.

A cell whose rows come in groups (one per subset) gives every process whole groups: each group has
statistics of its own anyway, so nothing changes. A plain cell gives every process an equal part of
the images, both views; its Batch Normalization either uses the statistics of all processes
(``"sync"``: nothing changes, up to rounding) or of its own rows alone (``"local"``: what
data-parallel training does by default, and the same as BN split in as many groups as there are
processes).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import BatchRenorm2d, GroupedBatchNorm, Groups, grouped_normalize
from contrastive_tutorial.train.layout import Layout
from contrastive_tutorial.train.processes import ProcessGroup, synchronize_bn

BATCH_NORMS = ("sync", "local")


@dataclass(frozen=True)
class Shard:
    """One process's part of every batch.

    Attributes:
        rows: int64, its rows of the whole batch of views; ``None`` for all of them.
        order: the layout of these rows.
        back: int64 ``(2N,)``, puts the gathered rows of all processes in the whole batch's order.
        groups: first and number of its groups, where rows come in groups.
    """

    rows: Tensor | None
    order: Layout
    back: Tensor | None = None
    groups: tuple[int, int] | None = None


def shard(order: Layout, group: ProcessGroup, device: torch.device | str = "cpu") -> Shard:
    """The part of process ``group.rank``.

    Raises:
        InputError: if the processes cannot have equal parts of at least two images.
    """
    n, g, size = order.num_images, order.groups, group.size
    if size == 1:
        return Shard(None, order)
    whole, what = (n, f"batch of {n} images") if g == 1 else (g, f"{g} groups of the batch")
    if whole % size:
        fits = [w for w in range(2, whole + 1) if whole % w == 0][:6]
        raise InputError(
            f"world size: {size} processes cannot share the {what} equally; use "
            f"--nproc-per-node with a divisor of {whole}"
            + (f" such as {', '.join(map(str, fits))}" if fits else "")
        )
    if n // size < 2:
        raise InputError(f"world size: {size} processes leave fewer than 2 images to each of {n}")
    if g > 1:
        first = group.rank * g // size
        rows = torch.arange(2 * n).view(size, -1)[group.rank]
        local = Layout(n // size, g // size, order.shuffle_views)
        return Shard(rows.to(device), local, None, (first, g // size))
    images, others = torch.arange(n), torch.arange(n, 2 * n)
    place = torch.empty(2 * n, dtype=torch.int64)  # of each view in the whole batch's order
    place[order.rows(images, others)] = torch.arange(2 * n)
    dealt = place[Layout(n, size).rows(images, others)]
    rows = dealt.view(size, -1)[group.rank]
    return Shard(rows.to(device), Layout(n // size), torch.argsort(dealt).to(device))


def adapt_norms(model: nn.Module, shard: Shard, batch_norm: str) -> nn.Module:
    """Make the norm layers of ``model`` (in place) treat a share of the rows as it should be.

    Raises:
        InputError: for an unknown ``batch_norm``, or a norm that no process can compute alone:
            one that shares statistics between groups but not affines, and Batch Renormalization.
    """
    if batch_norm not in BATCH_NORMS:
        raise InputError(f"batch_norm: expected one of {BATCH_NORMS}, got {batch_norm!r}")
    for layer in model.modules():
        if isinstance(layer, BatchRenorm2d):
            raise InputError(
                f"{type(layer).__name__}: it normalises with running statistics, which would "
                "differ between processes; train this cell in one process"
            )
        if not isinstance(layer, GroupedBatchNorm):
            continue
        if layer.pooled or layer.grouping != "contiguous" or shard.groups is None:
            raise InputError(
                f"{type(layer).__name__}: its statistics reach over the groups of several "
                "processes; train this cell in one process"
            )
        _restrict(layer, *shard.groups)
    return synchronize_bn(model) if batch_norm == "sync" else model


def _restrict(layer: GroupedBatchNorm, first: int, count: int) -> None:
    """In training, let ``layer`` meet ``count`` of its groups only, from ``first`` on."""
    own = slice(first, first + count)

    def forward(x: Tensor) -> Tensor:
        if not layer.training:
            return type(layer).forward(layer, x)
        weight, bias = (
            None if t is None else (t[own] if t.ndim == 2 else t.view(1, -1))
            for t in (layer.weight, layer.bias)
        )
        y, mean, var = grouped_normalize(x, weight, bias, Groups(count, layer.eps))
        layer.update_running(mean, var, x.numel() // mean.numel(), own)
        return y

    layer.forward = forward  # type: ignore[assignment]
    layer.own_groups = own  # type: ignore[assignment]


@torch.no_grad()
def sync_buffers(model: nn.Module, group: ProcessGroup) -> None:
    """Bring the running statistics of all processes together, in all of them."""
    if group.size == 1:
        return
    for layer in model.modules():
        own = getattr(layer, "own_groups", None)
        for buffer in layer.buffers(recurse=False):
            if not buffer.is_floating_point():
                continue
            if own is not None and buffer.ndim == 2:
                kept = buffer[own].clone()
                buffer.zero_()
                buffer[own] = kept
                dist.all_reduce(buffer)
            else:
                dist.all_reduce(buffer)
                buffer /= group.size
