"""Normalising a batch in K groups of rows: the arithmetic under the layers, with its gradients.

Tables of rows are ``(B, C)``, of groups ``(K, C)`` or, for moments that all groups share,
``(1, C)``. ``var`` is biased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


def in_plain_operations() -> bool:
    """Whether a compiler or a transform of ``torch.func`` is to differentiate what comes next.

    Neither works through a backward by hand: torch 2.11 returns a gradient of zero for a compiled
    function whose forward writes its output in place, torch 2.6 does not compile a backward that
    looks at strides, and ``vmap`` refuses both.
    """
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def is_recomputed() -> bool:
    """Whether this forward runs inside a backward pass, as ``torch.utils.checkpoint`` makes it.

    Such a forward repeats an earlier one: what that one counted must not be counted again.
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def gradients_to_differentiate(
    forward: Callable[..., Tensor],
    inputs: Sequence[Tensor | None],
    needed: Sequence[bool],
    dy: Tensor,
) -> list[Tensor | None]:
    """Gradients of ``forward(*inputs)`` in operations that autograd can differentiate once more."""
    with torch.enable_grad():
        # Aliases: an input that depends on another must not pass its gradient on to that one here.
        aliases = [None if t is None else t.view_as(t) for t in inputs]
        y = forward(*aliases)
    wanted = [t for t, need in zip(aliases, needed, strict=True) if t is not None and need]
    found = iter(torch.autograd.grad(y, wanted, dy, create_graph=True))
    return [
        next(found) if t is not None and need else None
        for t, need in zip(aliases, needed, strict=True)
    ]


def shuffled_order(batch: int, step: Tensor) -> Tensor:
    """int64 ``(batch,)`` permutation that depends on ``step`` alone (a 0-d int64 tensor).

    Sorting hashed counters, instead of ``torch.randperm``, gives every layer of a network the same
    groups in the same step (as K machines would have), needs no generator to be saved with a
    checkpoint, never synchronises with the device, and traces under ``torch.compile``.
    """
    # SplitMix64 (Steele et al. 2014) in wrapping int64 arithmetic; the masks turn arithmetic
    # shifts into logical ones.
    x = torch.arange(batch, device=step.device) + (step + 1) * -7046029254386353131
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return torch.argsort(x ^ ((x >> 31) & 0x1FFFFFFFF))


