"""What norm layers whose batch is made of K groups have in common.

Arguments and their checks, buffers, running statistics, and evaluation; with subsets by the order
of the rows or by an id for each row. The layers themselves are in
:mod:`~contrastive_tutorial.norm.layers`.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.kernels import (
    Groups,
    grouped_normalize,
    is_recomputed,
    normalize_by_domain,
    pool_moments,
)

GROUPINGS = ("contiguous", "interleaved", "shuffled")


def positive_int(name: str, value: int) -> int:
    """``value``, unless it is no whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name}: expected an integer of at least 1, got {value!r}")
    return value


def require_ids(name: str, ids: Any, rows: int | None = None) -> None:
    """Raise :class:`InputError` unless ``ids`` is an int64 tensor ``(rows,)``."""
    if not isinstance(ids, Tensor):
        raise InputError(
            f"{name}: expected an int64 tensor, got {type(ids).__name__}; use torch.as_tensor(ids)"
        )
    if ids.dtype != torch.int64 or ids.ndim != 1 or rows not in (None, len(ids)):
        shape = "(N,)" if rows is None else f"({rows},)"
        raise InputError(
            f"{name}: expected int64 of shape {shape}, the subset of every row, got {ids.dtype} of "
            f"shape {tuple(ids.shape)}"
        )


def require_rates(eps: Any, momentum: Any) -> None:
    """Raise :class:`InputError` for an ``eps`` that is negative or no number (0 is allowed, as in
    torch: a constant channel then gives NaN), or a ``momentum`` that would move running statistics
    past what they follow, or away from it."""
    if not isinstance(eps, Real) or not 0 <= float(eps) < math.inf:
        raise InputError(f"eps: expected a number of at least 0, got {eps!r}")
    if momentum is not None and (not isinstance(momentum, Real) or not 0 <= float(momentum) <= 1):
        raise InputError(
            f"momentum: expected 0 to 1, or None for the average over batches, got {momentum!r}"
        )


def has_activation_inside(layer: nn.Module) -> bool:
    """Whether ``layer`` is timm's Batch Normalization with dropout and activation inside."""
    kind = type(layer)
    return kind.__name__ == "BatchNormAct2d" and kind.__module__.startswith("timm.")


def drop_and_activate(layer: Any, args: Any, y: Tensor) -> Any:
    """A forward hook: what timm's layer does after normalising."""
    return layer.act(layer.drop(y))


