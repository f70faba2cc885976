"""Triplet losses of a labelled batch: all triplets, the semi-hard ones, the hardest of each anchor.

A batch of N holds up to N^3 triplets, yet memory stays at a few (N, N) matrices: the loss is linear
in the distances, so it is enough to *count*, for each pair, in how many triplets it takes part.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses.checks import (
    at_least_float32,
    looks_at_values,
    require_finite,
    require_floating,
)
from contrastive_tutorial.losses.directions import unit_rows
from contrastive_tutorial.losses.triplet import (
    Distance,
    as_double,
    require_distance,
    require_margin,
    too_far,
)

_CHUNK = 2**22  # entries of the distance matrix counted at a time


def batch_all_triplet_loss(
    embeddings: Tensor, labels: Tensor, margin: float = 0.2, *, distance: Distance = "euclidean"
) -> Tensor:
    """Mean loss over all triplets of a batch whose loss is above zero.

    Hermans, Beyer & Leibe 2017 (arXiv 1703.07737), equation 6 and its "batch all, non-zero"
    variant: every anchor with every positive and every negative, averaged over the active triplets,
    because the many easy ones would drown the rest.

    Args:
        embeddings: ``(N, D)``.
        labels: ``(N,)`` integers.
        margin, distance: as in :func:`triplet_loss`.

    Returns:
        A scalar, float32 (float64 for float64 input); zero, with zero gradient, when every triplet
        is easy, or (not on a CPU) when there is none. Time O(N^2 log N), memory O(N^2). Waits once
        for a GPU (size of the largest class). Differentiable twice; at distance zero, where
        ``|x - y|`` has a corner, every derivative counts as zero.

    Raises:
        InputError: for shapes or devices that do not fit, a negative margin, an unknown distance,
            values that are not finite, a single class, or no class with two samples.
    """
    d, same = _batch_distances(embeddings, labels, margin, distance)
    return _mean_over_triplets(d, labels, same, margin, semi_hard=False)


def semi_hard_triplet_loss(
    embeddings: Tensor, labels: Tensor, margin: float = 0.2, *, distance: Distance = "euclidean"
) -> Tensor:
    """Mean loss over the semi-hard triplets of a batch: ``d_ap < d_an < d_ap + margin``.

    The selection of FaceNet (section 3.2): hard negatives early in training lead to collapsed
    models, easy ones teach nothing. Every semi-hard triplet counts, as in pytorch-metric-learning's
    ``TripletMarginMiner(type_of_triplets="semihard")``; TensorFlow Addons takes the closest
    semi-hard negative of each pair, and the farthest negative of a pair that has none.

    Arguments, result and errors as in :func:`batch_all_triplet_loss`.
    """
    d, same = _batch_distances(embeddings, labels, margin, distance)
    return _mean_over_triplets(d, labels, same, margin, semi_hard=True)


def batch_hard_triplet_loss(
    embeddings: Tensor, labels: Tensor, margin: float = 0.2, *, distance: Distance = "euclidean"
) -> Tensor:
    """Mean over anchors of the loss of their farthest positive and closest negative.

    Hermans, Beyer & Leibe 2017 (arXiv 1703.07737), equation 5: N triplets a batch, one for each
    anchor that has both a positive and a negative; the mean runs over those with a loss above zero
    (the paper's runs over all anchors).

    Arguments, result and errors as in :func:`batch_all_triplet_loss`.
    """
    d, same = _batch_distances(embeddings, labels, margin, distance)
    self_pair = torch.eye(len(d), dtype=torch.bool, device=d.device)
    farthest = d.masked_fill(~same | self_pair, -math.inf).amax(1)
    closest = d.masked_fill(same, math.inf).amin(1)
    # An anchor without a positive or a negative has farthest - closest = -inf: loss zero.
    loss = (farthest - closest + margin).clamp_min(0)
    return (loss / (loss.detach() > 0).sum().clamp_min(1)).sum()  # the sum alone may not fit


def _central(x: Tensor) -> Tensor:
    """The row of ``x (N, D)`` nearest to the mean, ``(1, D)``: whole numbers less it stay whole."""
    return x.index_select(0, (x - x.mean(0)).square().sum(1).argmin().reshape(1))


class _EuclideanDistances(torch.autograd.Function):
    """All Euclidean distances of a batch ``(N, D) -> (N, N)``, accurate also for near-duplicates;
    or their squares, which equal distances keep equal where a rounded root squared does not.

    |x|^2 + |y|^2 - 2 x.y cancels when x is close to y; in float64 what is left is still exact to
    float32, at the speed of a matrix product. ``torch.cdist`` is either inaccurate there or much
    slower, and its gradient takes N x N x D memory on a GPU. At distance zero the gradient is zero.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, squared: bool) -> Tensor:
        wide = as_double(x)
        wide = wide - _central(wide)
        square = wide.square().sum(1)
        d = (wide @ wide.mT).mul_(-2).add_(square).add_(square.unsqueeze(1))
        d.clamp_min_(0).diagonal().zero_()
        return (d if squared else d.sqrt_()).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, bool], output: Tensor) -> None:
        x, ctx.squared = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        # Plain operations on what was saved, d among them: autograd can go through once more.
        x, d = ctx.saved_tensors
        weight = (  # (N, N)
            2 * grad if ctx.squared else torch.where(d > 0, grad / torch.where(d > 0, d, 1), 0)
        )
        x = x - _central(x)  # differences are all that counts; small numbers cancel better
        by_row, by_column = weight.sum(1) + weight.sum(0), weight @ x + weight.mT @ x
        return by_row.unsqueeze(1) * x - by_column, None


