"""Statistics measured anew from batches: the running ones, or others beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.grouped import GroupedBatchNorm
from contrastive_tutorial.norm.kernels import pool_moments
from contrastive_tutorial.norm.renorm import BatchRenorm2d
from contrastive_tutorial.norm.statistics import (
    Forward,
    affine_of,
    evaluating,
    norm_layers,
    overridden,
    require_all_known,
    state_of,
)


class Moments:
    """Mean and variance of all values seen so far, per branch and channel, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.sum_of_squares = torch.zeros(())

    def add(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Merge the moments ``(S, C)`` of ``count`` more values (Chan et al. 1983)."""
        dtype = torch.float32 if mean.device.type == "mps" else torch.float64
        mean, var = mean.detach().to(dtype), var.detach().to(dtype)
        if self.count == 0:
            self.mean, self.sum_of_squares = torch.zeros_like(mean), torch.zeros_like(var)
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self.sum_of_squares = (
            self.sum_of_squares + var * count + delta.square() * (self.count * count / total)
        )
        self.count = total


def _measuring(layer: Any, into: Moments, by_subset: bool) -> Forward:
    """A forward that normalises with the batch's own statistics and notes them."""

    def forward(x: Tensor) -> Tensor:
        if by_subset and isinstance(layer, GroupedBatchNorm):
            layer.check_shape(x)
            y, mean, var = layer.normalize(x)
            count = x.numel() // mean.numel()
            if mean.shape[0] > 1 and layer.running_mean.ndim == 1:
                # Ghost: groups are a device of training, their running statistics are one set's.
                pooled = pool_moments(mean, var, dim=0)
                mean, var, count = pooled[0][None], pooled[1][None], count * mean.shape[0]
            into.add(mean, var, count)
            return y
        rows = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        var, mean = torch.var_mean(rows, [0, *range(2, x.ndim)], correction=0)
        into.add(mean[None], var[None], x.numel() // x.shape[1])
        return F.batch_norm(x, None, None, *affine_of(layer), True, 0.0, layer.eps)

    return forward


def require_measurable(model: nn.Module, frozen: bool = False) -> None:
    """Refuse a model with statistics that :func:`reestimate` cannot measure.

    Args:
        model: any; without norm layers there is nothing to measure.
        frozen: let layers pass whose statistics are meant to stay, as :func:`precise_bn` does.

    Raises:
        InputError: for running statistics in other layers than BN and ours, or for BN without.
    """
    require_all_known(model, frozen)
    if any(layer.running_mean is None for layer in norm_layers(model)):
        raise InputError(
            "model: a BatchNorm layer with track_running_stats=False keeps no statistics to "
            "measure; it uses those of the batch in evaluation too"
        )


@torch.no_grad()
def _measure(
    model: nn.Module, batches: Iterable[Tensor], by_subset: bool
) -> list[tuple[Any, Moments]]:
    if isinstance(batches, Tensor):
        raise InputError("batches: expected several, got one tensor; give [x] for a single batch")
    with evaluating(model) as inner:
        require_measurable(inner, frozen=by_subset)
        found = [(layer, Moments()) for layer in norm_layers(inner)]
        if any(getattr(layer, "domain", None) is not None for layer, _ in found):
            raise InputError("batches: measured in K equal groups of rows, outside norm.domains")
        seen = 0
        with overridden([(layer, _measuring(layer, m, by_subset)) for layer, m in found]):
            for batch in batches:
                if not isinstance(batch, Tensor):
                    raise InputError(
                        f"batches: expected float tensors, got a {type(batch).__name__}; of a "
                        "loader that gives labels too, take (x for x, _ in loader)"
                    )
                inner(batch)
                seen += 1
    if not seen:
        raise InputError("batches: expected at least one batch, got none")
    return [(layer, moments) for layer, moments in found if moments.count > 1]


def precise_bn(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Recompute running statistics, those of every branch, from training batches.

    The exponential average that training leaves behind lags: with momentum 0.01 (Keras: 0.99), 40%
    of the initial value is left after 90 steps, and it averages over weights that have since
    changed. This passes ``batches`` through the frozen network, each normalised by its own
    statistics as in training, and stores the mean and the (unbiased) variance of all values
    together, by the law of total variance and weighted by batch size: for a layer whose input does
    not depend on the batch, exactly those of the pooled data (Wu and Johnson 2021, arXiv
    2105.07576). Batch Renormalization layers normalise as plain BN meanwhile. Everything but norm
    layers, such as dropout, is in evaluation mode; modes and step counts come back unchanged.

    Args:
        model: with any norm layers.
        batches: float tensors as in training, rows ordered (subset, view, sample).

    Raises:
        InputError: if there is no batch, or one does not divide by K; for running statistics in
            layers that are not measured (InstanceNorm, lazy, scripted; frozen ones stay).
    """
    with torch.no_grad():
        for layer, moments in _measure(model, batches, by_subset=True):
            biased = moments.sum_of_squares / moments.count
            layer.running_mean.copy_(moments.mean.view_as(layer.running_mean))
            if isinstance(layer, BatchRenorm2d):
                layer.running_std.copy_((biased + layer.eps).sqrt().view_as(layer.running_std))
            else:
                unbiased = moments.sum_of_squares / (moments.count - 1)
                layer.running_var.copy_(unbiased.view_as(layer.running_var))


def reestimate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measure the statistics that ``evaluation_statistics(model, "reestimated")`` uses.

    As :func:`precise_bn`, but on clean (unaugmented) *training* images in any order, one set of
    statistics for all subsets (AdaBN, Li et al. 2016, arXiv 1603.04779), with the affine averaged
    where it is per subset. They are kept beside the running statistics as non-persistent buffers:
    they follow the model to another device and through ``copy.deepcopy``, and are not in its state
    dict.

    Args:
        model: with any norm layers.
        batches: float tensors of clean training images.

    Raises:
        InputError: if there is no batch; for running statistics in other layers, as there, frozen
            ones included.
    """
    measured = _measure(model, batches, by_subset=False)
    at = state_of(getattr(model, "_orig_mod", model))  # to notice other weights
    for layer, moments in measured:
        like = layer.running_mean
        var = moments.sum_of_squares / (moments.count - 1)
        layer.register_buffer("reestimated_mean", moments.mean[0].to(like.dtype), persistent=False)
        layer.register_buffer("reestimated_var", var[0].to(like.dtype), persistent=False)
        layer.register_buffer("reestimated_at", at.to(like.device), persistent=False)