class Groups(NamedTuple):
    """How the rows of a batch are normalised together.

    Attributes:
        number: K, a divisor of the rows.
        eps: added to the variance.
        pooled: all groups share the moments pooled over them.
        grouping: which rows share a group: ``contiguous``, ``interleaved`` or ``shuffled``.
        order: int64 ``(B,)`` of :func:`shuffled_order`, for ``shuffled`` alone.
    """

    number: int
    eps: float
    pooled: bool = False
    grouping: str = "contiguous"
    order: Tensor | None = None

    def gather(self, rows: Tensor) -> Tensor:
        """``(B, C)`` rows as ``(K, B / K, C)``; a view unless ``shuffled``."""
        each = rows.shape[0] // self.number
        if self.grouping == "interleaved":
            return rows.unflatten(0, (each, self.number)).transpose(0, 1)
        if self.grouping == "shuffled":
            rows = rows[self.order]
        return rows.unflatten(0, (self.number, each))

    def spread(self, table: Tensor, like: Tensor) -> Tensor:
        """``(1 or K, C)`` values for every row of ``like``: ``(B, C, 1, ...)``.

        Each row gets its group's: undoes :meth:`gather`.
        """
        batch, channels = like.shape[:2]
        each = batch // self.number
        values = table.expand(self.number, channels)
        if self.grouping == "interleaved":
            rows = values.expand(each, self.number, channels).reshape(batch, channels)
        else:
            rows = values[:, None].expand(self.number, each, channels).reshape(batch, channels)
            if self.order is not None:
                rows = torch.empty_like(rows).index_copy_(0, self.order, rows)
        return rows.view((batch, channels) + (1,) * (like.ndim - 2))

    def moments(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the groups, ``(K, C)``, or of all, ``(1, C)``, from those of rows ``(B, C)``.

        By the law of total variance: over the rows of a group, then, if pooled, over the groups.
        """
        mean, var = pool_moments(self.gather(mean), self.gather(var), dim=1)
        if self.pooled:
            mean, var = (t[None] for t in pool_moments(mean, var, dim=0))
        return mean, var


def pool_moments(mean: Tensor, var: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Moments of equal-sized parts, pooled over ``dim`` by the law of total variance."""
    pooled = mean.mean(dim)
    return pooled, var.mean(dim) + (mean - pooled.unsqueeze(dim)).square().mean(dim)


def row_moments(
    x: Tensor, spatial: list[int], on_cpu: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Mean and biased variance of each row of ``(B, C, ...)`` over ``spatial``: ``(B, C)``.

    In float32, or float64 for such an ``x``; ``on_cpu`` picks what is fast there. The third result
    is memory like ``x`` for reuse, if any was needed.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    if not spatial:
        rows = x.to(wide)
        return rows, torch.zeros_like(rows), None
    if on_cpu:
        # The single pass of var_mean (Welford) takes eight times as long as these four.
        mean = x.mean(spatial, keepdim=True, dtype=wide)
        scratch = (x - mean).square_()
        return mean.flatten(1), scratch.mean(spatial), scratch if x.dtype == wide else None
    var, mean = torch.var_mean(x.to(wide), spatial, correction=0)
    return mean, var, None


class GroupedNormalize(torch.autograd.Function):
    """Normalise each group of rows with its own moments, then apply its affine.

    Written with its backward by hand because what eager autograd would keep and revisit costs
    several passes over the activations. Every pass here reduces to, or broadcasts from, a table of
    rows ``(B, C)``; grouping, in whatever order, happens on those small tables only. So the number
    of kernels does not depend on K. (``F.batch_norm`` of ``K * C`` channels, ten lines, costs a CPU
    1.5 times what plain BN costs, and 4 to 5 times in ``channels_last``: it copies twice.)

    Half precision is combined and summed in float32, and centred before it meets the gradient: the
    product of the two overflows float16, and its rounding is not small beside what is left once a
    mean of many deviations has cancelled.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        groups: Groups,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``x (B, C, ...)``, affine ``(1 or K, C)``."""
        spatial = list(range(2, x.ndim))
        row_mean, row_var, scratch = row_moments(x, spatial, x.device.type == "cpu")
        mean, var = groups.moments(row_mean, row_var)
        invstd = torch.rsqrt(var + groups.eps)
        scale = invstd if weight is None else invstd * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        scale, shift = groups.spread(scale, x), groups.spread(shift, x)
        y = torch.empty_like(x) if scratch is None else scratch
        torch.addcmul(shift, x, scale, out=y)
        ctx.save_for_backward(x, weight, bias, mean, invstd)
        ctx.groups = groups
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight, bias, mean, invstd = ctx.saved_tensors
        groups, dy = ctx.groups, grads[0]
        if torch.is_grad_enabled():  # create_graph=True

            def forward(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
                return _plainly(x, weight, bias, groups)[0]

            first = gradients_to_differentiate(
                forward, (x, weight, bias), ctx.needs_input_grad[:3], dy
            )
            return (*first, None)
        spatial = list(range(2, x.ndim))
        half = x.dtype != mean.dtype
        product = (x - groups.spread(mean, x)).mul_(dy) if half else dy * x
        row_dy, row_dyx = (
            t.sum(spatial, dtype=mean.dtype) if spatial else t.to(mean.dtype) for t in (dy, product)
        )
        # Per group: the sums of dy and of dy * x_hat, which are the gradients of bias and weight.
        sum_dy, sum_dyx = groups.gather(row_dy).sum(1), groups.gather(row_dyx).sum(1)
        sum_dyx = (sum_dyx if half else sum_dyx - mean * sum_dy) * invstd
        grad_weight = None if weight is None else sum_dyx.sum_to_size(weight.shape)
        grad_bias = None if bias is None else sum_dy.sum_to_size(bias.shape)
        gain = invstd.expand_as(sum_dy)
        if weight is not None:
            gain, sum_dy, sum_dyx = gain * weight, sum_dy * weight, sum_dyx * weight
        # Moments shared by several groups collect the gradients of all of them.
        sum_dy, sum_dyx = sum_dy.sum_to_size(mean.shape), sum_dyx.sum_to_size(mean.shape)
        count = x.numel() // mean.numel()
        slope = -invstd.square() * sum_dyx / count
        offset = -invstd * sum_dy / count - slope * mean
        a, b, c = (groups.spread(table, x) for table in (gain, slope, offset))
        # Into the memory of the product: fresh memory costs a CPU as much as a pass over it.
        grad_x = torch.addcmul(c, dy, a, out=product).addcmul_(x, b)
        if half:
            grad_x = grad_x.to(x.dtype)
        return grad_x, grad_weight, grad_bias, None


def grouped_normalize(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, groups: Groups
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise ``x`` in groups of rows, each with its own moments (BN: Ioffe and Szegedy 2015).

    Args:
        x: ``(B, C, ...)``, floating point.
        weight, bias: ``(1 or K, C)``, or ``None``.
        groups: K of them, and which rows are in which.

    Returns:
        The output, like ``x``; means and biased variances ``(K, C)``, or ``(1, C)`` if pooled, in
        float32 (float64 for such an ``x``) and without gradient.

    Where a compiler or ``torch.func`` takes over, in plain operations: they fuse or transform these
    and differentiate them by themselves.
    """
    normalize = _plainly if in_plain_operations() else GroupedNormalize.apply
    return normalize(x, weight, bias, groups)


def _plainly(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, groups: Groups
) -> tuple[Tensor, Tensor, Tensor]:
    """What :class:`GroupedNormalize` computes, in operations that autograd knows."""
    spatial = list(range(2, x.ndim))
    rows = x.to(torch.promote_types(x.dtype, torch.float32))
    row_mean, row_var = rows, torch.zeros_like(rows)
    if spatial:
        row_mean = rows.mean(spatial, keepdim=True)
        row_var = (rows - row_mean).square().mean(spatial)
    mean, var = groups.moments(row_mean.flatten(1), row_var)
    scale = torch.rsqrt(var + groups.eps)
    if weight is not None:
        scale = scale * weight
    y = (rows - groups.spread(mean, x)) * groups.spread(scale, x)
    if bias is not None:
        y = y + groups.spread(bias, x)
    return y.to(x.dtype), mean.detach(), var.detach()


def normalize_by_domain(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    domain: Tensor,
    domains: int,
    pooled: bool,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`grouped_normalize`, with the group of every row given: groups of any size.

    Args:
        x: ``(B, C, ...)``, floating point.
        weight, bias: ``(1 or domains, C)``, or ``None``.
        domain: int64 ``(B,)``, from 0 to ``domains - 1``.
        domains: K.
        pooled: all rows share their moments; only the affine depends on the domain.
        eps: added to the variance.

    Returns:
        The output, like ``x``; means and biased variances ``(K, C)``, or ``(1, C)`` if pooled, in
        float32 (float64 for such an ``x``) and without gradient; how many values each is of,
        ``(K, 1)`` or ``(1, 1)``. A domain without rows has 0 of these, and moments of no meaning.
    """
    batch, channels = x.shape[:2]
    shape = (batch, channels) + (1,) * (x.ndim - 2)
    rows = x.to(torch.promote_types(x.dtype, torch.float32))
    groups, of_row = (1, torch.zeros_like(domain)) if pooled else (domains, domain)
    count = rows.new_zeros(groups).index_add(0, of_row, rows.new_ones(batch))[:, None]

    def group_mean(values: Tensor) -> Tensor:
        sums = values.flatten(2).mean(2) if values.ndim > 2 else values
        return rows.new_zeros(groups, channels).index_add(0, of_row, sums) / count.clamp_min(1)

    mean = group_mean(rows)
    centred = rows - mean[of_row].view(shape)
    var = group_mean(centred.square())
    y = centred * torch.rsqrt(var + eps)[of_row].view(shape)
    if weight is not None:
        y = y * weight.expand(domains, channels)[domain].view(shape)
    if bias is not None:
        y = y + bias.expand(domains, channels)[domain].view(shape)
    return y.to(x.dtype), mean.detach(), var.detach(), count * (x.numel() // (batch * channels))
