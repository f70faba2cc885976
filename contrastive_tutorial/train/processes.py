"""One run on several processes: rows shared out, negatives gathered, gradients exact.

``torchrun --nproc-per-node=4 -m contrastive_tutorial run B0 --preset resnet-200`` starts four
processes, one GPU each. Every process draws the same batch with the same random numbers, turns its
own share of the rows into views and projections, and gathers the projections of all: the loss is
that of the whole batch, with every other image as a negative.

**Why the gradients are exact.** Every process computes the same loss L of all rows. Seen from the
outside the processes minimise the sum of W equal losses, so the projections of process r receive
``W dL/dz_r``: :class:`_Gather` multiplies by W in its backward pass and needs no communication
there. Averaging gradients over processes divides by W again. (Forgetting one of the two factors is
the classical mistake: it rescales the learning rate. A test on data that differ between processes
finds it.)

Gradients are averaged here by one all-reduce and not by ``DistributedDataParallel``, which expects
one forward pass for each backward pass; a step here may have two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one run: ``rank`` of ``size``. Alone, everything here does nothing."""

    rank: int = 0
    size: int = 1

    @property
    def on_this_machine(self) -> int:
        """How many of them share this machine's memory."""
        return min(self.size, int(os.environ.get("LOCAL_WORLD_SIZE", self.size)))

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def from_first(self, make: Callable[[], T]) -> T:
        """What ``make()`` returns in the first process, in all; its InputError is everyone's."""
        if self.size == 1:
            return make()
        message: list[Any] = [None, None]
        if self.is_first:
            try:
                message[0] = make()
            except InputError as error:
                message[1] = str(error)
        dist.broadcast_object_list(message)
        if message[1] is not None:
            raise InputError(message[1])
        return message[0]

    def all_or_none(self, check: Callable[[], None]) -> None:
        """Run ``check`` in each process; the InputError of one is everyone's, so none waits."""
        message = None
        try:
            check()
        except InputError as error:
            message = str(error)
        found: list[str | None] = [message]
        if self.size > 1:
            found = [None] * self.size
            dist.all_gather_object(found, message)
        if wrong := next((text for text in found if text), None):
            raise InputError(wrong)

    def gather(self, rows: Tensor) -> Tensor:
        """Rows ``(B, D)`` of all processes, in their order: ``(W B, D)``, with exact gradients."""
        return rows if self.size == 1 else _Gather.apply(rows, self)

    @torch.no_grad()
    def average_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by its mean over processes: one message for all of them."""
        if self.size == 1:
            return
        parameters = [p for p in model.parameters() if p.requires_grad]
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        dist.all_reduce(flat)
        flat /= self.size
        for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            assert p.grad is not None
            p.grad.copy_(part.view_as(p))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: ProcessGroup) -> Tensor:
        ctx.group, ctx.count = group, len(rows)
        parts = [torch.empty_like(rows) for _ in range(group.size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        start = ctx.group.rank * ctx.count
        return grads[0][start : start + ctx.count] * ctx.group.size, None


class _SumOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)  # every process's loss depends on this process's x
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """BN with the statistics of all processes' rows, on any device.

    The same arithmetic as ``nn.SyncBatchNorm``, which runs on accelerators only and is used there.
    Shares must be equal.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)``; in evaluation an ordinary BN."""
        if not self.training:
            return super().forward(x)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean = _SumOverProcesses.apply(x.sum((0, 2, 3))) / count
        centred = x - mean[:, None, None]
        var = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            momentum = self.momentum
            if momentum is None:
                momentum = float(1 / self.num_batches_tracked)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(var * count / (count - 1), momentum)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        y = centred * scale[:, None, None]
        return y if self.bias is None else y + self.bias[:, None, None]


def synchronize_bn(model: nn.Module) -> nn.Module:
    """Let every ``nn.BatchNorm2d`` of ``model`` use the statistics of all processes."""
    on_cpu = next(model.parameters()).device.type == "cpu"
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if not on_cpu and type(child) in (nn.BatchNorm1d, nn.BatchNorm2d):
                parent._modules[name] = nn.SyncBatchNorm.convert_sync_batchnorm(child)
            elif type(child) is nn.BatchNorm2d:
                synced = SyncedBatchNorm2d(
                    child.num_features, child.eps, child.momentum, child.affine
                )
                synced.load_state_dict(child.state_dict())
                parent._modules[name] = synced
    return model


def requested() -> tuple[int, int]:
    """Rank and number of the processes that ``torchrun`` (or its like) says there are."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def processes(device: str | None = None) -> Iterator[ProcessGroup]:
    """Join the processes that ``torchrun`` started; alone, a group of one.

    Each process on a machine with GPUs takes the one of its local rank, and talks over NCCL;
    otherwise, or when ``device`` is ``"cpu"``, over gloo.

    Raises:
        InputError: if there are GPUs, but fewer than processes on this machine, or if ``device``
            names a single one for all of them.
    """
    if requested()[1] == 1:
        yield ProcessGroup()
        return
    if device is not None and ":" in device:
        raise InputError(
            f"device: {device!r} names one device for every process; use --device cuda, which "
            "gives each process its own, or cpu"
        )
    local = int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0")))
    count = torch.cuda.device_count() if torch.cuda.is_available() and device != "cpu" else 0
    if count and local >= count:
        raise InputError(
            f"device: process {local} of this machine has no GPU ({count} found); start at most "
            f"{count} with --nproc-per-node={count}"
        )
    if count:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if count else "gloo")
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
