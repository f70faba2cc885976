"""Geometry of embeddings on the sphere, and how well they solve the contrastive task."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import unit_rows
from contrastive_tutorial.metrics.checks import Array, check_features, check_ids, check_views
from contrastive_tutorial.metrics.neighbours import BLOCK_ROWS


class DotProductSimilarity(NamedTuple):
    """Mean dot products of positive and of negative pairs."""

    positive: float
    negative: float


def dot_product_similarity(z0: Array, z1: Array) -> DotProductSimilarity:
    """Mean cosine of the N positive pairs, and of all negative pairs among the 2N views.

    A pair is negative when it is neither a view with itself nor two views of one image:
    2N (2N - 2) ordered pairs.

    Args:
        z0, z1: ``(N, D)`` two views of the same N >= 2 images.

    Raises:
        InputError: for bad features or unequal shapes.
    """
    first, second = (unit_rows(z.double()) for z in check_views(z0, z1))
    n = len(first)
    positive = (first * second).sum()
    squares = first.square().sum() + second.square().sum()
    # Sum over all ordered pairs = square of the sum: no (2N, 2N) matrix is needed.
    everything = (first.sum(dim=0) + second.sum(dim=0)).square().sum()
    negative = (everything - squares - 2 * positive) / (2 * n * (2 * n - 2))
    return DotProductSimilarity(float(positive / n), float(negative))


def alignment(z0: Array, z1: Array, alpha: float = 2.0) -> float:
    """Mean ``||u - v||^alpha`` of positive pairs on the unit sphere; 0 is perfect.

    ``L_align`` of Wang & Isola 2020, arXiv 2005.10242 (the usual alpha is 2).

    Args:
        z0, z1: ``(N, D)`` two views of the same N images.
        alpha: positive.

    Raises:
        InputError: for bad features, unequal shapes, or an exponent that is not positive.
    """
    _require_positive("alpha", alpha)
    first, second = check_views(z0, z1, min_rows=1)
    distance = (unit_rows(first) - unit_rows(second)).norm(dim=1)
    return float(distance.pow(alpha).double().mean())


def uniformity(z: Array, t: float = 2.0, image_ids: Array | None = None) -> float:
    """Log of the mean Gaussian potential ``exp(-t ||u - v||^2)`` over pairs of rows, on the sphere.

    0 when all points coincide; -3.94 for points spread uniformly over S^127 with t = 2; lower is
    more uniform. ``L_uniform`` of Wang & Isola 2020, arXiv 2005.10242, is an expectation over
    *independent* samples. Two views of one image are close to each other, so in a stack of both
    views their pairs lift the value (the more, the fewer images): give ``image_ids``, and only
    pairs of different images count.

    Args:
        z: ``(N, D)``, N >= 2.
        t: positive, of the potential.
        image_ids: integer ``(N,)``, which image a row shows; ``None``: all are different.

    Raises:
        InputError: for bad features or ids, no pair of different images, or ``t`` not positive.
    """
    _require_positive("t", t)
    points = unit_rows(check_features("z", z, min_rows=2))
    images, pairs = None, len(points) * (len(points) - 1)
    if image_ids is not None:
        images = check_ids("image_ids", image_ids, len(points), "rows of z").to(points.device)
        shown = images.unique(return_counts=True)[1]
        pairs = len(points) ** 2 - int(shown.square().sum())
        if pairs == 0:
            raise InputError("image_ids: expected at least two images, got 1")
    logs = []
    # ||u - v||^2 = 2 - 2 u.v; what does not count has similarity -inf and adds nothing.
    for similarity, rows in _similarity_blocks(points):
        if images is not None:
            similarity.masked_fill_(images[rows, None] == images, -math.inf)
        logs.append(torch.logsumexp(2 * t * (similarity.double() - 1), dim=(0, 1)))
    return float(torch.logsumexp(torch.stack(logs), dim=0)) - math.log(pairs)


def rankme(features: Array) -> float:
    """RankMe: the exponential of the entropy of the normalised singular values.

    A smooth rank, between 1 and D. Garrido, Balestriero, Najman, LeCun 2023, arXiv 2210.02885;
    25,600 samples are enough. Its authors compare only runs of the same method by it.

    Args:
        features: ``(N, D)``; features that are all zero have rank 1.

    Raises:
        InputError: for bad features.
    """
    x = check_features("features", features).double()
    # A power of two, which costs no bit, so that no square overflows or vanishes.
    x = torch.ldexp(x, -torch.frexp(x.abs().max()).exponent)
    # Singular values from the smaller Gram matrix: exact enough (relative 1e-8)
    # and much cheaper than an SVD of the tall matrix.
    gram = x.T @ x if x.shape[0] >= x.shape[1] else x @ x.T
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    p = singular / singular.sum().clamp_min(torch.finfo(x.dtype).tiny) + 1e-7  # the paper's
    return float(torch.exp(-(p * p.log()).sum()))


def _similarity_blocks(z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of rows of ``z @ z.T`` with -inf on the diagonal, each with its row indices."""
    for start in range(0, len(z), BLOCK_ROWS):
        block = z[start : start + BLOCK_ROWS] @ z.T
        rows = torch.arange(start, start + len(block), device=z.device)
        block[rows - start, rows] = -math.inf
        yield block, rows