def _batch_distances(
    embeddings: Tensor, labels: Tensor, margin: float, distance: Distance
) -> tuple[Tensor, Tensor]:
    """Checked input: distances ``(N, N)`` and which pairs share a label, bool ``(N, N)``."""
    require_floating(embeddings=embeddings)
    if embeddings.ndim != 2 or embeddings.numel() == 0:
        raise InputError(
            f"embeddings: expected shape (N, D), N and D >= 1, got {tuple(embeddings.shape)}"
        )
    if not isinstance(labels, Tensor):
        raise InputError(f"labels: expected a torch.Tensor, got {type(labels).__name__}")
    if labels.shape != embeddings.shape[:1]:
        raise InputError(
            f"labels: expected shape ({len(embeddings)},), one for each embedding, "
            f"got {tuple(labels.shape)}"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise InputError(f"labels: expected integers, got {labels.dtype}; convert with .long()")
    if labels.device != embeddings.device:
        raise InputError(
            f"labels: expected device {embeddings.device} as embeddings has, got {labels.device}"
        )
    require_margin(margin)
    require_distance(distance)
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    look = looks_at_values(embeddings)
    if look:
        require_finite(embeddings=embeddings)
        _require_triplets(labels, same)
    with torch.autocast(embeddings.device.type, enabled=False):
        x = at_least_float32(embeddings)
        if distance == "cosine":
            unit = unit_rows(as_double(x)).to(x.dtype)
            d = 1 - unit @ unit.mT
        else:
            d = _EuclideanDistances.apply(x, distance == "squared")
    if look and not bool(torch.isfinite(d.detach()).all()):
        raise too_far(d, distance, embeddings=embeddings)
    return d, same


def _sorted_positives(d: Tensor, labels: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    """The positives of each anchor by rising distance, padded *in front* to the largest class.

    Distances ``(N, P)``, ``-inf`` in the padding, so that rows stay sorted; and int64 columns
    ``(N, P)`` of the distance matrix, where the padding points at the anchor.
    """
    n = len(labels)
    size = same.sum(1, keepdim=True)  # (N, 1) samples of the anchor's class, the anchor included
    ordered, members = labels.long().sort(stable=True)  # class after class
    first = torch.searchsorted(ordered, labels.long())  # where the anchor's class begins
    slot = torch.arange(int(size.max()), device=d.device)
    anchor = torch.arange(n, device=d.device).unsqueeze(1)
    index = members[(first.unsqueeze(1) + slot).clamp_max(n - 1)]
    valid = (slot < size) & (index != anchor)
    index = torch.where(valid, index, anchor)
    distance = d.gather(1, index).masked_fill(~valid, -math.inf)
    distance, order = distance.sort(dim=1)
    return distance, index.gather(1, order)


def _mean_over_triplets(
    d: Tensor, labels: Tensor, same: Tensor, margin: float, *, semi_hard: bool
) -> Tensor:
    """Mean of ``d_ap - d_an + margin`` over the active triplets, without listing them.

    Their sum is ``margin * count + sum_ij coefficient_ij d_ij``, where the coefficient of a pair is
    the number of active triplets it is the positive pair of, or minus the number it is the negative
    pair of. The counts are piecewise constant, so autograd sees only the sum.
    """
    with torch.no_grad():
        distance, column = _sorted_positives(d, labels, same)
        coefficient = torch.empty_like(d)
        count = torch.zeros((), dtype=torch.int64, device=d.device)
        rows = max(1, _CHUNK // len(d))
        for part in (slice(start, start + rows) for start in range(0, len(d), rows)):
            lo, hi = _active_ranks(d[part], same[part], distance[part], margin, semi_hard)
            # Negative n is active with the positives ranked lo to hi - 1: mark where that begins
            # and ends, and the running sum counts the negatives of each positive.
            ends = lo.shape[0], column.shape[1] + 1
            steps = d.new_zeros(ends, dtype=torch.float32)  # exact: counts below 2^24
            one = steps.new_ones(()).expand(lo.shape)
            steps.scatter_add_(1, lo, one).scatter_add_(1, hi, -one)
            per_positive = steps.cumsum(1)[:, :-1].to(d.dtype)
            coefficient[part] = (lo - hi).to(d.dtype)
            coefficient[part].scatter_add_(1, column[part], per_positive)
            count = count + (hi - lo).sum()
        coefficient /= count.clamp_min(1)  # before the sum, which could overflow
        any_active = count.clamp_max(1).to(d.dtype)
    total = (coefficient * d).sum() + margin * any_active
    # Every active triplet has a loss above zero; rounding must not push their mean below it.
    return total - total.detach().clamp_max(0)


def _active_ranks(
    d: Tensor, same: Tensor, positive_distance: Tensor, margin: float, semi_hard: bool
) -> tuple[Tensor, Tensor]:
    """Ranks ``[lo, hi)`` of the positives with which each negative of a chunk is active.

    Active means ``d_an < d_ap + margin``, a lower bound on d_ap; semi-hard adds ``d_ap < d_an``, an
    upper one. For pairs that are no negatives ``lo = hi``: active with none. int64 ``(n, N)`` each.
    """
    lo = torch.searchsorted(positive_distance + margin, d, right=True)
    if semi_hard:
        hi = torch.searchsorted(positive_distance, d)
    else:
        hi = torch.full_like(lo, positive_distance.shape[1])
    return lo, torch.where(same, lo, torch.maximum(lo, hi))


def _require_triplets(labels: Tensor, same: Tensor) -> None:
    if bool(same.all()):
        raise InputError(
            f"labels: expected at least two classes, got 1 ({int(labels[0])}) in a batch of "
            f"{len(labels)}; without negatives there is no triplet"
        )
    if int(same.sum()) == len(labels):
        raise InputError(
            f"labels: expected a class with at least two samples, got {len(labels)} classes of "
            "one sample each; without positives there is no triplet"
        )
