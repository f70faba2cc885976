"""Triplet loss of given triplets; :mod:`contrastive_tutorial.losses.mining` finds them in a batch.

A *triplet* is an anchor a, a positive p (another sample of its class) and a negative n (a sample of
another class); ``loss = max(0, d(a, p) - d(a, n) + margin)`` (Schroff et al. 2015, FaceNet,
arXiv 1503.03832). With ``d_ap`` and ``d_an`` the two distances, a triplet is

* *easy* if ``d_an >= d_ap + margin``: loss zero, no gradient;
* *semi-hard* if ``d_ap < d_an < d_ap + margin``: the order is right, the gap too small;
* *hard* if ``d_an <= d_ap``: the negative is at least as close as the positive.

Distances: ``"euclidean"`` ``|x - y|``, ``"squared"`` ``|x - y|^2`` (FaceNet's, there on unit
vectors) and ``"cosine"`` ``1 - cos(x, y)``. Only the last one normalises; for the others pass unit
vectors if you want the margin to mean the same thing for every batch.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Literal, get_args

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses.checks import (
    at_least_float32,
    looks_at_values,
    require_finite,
    require_floating,
    require_same_shape,
)
from contrastive_tutorial.losses.directions import unit_rows

Distance = Literal["euclidean", "squared", "cosine"]
DISTANCES = get_args(Distance)


class TripletKind(IntEnum):
    """What :func:`triplet_kind` returns."""

    EASY = 0
    SEMI_HARD = 1
    HARD = 2


def triplet_kind(d_ap: Tensor | float, d_an: Tensor | float, margin: float) -> Tensor:
    """Easy, semi-hard or hard, elementwise: int64 codes of :class:`TripletKind`.

    Args:
        d_ap: anchor-positive distances, of any shape.
        d_an: anchor-negative distances, of a shape that broadcasts.
        margin: zero or more, in the unit of the distances.

    Raises:
        InputError: for a negative margin or distances that are NaN, negative or do not broadcast.

    >>> [TripletKind(int(triplet_kind(0.5, d_an, 0.3))).name for d_an in (1.2, 0.7, 0.4)]
    ['EASY', 'SEMI_HARD', 'HARD']
    """
    require_margin(margin)
    device = next((d.device for d in (d_ap, d_an) if isinstance(d, Tensor)), None)
    exact = torch.float64 if device is None else None  # two numbers keep every digit they have
    near, far = (as_double(torch.as_tensor(d, dtype=exact, device=device)) for d in (d_ap, d_an))
    for name, distance in (("d_ap", near), ("d_an", far)):
        if looks_at_values(distance) and not bool((distance >= 0).all()):
            bad = distance[~(distance >= 0)][0]
            raise InputError(f"{name}: expected distances of zero or more, got {float(bad)}")
    try:
        near, far = torch.broadcast_tensors(near, far)
    except RuntimeError as error:
        raise InputError(
            f"d_an: expected a shape that broadcasts with d_ap {tuple(near.shape)}, "
            f"got {tuple(far.shape)}"
        ) from error
    kind = torch.full(near.shape, int(TripletKind.SEMI_HARD), device=near.device)
    kind[far >= near + margin] = int(TripletKind.EASY)
    kind[far <= near] = int(TripletKind.HARD)  # also with margin 0: a tie is not the right order
    return kind


def triplet_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 0.2,
    *,
    distance: Distance = "euclidean",
) -> Tensor:
    """Triplet loss of given triplets: the mean of ``max(0, d(a, p) - d(a, n) + margin)``.

    Args:
        anchor, positive, negative: ``(..., D)``, all of one shape, dtype and device.
        margin: zero or more. On unit vectors the squared distance is at most 4, the Euclidean and
            the cosine distance at most 2: a larger margin can never be met.
        distance: ``"euclidean"``, ``"squared"`` or ``"cosine"``.

    Returns:
        A scalar, float32 (float64 for float64 input). Embeddings that have collapsed to one point
        give exactly ``margin``.

    Raises:
        InputError: for shapes, dtypes or devices that differ, a negative margin, an unknown
            distance, and values that are not finite.

    >>> a, p, n = torch.zeros(1, 1), torch.full((1, 1), 0.5), torch.full((1, 1), 0.7)
    >>> round(float(triplet_loss(a, p, n, margin=0.3)), 4)
    0.1
    """
    require_floating(anchor=anchor, positive=positive, negative=negative)
    require_same_shape(anchor=anchor, positive=positive, negative=negative)
    if anchor.ndim < 1 or anchor.numel() == 0:
        raise InputError(f"anchor: expected shape (..., D), none empty, got {tuple(anchor.shape)}")
    require_margin(margin)
    require_distance(distance)
    if looks_at_values(anchor):
        require_finite(anchor=anchor, positive=positive, negative=negative)
    with torch.autocast(anchor.device.type, enabled=False):
        a, p, n = as_double(anchor), as_double(positive), as_double(negative)
        d_ap, d_an = _row_distance(a, p, distance), _row_distance(a, n, distance)
        loss = (d_ap - d_an + margin).clamp_min(0)
        narrow = at_least_float32(anchor).dtype
        if looks_at_values(loss) and not bool(torch.isfinite(loss.detach().to(narrow)).all()):
            raise too_far(loss, distance, anchor=anchor, positive=positive, negative=negative)
        return loss.mean().to(narrow)  # a sum of float32 losses may not fit where its mean does


def _row_distance(x: Tensor, y: Tensor, distance: Distance) -> Tensor:
    if distance == "cosine":
        return 1 - (unit_rows(x) * unit_rows(y)).sum(-1)
    if distance == "squared":
        return (x - y).square().sum(-1)
    apart = x - y
    # The length of a row of zeros has no second derivative: that of ones stands in for it.
    equal = (apart.detach() == 0).all(-1)
    length = torch.linalg.vector_norm(torch.where(equal.unsqueeze(-1), 1.0, apart), dim=-1)
    return length.masked_fill(equal, 0.0)


def as_double(x: Tensor) -> Tensor:
    """float64, where squares of float32 values neither overflow nor vanish (Apple's has none)."""
    return at_least_float32(x) if x.device.type == "mps" else x.double()


def require_margin(margin: float) -> None:
    if not 0 <= margin < math.inf:
        raise InputError(f"margin: expected a number of zero or more, got {margin}")


def too_far(distances: Tensor, distance: str, **inputs: Tensor) -> InputError:
    largest = {name: float(tensor.detach().abs().max()) for name, tensor in inputs.items()}
    name = max(largest, key=largest.__getitem__)
    return InputError(
        f"{name}: expected values whose {distance} distances fit in {distances.dtype}, got values "
        f"up to {largest[name]:g}; normalise or scale the embeddings"
    )


def require_distance(distance: str) -> None:
    if distance not in DISTANCES:
        raise InputError(f"distance: expected one of {', '.join(DISTANCES)}, got {distance!r}")