def contrastive_accuracy(z0: Array, z1: Array, normalize: bool = True) -> float:
    """How often an anchor's positive is the most similar of the other 2N - 1 views.

    Over all 2N anchors; similar by cosine, or by dot product without ``normalize``. A tie counts
    as a miss, so that a collapsed encoder earns nothing; chance is 1/(2N - 1).

    Args:
        z0, z1: ``(N, D)`` two views of the same N >= 2 images.
        normalize: l2-normalise first.

    Raises:
        InputError: for bad features, unequal shapes, or dot products that overflow.
    """
    first, second = check_views(z0, z1)
    n = len(first)
    z = torch.cat([first, second])
    if normalize:
        z = unit_rows(z)
    elif not bool(torch.isfinite(z.square().sum(dim=1)).all()):
        raise InputError(
            f"z0 and z1: expected features whose dot products fit in {z.dtype}, got values up to "
            f"{float(z.abs().max()):g}; scale them down, or take the cosine with normalize=True"
        )
    hits = 0
    for block, rows in _similarity_blocks(z):
        local, positive = rows - rows[0], (rows + n) % (2 * n)
        own = block[local, positive].clone()
        block[local, positive] = -math.inf
        hits += int((own > block.amax(dim=1)).sum())
    return hits / (2 * n)


def nearest_negative_same_subset(z0: Array, z1: Array, subset_ids: Array) -> float:
    """How often an anchor's most similar *negative* comes from the anchor's own subset.

    Chance with K equal subsets is ``(2N/K - 2) / (2N - 2)``: far above it, the embedding encodes
    the subset (a shortcut); below it, members of a subset repel each other, as they do after
    per-subset normalisation. Of equally similar negatives the first view in order counts.

    Args:
        z0, z1: ``(N, D)`` two views of the same N >= 2 images.
        subset_ids: integer ``(N,)``.

    Raises:
        InputError: for bad features or ids, or unequal shapes.
    """
    first, second = check_views(z0, z1)
    n = len(first)
    subsets = check_ids("subset_ids", subset_ids, n, "images").to(first.device).repeat(2)
    z = unit_rows(torch.cat([first, second]))
    same = 0
    for block, rows in _similarity_blocks(z):
        block[rows - rows[0], (rows + n) % (2 * n)] = -math.inf
        same += int((subsets[block.argmax(dim=1)] == subsets[rows]).sum())
    return same / (2 * n)


def own_subset_share(features: Array, subset_ids: Array) -> float:
    """Of the ten nearest neighbours of each point, the share from its own subset.

    Euclidean, which is cosine of the features before a record centred them. Chance with K equal
    subsets of N points is ``(N/K - 1) / (N - 1)``.

    Args:
        features: ``(N, D)``, N at least 11.
        subset_ids: integer ``(N,)``.

    Raises:
        InputError: for bad features or ids.
    """
    h = check_features("features", features, min_rows=11)
    subsets = check_ids("subset_ids", subset_ids, len(h), "rows of features").to(h.device)
    # cdist multiplies matrices, which loses what lies far from zero, or is too large to square.
    h = h.double()
    h = h / h.abs().amax().clamp_min(torch.finfo(h.dtype).tiny)
    h = h - h.mean(0)
    h = h / h.abs().amax().clamp_min(torch.finfo(h.dtype).tiny)
    near = torch.cdist(h, h).fill_diagonal_(torch.inf).topk(10, largest=False).indices
    return float((subsets[near] == subsets[:, None]).double().mean())


def _require_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{name}: expected a positive number, got {value}")
