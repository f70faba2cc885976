"""Batch Renormalization (Ioffe 2017, arXiv 1702.03275)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.grouped import OwnBatchNorm, positive_int, require_rates
from contrastive_tutorial.norm.kernels import (
    gradients_to_differentiate,
    in_plain_operations,
    is_recomputed,
)

REFERENCE_STEPS = 160_000
"""Run length at which the schedule's fractions are the paper's 5,000, 25,000 and 40,000 steps."""

WARMUP, D_FULL, R_FULL = 1 / 32, 5 / 32, 8 / 32
"""Fractions of the run: plain BN until the first; d and r reach their bounds at the others."""


_Correction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From mean and standard deviation of a batch to r and d, all ``(C,)`` and without gradient."""


class _Renormalize(torch.autograd.Function):
    """Algorithm 1 on PyTorch's Batch Normalization kernels.

    As r and d are constants, ``y = (weight * r) * x_hat + (weight * d + bias)``: the output is that
    of BN scaled and shifted once more, in place, and the backward is BN's with that weight.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        correction: _Correction,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Output, mean and standard deviation sqrt(var + eps) of the batch, ``(C,)``."""
        y, mean, invstd = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
        std = invstd.reciprocal()
        r, d = correction(mean, std)
        scale, shift = (r, d) if weight is None else (weight * r, weight * d)
        if bias is not None:
            shift = shift + bias
        shape = (1, -1) + (1,) * (x.ndim - 2)
        y.mul_(scale.view(shape)).add_(shift.view(shape))
        ctx.save_for_backward(x, weight, bias, scale, mean, invstd, r, d)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, std)
        return y, mean, std

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight, bias, scale, mean, invstd, r, d = ctx.saved_tensors
        dy = grads[0]
        if torch.is_grad_enabled():  # create_graph=True

            def forward(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
                return _renormalize(x, weight, bias, lambda mean, std: (r, d), ctx.eps)[0]

            first = gradients_to_differentiate(
                forward, (x, weight, bias), ctx.needs_input_grad[:3], dy
            )
            return (*first, None, None)
        if dy.stride() != x.stride():
            # The kernel is several times slower on mixed memory formats.
            dy = torch.empty_like(x).copy_(dy)
        affine = weight is not None
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_batch_norm_backward(
            dy, x, scale, None, None, mean, invstd, True, ctx.eps, [True, affine, affine]
        )
        if not affine:
            return grad_x, None, None, None, None
        return grad_x, grad_scale * r + grad_shift * d, grad_shift, None, None


def _renormalize(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, correction: _Correction, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Algorithm 1 in operations that autograd knows."""
    dims = [0, *range(2, x.ndim)]
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean = x.mean(dims, keepdim=True)
    std = ((x - mean).square().mean(dims, keepdim=True) + eps).sqrt()
    batch_mean, batch_std = mean.detach().flatten(), std.detach().flatten()
    r, d = correction(batch_mean, batch_std)
    y = (x - mean) / std * r.view(shape) + d.view(shape)
    if weight is not None:
        y = y * weight.view(shape)
    if bias is not None:
        y = y + bias.view(shape)
    return y, batch_mean, batch_std


#: An exported module moves its buffers in place. torch 2.6 cannot tell: there, everything does.
_exporting = getattr(torch.compiler, "is_exporting", lambda: True)


class BatchRenorm2d(OwnBatchNorm):
    """Batch Renormalization of ``(N, C, H, W)``: normalise in training as evaluation will.

    With the batch's mean and standard deviation mu_B and sigma_B = sqrt(var_B + eps), and the
    running ones mu and sigma (Algorithm 1 of the paper)::

        r = clip(sigma_B / sigma, 1 / r_max, r_max)      no gradient flows through r
        d = clip((mu_B - mu) / sigma, -d_max, d_max)     nor through d
        y = weight * ((x - mu_B) / sigma_B * r + d) + bias
        mu += momentum * (mu_B - mu);  sigma += momentum * (sigma_B - sigma)

    and in evaluation ``y = weight * (x - mu) / sigma + bias``. Where nothing is clipped the two are
    the same function of x: the output for an image no longer depends on its batch mates. With
    ``r_max=1, d_max=0`` it is plain Batch Normalization.

    The paper starts as plain BN (5,000 steps), then relaxes linearly to r_max = 3 at step 40,000
    and d_max = 5 at step 25,000; a short run would never leave the first phase. Here the schedule
    is a *fraction of the run*: BN for 1/32 of ``total_steps``, d_max reached at 5/32, r_max at
    1/4, which are the paper's steps at the default of 160,000. Steps are training forwards, counted
    in ``num_batches_tracked``.

    Everything is computed in float32 (float64 for float64 inputs), also inside autocast.
    ``running_mean``, ``running_std`` and the count are buffers in the state dict.

    A forward that ``torch.utils.checkpoint`` recomputes takes the r and d of the forward it
    repeats, found by the batch's mean among the last 32, and moves nothing.

    Args:
        num_features: C.
        total_steps: training steps of the run; 0 applies the full bounds from the first step.
        r_max: final bound of r, at least 1; may be ``inf``.
        d_max: final bound of d, at least 0; may be ``inf``.
        eps: added to the variance.
        momentum: of the running statistics. The paper takes 0.01 for its long run; the default is
            PyTorch's 0.1, which a run of a few hundred steps needs. ``None``, which
            ``swa_utils.update_bn`` sets, measures: plain BN, and the average over batches.
        affine: whether there are ``weight`` and ``bias``.

    Raises:
        InputError: for values outside these; in ``forward`` for a wrong shape, or in training for
            one value per channel.
    """

    width = "running_std"
    running_std: Tensor

    def __init__(
        self,
        num_features: int,
        total_steps: int = REFERENCE_STEPS,
        r_max: float = 3.0,
        d_max: float = 5.0,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        nn.Module.__init__(self)
        positive_int("num_features", num_features)
        require_rates(eps, momentum)
        if not isinstance(total_steps, int) or total_steps < 0:
            raise InputError(
                f"total_steps: expected the steps of the run (0 for full bounds at once), got "
                f"{total_steps}"
            )
        if not r_max >= 1:
            raise InputError(f"r_max: expected at least 1 (1 is plain BN), got {r_max}")
        if not d_max >= 0:
            raise InputError(f"d_max: expected at least 0 (0 is plain BN), got {d_max}")
        self.num_features, self.total_steps = num_features, total_steps
        self.r_max, self.d_max, self.eps, self.momentum = r_max, d_max, eps, momentum
        self.affine = affine
        self._recent: deque[tuple[Tensor, ...]] = deque(maxlen=32)  # mean, std, r, d of forwards
        self._make((num_features,) if affine else None, (num_features,), device, dtype)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Running mean and variance ``(C,)`` (the eps inside ``running_std`` taken out)."""
        return self.running_mean, (self.running_std.square() - self.eps).clamp_min(0)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Current ``(r_max, d_max)`` as 0-d tensors on the layer's device (no synchronisation)."""
        step = self.num_batches_tracked
        if self.momentum is None:
            step = torch.zeros_like(step)
        elif self.total_steps == 0:
            step = torch.ones_like(step)
        wide = torch.promote_types(self.running_mean.dtype, torch.float32)
        progress = step.to(wide) / max(self.total_steps, 1)

        def ramp(start: float, full: float, at: float) -> Tensor:
            share = ((progress - WARMUP) / (at - WARMUP)).clamp(0, 1)
            # where: an infinite bound times a share of zero would be NaN.
            return torch.where(share > 0, start + (full - start) * share, start)

        return ramp(1.0, self.r_max, R_FULL), ramp(0.0, self.d_max, D_FULL)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x``; the result has the dtype of ``x``."""
        self.check_shape(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            if not self.training:
                # In the dtype of x: torch refuses float32 beside a layer in half precision.
                mean, std = self.running_mean.to(wide.dtype), self.running_std.to(wide.dtype)
                weight, bias = (
                    t if t is None else t.to(wide.dtype) for t in (self.weight, self.bias)
                )
                var = std.square() - self.eps
                return F.batch_norm(wide, mean, var, weight, bias, False, 0.0, self.eps).to(x.dtype)
            if x.numel() <= self.num_features:
                raise InputError(
                    f"x: shape {tuple(x.shape)} leaves at most one value per channel, which has no "
                    "variance; use a larger batch"
                )
            return self._train(wide).to(x.dtype)

    def _train(self, x: Tensor) -> Tensor:
        normalize = _renormalize if in_plain_operations() else _Renormalize.apply
        again = is_recomputed()
        correction = self._recall if again else self._correction
        y, mean, std = normalize(x, self.weight, self.bias, correction, self.eps)
        if again:
            return y
        with torch.no_grad():
            if torch.compiler.is_compiling() and not _exporting():
                # A compiled backward pass computes r and d anew from the buffers that were read:
                # moved in place, they would give it wrong gradients without a word.
                for name in ("num_batches_tracked", "running_mean", "running_std"):
                    setattr(self, name, getattr(self, name).clone())
            self.num_batches_tracked.add_(1)
            factor: Tensor | float | None = self.momentum
            if factor is None:
                factor = 1 / self.num_batches_tracked.to(self.running_mean.dtype)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), factor)
            self.running_std.lerp_(std.to(self.running_std.dtype), factor)
        return y

    def _correction(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """r and d of a batch."""
        r_max, d_max = self.bounds()
        r = (std / self.running_std).clamp(1 / r_max, r_max)
        d = ((mean - self.running_mean) / self.running_std).clamp(-d_max, d_max)
        if not in_plain_operations():
            self._recent.append((mean, std, r, d))
        return r, d

    def _recall(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """r and d of the forward that this one repeats; the running statistics have moved on."""
        # A recomputed batch is the same batch: a thousandth of a deviation is room for rounding.
        for index, (kept_mean, kept_std, r, d) in reversed(list(enumerate(self._recent))):
            if kept_mean.shape == mean.shape and bool(
                ((kept_mean - mean).abs() <= 1e-3 * std).all()
                & ((kept_std - std).abs() <= 1e-3 * std).all()
            ):
                # To the end of the queue: of two equal batches the other one comes next.
                del self._recent[index]
                self._recent.appendleft((kept_mean, kept_std, r, d))
                return r, d
        raise InputError(
            f"{type(self).__name__}: a forward inside a backward pass repeats none of the last "
            f"{self._recent.maxlen} training forwards; with activation checkpointing, call "
            "backward sooner, and keep random layers before this one under preserve_rng_state"
        )

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f"{self.num_features}, total_steps={self.total_steps}, r_max={self.r_max}, "
            f"d_max={self.d_max}, eps={self.eps}, momentum={self.momentum}"
        )


class BatchRenorm1d(BatchRenorm2d):
    """:class:`BatchRenorm2d` for ``(N, C)`` or ``(N, C, L)``."""

    dims = (2, 3)