class OwnBatchNorm(nn.modules.batchnorm._BatchNorm):
    """A norm layer of this package, known to other tools as one of PyTorch's BN family."""

    dims: tuple[int, ...] = (4,)
    width = "running_var"  # the buffer beside running_mean
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    _load_from_state_dict = nn.Module._load_from_state_dict  # there are no old versions to mend

    @property
    def track_running_stats(self) -> bool:
        """Read by tools that put another layer in place of a ``_BatchNorm``, and by ``torch.jit``.

        Raises:
            InputError: always; that layer could not keep what this one has learned.
        """
        raise InputError(
            f"{type(self).__name__}: plain BN cannot keep its statistics, so other tools "
            "(SyncBatchNorm, timm's and lightly's converters, torch.func's replacement, torch.jit) "
            "must not put that in its place; call convert_norm(model, 'bn') first, which pools "
            "them, or leave these layers out"
        )

    @track_running_stats.setter
    def track_running_stats(self, value: bool) -> None:
        raise InputError(
            f"{type(self).__name__}: its running statistics cannot be switched off; layer.eval() "
            "stops their updates"
        )

    def _make(
        self, affine: tuple[int, ...] | None, statistics: tuple[int, ...], device: Any, dtype: Any
    ) -> None:
        """Weight and bias of one shape (``None``: without), running statistics of another."""
        kind = {"device": device, "dtype": dtype}
        for name, made in (("weight", torch.ones), ("bias", torch.zeros)):
            value = None if affine is None else nn.Parameter(made(affine, **kind))
            self.register_parameter(name, value)
        self.register_buffer("running_mean", torch.zeros(statistics, **kind))
        self.register_buffer(self.width, torch.ones(statistics, **kind))
        self.register_buffer(
            "num_batches_tracked", torch.zeros((), dtype=torch.int64, device=device)
        )

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, no batches seen."""
        self.running_mean.zero_()
        getattr(self, self.width).fill_(1)
        self.num_batches_tracked.zero_()

    def check_shape(self, x: Tensor) -> None:
        """Raise :class:`InputError` unless ``x`` is floating point, ``(N, num_features, ...)``."""
        if x.ndim not in self.dims or x.shape[1] != self.num_features:
            raise InputError(
                f"x: expected {' or '.join(map(str, self.dims))} dimensions (N, C, ...) with "
                f"C = {self.num_features} channels, got shape {tuple(x.shape)}"
            )
        if not x.is_floating_point():
            raise InputError(
                f"x: expected floating point values, got {x.dtype}; convert with x.float()"
            )


class GroupedBatchNorm(OwnBatchNorm):
    """What the K-group layers have in common: arguments, buffers, checks, evaluation.

    ``num_groups`` is K; ``branches`` is the number of ways in which the layer can treat a row in
    evaluation (K, or 1 where nothing is kept per subset). ``domain`` is what
    :func:`~contrastive_tutorial.norm.domains` sets: the subset of every row, for the time being.
    """

    affine: Any  # "shared", "split" or None
    pooled = False  # whether all groups share one mean and variance in training
    domain: Tensor | None = None

    def __init__(
        self,
        num_features: int,
        num_groups: int,
        statistics: int,
        affine: str | None,
        grouping: str,
        eps: float,
        momentum: float | None,
        device: Any = None,
        dtype: Any = None,
    ):
        nn.Module.__init__(self)
        if affine not in ("shared", "split", None):
            raise InputError(f"affine: expected 'shared', 'split' or None, got {affine!r}")
        if grouping not in GROUPINGS:
            raise InputError(f"grouping: expected one of {GROUPINGS}, got {grouping!r}")
        require_rates(eps, momentum)
        self.num_features, self.num_groups = num_features, num_groups
        self.affine, self.grouping, self.eps, self.momentum = affine, grouping, eps, momentum
        one, many = (num_features,), (num_groups, num_features)
        own = None if affine is None else many if affine == "split" else one
        self._make(own, many if statistics else one, device, dtype)

    @property
    def branches(self) -> int:
        """Number of branches of the evaluation menu."""
        return self.num_groups if self.affine == "split" or self.running_mean.ndim == 2 else 1

    def check_shape(self, x: Tensor) -> None:
        """As :meth:`OwnBatchNorm.check_shape`, and refuse float64 in a narrower layer.

        Its evaluation could not take it.
        """
        super().check_shape(x)
        own = self.running_mean.dtype
        if x.dtype == torch.float64 != own:
            raise InputError(
                f"x: expected {own}, as the layer has it, got {x.dtype}; use x.to({own}), or give "
                "the layer .double()"
            )

    def check_groups(self, x: Tensor) -> None:
        """Raise :class:`InputError` unless ``x`` divides into groups that have a variance."""
        k = self.num_groups
        if x.shape[0] % k:
            raise InputError(
                f"x: a batch of N = {x.shape[0]} rows does not divide into K = {k} equal groups; "
                f"use a batch size that is a multiple of {k}"
            )
        if x.numel() <= (1 if self.pooled else k) * self.num_features:
            raise InputError(
                f"x: shape {tuple(x.shape)} in K = {k} groups leaves at most one value per channel "
                "and group, which has no variance; use a larger batch or fewer groups"
            )

    def order(self, batch: int) -> Tensor | None:
        """Row order of this step's groups; ``None`` where the grouping is fixed."""
        return None

    def check_domain(self, x: Tensor, domain: Tensor) -> None:
        """Raise :class:`InputError` unless ``domain`` names a subset for every row of ``x``.

        Its values are looked at on a CPU only: on another device that would wait for it.
        """
        k = self.num_groups
        if self.branches == 1 and k > 1:
            raise InputError(
                f"domain: {type(self).__name__} keeps nothing per subset; only split, dsbn and "
                "affine layers take it"
            )
        require_ids("domain", domain, x.shape[0])
        if not len(x) and self.training:
            raise InputError(f"x: expected rows to train on, got shape {tuple(x.shape)}")
        if domain.device.type != "cpu" or torch.compiler.is_compiling() or not len(x):
            return
        counts = torch.bincount(domain - domain.min().clamp_max(0), minlength=k)
        if domain.min() < 0 or len(counts) > k:
            raise InputError(
                f"domain: expected subsets from 0 to {k - 1}, got {int(domain.min())} to "
                f"{int(domain.max())}"
            )
        counts = counts.sum()[None] if self.pooled else counts
        if self.training and bool((counts * (x[0].numel() // self.num_features) == 1).any()):
            raise InputError(
                f"domain: a subset with one value per channel in x of shape {tuple(x.shape)} has "
                "no variance; give it two rows, or none"
            )

    def _affine_rows(self) -> tuple[Tensor | None, Tensor | None]:
        c = self.num_features
        return (
            (None, None)
            if self.weight is None
            else (self.weight.view(-1, c), self.bias.view(-1, c))
        )

    def normalize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training output of ``x``; its means and biased variances ``(K or 1, C)``, by group."""
        self.check_groups(x)
        groups = Groups(
            self.num_groups, self.eps, self.pooled, self.grouping, self.order(x.shape[0])
        )
        return grouped_normalize(x, *self._affine_rows(), groups)

    @torch.no_grad()
    def update_running(
        self, mean: Tensor, var: Tensor, count: int, groups: slice | None = None
    ) -> None:
        """Fold means and biased variances ``(K or 1, C)`` of ``count`` values each into ours.

        They are of these ``groups`` alone, where a process meets no others.
        """
        if is_recomputed():
            return
        self.num_batches_tracked.add_(1)
        if self.momentum is None:
            factor: Tensor | float = 1 / self.num_batches_tracked.to(self.running_mean.dtype)
        else:
            factor = self.momentum
        var = var * (count / (count - 1))
        if self.running_mean.ndim == 1:
            # One set of statistics: the average over groups. For groups of the same distribution
            # the mean of unbiased variances is unbiased too.
            mean, var, groups = mean.mean(0), var.mean(0), None
        for running, now in ((self.running_mean, mean), (self.running_var, var)):
            table = running if groups is None else running[groups]
            table.lerp_(now.to(table.dtype), factor)

    def _train_by_domain(self, x: Tensor, domain: Tensor) -> Tensor:
        if self.momentum is None:
            raise InputError(
                "domain: momentum=None averages over batches, but a subset may be absent from some "
                "of them; give the layer a momentum"
            )
        y, mean, var, count = normalize_by_domain(
            x, *self._affine_rows(), domain, self.num_groups, self.pooled, self.eps
        )
        if not is_recomputed():
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                # A subset without rows stays where it was.
                factor = (self.momentum * (count > 0)).expand_as(mean)
                var = var * (count / (count - 1).clamp_min(1))
                for running, now in ((self.running_mean, mean), (self.running_var, var)):
                    table = running.view_as(now)
                    table.lerp_(now.to(table.dtype), factor.to(table.dtype))
        return y

    def through_branches(self, x: Tensor, domain: Tensor) -> Tensor:
        """Evaluation of every row of ``x`` by the statistics and affine of its subset ``(N,)``."""
        weight, bias = self._affine_rows()
        mean, var = (t.view(-1, self.num_features) for t in (self.running_mean, self.running_var))
        scale = torch.rsqrt(var + self.eps)
        if weight is not None:
            scale = scale * weight
        shift = -mean * scale
        if bias is not None:
            shift = shift + bias
        shape = (x.shape[0], self.num_features) + (1,) * (x.ndim - 2)
        a, b = (
            t.expand(self.num_groups, self.num_features)[domain].view(shape) for t in (scale, shift)
        )
        return torch.addcmul(b, x.to(a.dtype), a).to(x.dtype)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Running mean and variance ``(C,)`` of all subsets together (law of total variance)."""
        if self.running_mean.ndim == 1:
            return self.running_mean, self.running_var
        return pool_moments(self.running_mean, self.running_var, dim=0)

    def mean_affine(self) -> tuple[Tensor | None, Tensor | None]:
        """Weight and bias ``(C,)`` for a row of no known subset: their average over subsets."""
        if self.weight is None or self.weight.ndim == 1:
            return self.weight, self.bias
        return self.weight.mean(0), self.bias.mean(0)

    def forward(self, x: Tensor, domain: Tensor | None = None) -> Tensor:
        """Normalise ``x``; the class says what training and evaluation mean.

        Args:
            x: ``(N, C, H, W)``; of the 1d layers ``(N, C)`` or ``(N, C, L)``. Floating point.
            domain: int64 ``(N,)``, the subset of every row, from 0 to K - 1 and in any order.
                Without it a training batch is K equal groups, and a row in evaluation has no
                subset. With it subsets may differ in size: in training each is normalised by its
                own moments, as K ``nn.BatchNorm2d`` would do it, and one without rows keeps its
                statistics; in evaluation each row goes through its own branch. To reach the layers
                inside a model: :func:`~contrastive_tutorial.norm.domains`.

        Raises:
            InputError: for wrong dimensions or channels; in training, if the batch does not divide
                by the number of groups, or a group has one value per channel; for a ``domain`` of
                another type or shape, out of range, or of a layer that has no subsets.
        """
        self.check_shape(x)
        domain = self.domain if domain is None else domain
        if domain is not None:
            self.check_domain(x, domain)
            return (
                self._train_by_domain(x, domain)
                if self.training
                else self.through_branches(x, domain)
            )
        if not self.training:
            return F.batch_norm(x, *self.moments(), *self.mean_affine(), False, 0.0, self.eps)
        y, mean, var = self.normalize(x)
        self.update_running(mean, var, x.numel() // mean.numel())
        return y

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f"{self.num_features}, {self.num_groups}, affine={self.affine!r}, "
            f"grouping={self.grouping!r}, eps={self.eps}, momentum={self.momentum}"
        )
