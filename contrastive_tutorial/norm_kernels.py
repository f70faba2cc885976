"""Normalising a batch in K groups of rows: the arithmetic under the layers, with its gradients.

Two equivalent routes: :class:`GroupedNormalize` is a fixed number of vectorised passes for any
device, grouping and dtype; :class:`BlockwiseNormalize` runs PyTorch's own CPU kernel block by
block. ``mean`` and ``var`` are tables ``(K, C)`` or ``(1, C)``, ``var`` is biased.
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


def row_moments(rows: Tensor, spatial: list[int]) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each row of ``(B, C, ...)`` over ``spatial``: ``(B, C)``."""
    if not spatial:
        return rows, torch.zeros_like(rows)
    if rows.device.type != "cpu":
        var, mean = torch.var_mean(rows, spatial, correction=0)
        return mean, var
    # On a CPU the single pass of var_mean (Welford) takes eight times as long as these three.
    mean = rows.mean(spatial, keepdim=True)
    return mean.flatten(1), (rows - mean).square_().mean(spatial)


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
        rows = x.to(torch.promote_types(x.dtype, torch.float32))
        # Law of total variance: over the rows of a group, then, if pooled, over the groups.
        row_mean, row_var = row_moments(rows, spatial)
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
        y = torch.addcmul(shift, rows, scale).to(x.dtype)
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
        dy, rows = grads[0].to(mean.dtype), x.to(mean.dtype)
        row_dy, row_dyx = dy, dy * rows
        if spatial:
            row_dy, row_dyx = row_dy.sum(spatial), row_dyx.sum(spatial)
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
        grad_x = torch.addcmul(c, dy, a).addcmul_(rows, b).to(x.dtype)
        return grad_x, grad_weight, grad_bias, None, None, None, None, None


class BlockwiseNormalize(torch.autograd.Function):
    """:class:`GroupedNormalize` for contiguous groups on a CPU: PyTorch's own kernel per block.

    A block of rows fits the processor's caches better than the batch, and a kernel launch costs
    microseconds there, so a loop over K is the fastest; on a GPU it would be the slowest.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Arguments and results as those of :class:`GroupedNormalize`."""
        tables = (groups, x.shape[1])
        like = torch.float32 if weight is None else weight.dtype
        like = torch.promote_types(x.dtype, like)
        y = torch.empty_like(x)
        mean, invstd = x.new_empty(tables, dtype=like), x.new_empty(tables, dtype=like)
        running_mean, unbiased = x.new_zeros(tables, dtype=like), x.new_zeros(tables, dtype=like)
        each = x.shape[0] // groups
        for k in range(groups):
            block = slice(k * each, (k + 1) * each)
            # With momentum 1 the kernel's "running" statistics are those of the block.
            torch.ops.aten.native_batch_norm.out(
                x[block],
                _row(weight, k),
                _row(bias, k),
                running_mean[k],
                unbiased[k],
                True,
                1.0,
                eps,
                out=y[block],
                save_mean=mean[k],
                save_invstd=invstd[k],
            )
        ctx.save_for_backward(x, weight, mean, invstd)
        ctx.bias_rows, ctx.eps = None if bias is None else bias.shape[0], eps
        count = x.numel() // mean.numel()
        var = unbiased * ((count - 1) / count)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight, mean, invstd = ctx.saved_tensors
        groups, channels = mean.shape
        dy = grads[0]
        if dy.stride() != x.stride():
            # The kernel is several times slower on mixed memory formats.
            dy = torch.empty_like(x).copy_(dy)
        grad_x = torch.empty_like(x)
        # Without a weight the kernel gives no sums, and nobody needs them.
        grad_weight = None if weight is None else torch.empty_like(mean)
        grad_bias = None if ctx.bias_rows is None else torch.empty_like(mean)
        mask = [True, grad_weight is not None, grad_bias is not None]
        each = x.shape[0] // groups
        for k in range(groups):
            block = slice(k * each, (k + 1) * each)
            dx, dw, db = torch.ops.aten.native_batch_norm_backward(
                dy[block],
                x[block],
                _row(weight, k),
                None,
                None,
                mean[k],
                invstd[k],
                True,
                ctx.eps,
                mask,
            )
            grad_x[block] = dx
            if grad_weight is not None:
                grad_weight[k] = dw
            if grad_bias is not None:
                grad_bias[k] = db
        if grad_weight is not None:
            grad_weight = grad_weight.sum_to_size(weight.shape)
        if grad_bias is not None:
            grad_bias = grad_bias.sum_to_size(ctx.bias_rows, channels)
        return grad_x, grad_weight, grad_bias, None, None


def _row(table: Tensor | None, k: int) -> Tensor | None:
    """Row k of an affine table, or its only row."""
    return None if table is None else table[k if table.shape[0] > 1 else 0]
