"""Normalising a batch in K groups of rows: the arithmetic under the layers, with its gradients.

Tables of rows are ``(B, C)``, of groups ``(K, C)`` or, for moments that all groups share,
``(1, C)``. ``var`` is biased.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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


def to_groups(rows: Tensor, groups: int, grouping: str, order: Tensor | None = None) -> Tensor:
    """``(B, ...)`` rows as ``(groups, B / groups, ...)``; a view unless ``shuffled``."""
    if grouping == "contiguous":
        return rows.unflatten(0, (groups, rows.shape[0] // groups))
    if grouping == "interleaved":
        return rows.unflatten(0, (rows.shape[0] // groups, groups)).transpose(0, 1)
    assert order is not None
    return rows[order].unflatten(0, (groups, rows.shape[0] // groups))


def to_rows(values: Tensor, batch: int, grouping: str, order: Tensor | None = None) -> Tensor:
    """``(groups, C)`` values as ``(B, C)``: each row gets its group's; undoes :func:`to_groups`."""
    groups, channels = values.shape
    each = batch // groups
    if grouping == "interleaved":
        return values.expand(each, groups, channels).reshape(batch, channels)
    spread = values[:, None].expand(groups, each, channels).reshape(batch, channels)
    if grouping == "contiguous":
        return spread
    assert order is not None
    return torch.empty_like(spread).index_copy_(0, order, spread)


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
    if x.dtype == wide:
        var, mean = torch.var_mean(x, spatial, correction=0)
        return mean, var, None
    # Half precision without a float32 copy. What cancels in the subtraction is below the rounding
    # of the values themselves.
    mean = x.mean(spatial, dtype=wide)
    square = torch.linalg.vector_norm(x, dim=spatial, dtype=wide).square()
    return mean, (square / x[0, 0].numel() - mean.square()).clamp_min_(0), None


class GroupedNormalize(torch.autograd.Function):
    """Normalise each group of rows with its own moments, then apply its affine.

    Written with its backward by hand because what eager autograd would keep and revisit costs
    several passes over the activations. Every pass here reduces to, or broadcasts from, a table of
    rows ``(B, C)``; grouping, in whatever order, happens on those small tables only. So the number
    of kernels does not depend on K.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        groups: int,
        pooled: bool,
        grouping: str,
        order: Tensor | None,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``x (B, C, ...)``, affine ``(1 or K, C)``; ``pooled`` makes all groups share moments."""
        batch, channels = x.shape[:2]
        spatial = list(range(2, x.ndim))
        # Law of total variance: over the rows of a group, then, if pooled, over the groups.
        row_mean, row_var, scratch = row_moments(x, spatial, x.device.type == "cpu")
        mean, var = pool_moments(
            to_groups(row_mean, groups, grouping, order),
            to_groups(row_var, groups, grouping, order),
            dim=1,
        )
        if pooled:
            mean, var = (t[None] for t in pool_moments(mean, var, dim=0))
        invstd = torch.rsqrt(var + eps)
        scale = invstd if weight is None else invstd * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        shape = (batch, channels) + (1,) * len(spatial)
        scale, shift = (
            to_rows(t.expand(groups, channels), batch, grouping, order).view(shape)
            for t in (scale, shift)
        )
        y = torch.empty_like(x) if scratch is None else scratch
        torch.addcmul(shift, x, scale, out=y)
        ctx.save_for_backward(x, weight, mean, invstd, order)
        ctx.groups, ctx.grouping = groups, grouping
        ctx.bias_rows = None if bias is None else bias.shape[0]
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight, mean, invstd, order = ctx.saved_tensors
        groups, grouping = ctx.groups, ctx.grouping
        batch, channels = x.shape[:2]
        spatial = list(range(2, x.ndim))
        dy = grads[0]
        product = dy * x
        row_dy, row_dyx = (
            t.sum(spatial, dtype=mean.dtype) if spatial else t.to(mean.dtype) for t in (dy, product)
        )
        # Per group: the sums of dy and of dy * x_hat, which are the gradients of bias and weight.
        sum_dy = to_groups(row_dy, groups, grouping, order).sum(1)
        sum_dyx = to_groups(row_dyx, groups, grouping, order).sum(1)
        sum_dyx = (sum_dyx - mean * sum_dy) * invstd
        grad_weight = None if weight is None else sum_dyx.sum_to_size(weight.shape)
        grad_bias = None if ctx.bias_rows is None else sum_dy.sum_to_size(ctx.bias_rows, channels)
        gain = invstd.expand_as(sum_dy)
        if weight is not None:
            gain, sum_dy, sum_dyx = gain * weight, sum_dy * weight, sum_dyx * weight
        # Moments shared by several groups collect the gradients of all of them.
        sum_dy, sum_dyx = sum_dy.sum_to_size(mean.shape), sum_dyx.sum_to_size(mean.shape)
        count = x.numel() // mean.numel()
        slope = -invstd.square() * sum_dyx / count
        offset = -invstd * sum_dy / count - slope * mean
        shape = (batch, channels) + (1,) * len(spatial)
        a, b, c = (
            to_rows(t.expand(groups, channels), batch, grouping, order).view(shape)
            for t in (gain, slope, offset)
        )
        # Into the memory of the product: fresh memory costs a CPU as much as a pass over it.
        grad_x = torch.addcmul(c, dy, a, out=product).addcmul_(x, b)
        return grad_x, grad_weight, grad_bias, None, None, None, None, None


def grouped_normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    groups: int,
    pooled: bool,
    grouping: str,
    order: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise ``x`` in groups of rows, each with its own moments (BN: Ioffe and Szegedy 2015).

    Args:
        x: ``(B, C, ...)``, floating point; ``groups`` divides B.
        weight, bias: ``(1 or groups, C)``, or ``None``.
        groups: K.
        pooled: all groups share the moments pooled over them.
        grouping: which rows share a group: ``contiguous``, ``interleaved`` or ``shuffled``.
        order: int64 ``(B,)`` of :func:`shuffled_order`, for ``shuffled``.
        eps: added to the variance.

    Returns:
        The output, like ``x``; means and biased variances ``(groups, C)``, or ``(1, C)`` if pooled,
        in float32 (float64 for such an ``x``) and without gradient.

    Under ``torch.compile`` in plain operations, which the compiler fuses and differentiates by
    itself: torch 2.11 returns a gradient of zero for a function whose forward writes its output in
    place, and torch 2.6 does not compile a backward by hand that looks at strides.
    """
    if not torch.compiler.is_compiling():
        return GroupedNormalize.apply(x, weight, bias, groups, pooled, grouping, order, eps)
    batch, channels = x.shape[:2]
    spatial = list(range(2, x.ndim))
    rows = x.to(torch.promote_types(x.dtype, torch.float32))
    row_mean, row_var = rows, torch.zeros_like(rows)
    if spatial:
        row_mean = rows.mean(spatial, keepdim=True)
        row_var = (rows - row_mean).square().mean(spatial)
    mean, var = pool_moments(
        to_groups(row_mean.flatten(1), groups, grouping, order),
        to_groups(row_var, groups, grouping, order),
        dim=1,
    )
    if pooled:
        mean, var = (t[None] for t in pool_moments(mean, var, dim=0))
    scale = torch.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    scale, shift = (
        to_rows(t.expand(groups, channels), batch, grouping, order).view(row_mean.shape)
        for t in (scale, shift)
    )
    return torch.addcmul(shift, rows, scale).to(x.dtype), mean.detach(), var.detach()
