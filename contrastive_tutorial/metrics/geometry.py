"""Geometry of embeddings on the sphere, and how well they solve the contrastive task."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_tutorial.metrics.checks import Array, check_features, check_ids, check_views
from contrastive_tutorial.metrics.neighbours import BLOCK_ROWS


class DotProductSimilarity(NamedTuple):
    """Mean dot products of positive and of negative pairs."""

    positive: float
    negative: float


def dot_product_similarity(z0: Array, z1: Array, normalize: bool = True) -> DotProductSimilarity:
    """Mean dot product of the N positive pairs, and of all negative pairs among the 2N views.

    A pair is negative when it is neither a view with itself nor two views of one image:
    2N (2N - 2) ordered pairs.

    Args:
        z0, z1: ``(N, D)`` two views of the same N >= 2 images.
        normalize: l2-normalise first (cosine similarity, in [-1, 1]); ``False`` for the raw
            dot product, which grows with the square of the features' scale.
    """
    first, second = check_views(z0, z1)
    first, second = first.double(), second.double()
    if normalize:
        first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
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
    """
    first, second = check_views(z0, z1, min_rows=1)
    distance = (F.normalize(first, dim=1) - F.normalize(second, dim=1)).norm(dim=1)
    return float(distance.pow(alpha).double().mean())


def uniformity(z: Array, t: float = 2.0) -> float:
    """Log of the mean Gaussian potential ``exp(-t ||u - v||^2)`` over distinct points of a sphere.

    0 when all points coincide; -3.94 for points spread uniformly over S^127 with t = 2; lower is
    more uniform. ``L_uniform`` of Wang & Isola 2020, arXiv 2005.10242.
    """
    points = F.normalize(check_features("z", z, min_rows=2), dim=1)
    # ||u - v||^2 = 2 - 2 u.v; a point with itself has similarity -inf and adds nothing.
    logs = [
        torch.logsumexp(2 * t * (similarity.double() - 1), dim=(0, 1))
        for similarity, _ in _similarity_blocks(points)
    ]
    pairs = len(points) * (len(points) - 1)
    return float(torch.logsumexp(torch.stack(logs), dim=0)) - math.log(pairs)


def rankme(features: Array, epsilon: float = 1e-7) -> float:
    """RankMe: the exponential of the entropy of the normalised singular values.

    A smooth rank, between 1 and D. Garrido, Balestriero, Najman, LeCun 2023, arXiv 2210.02885;
    25,600 samples are enough. Its authors compare only runs of the same method by it.
    """
    x = check_features("features", features).double()
    # Singular values from the smaller Gram matrix: exact enough (relative 1e-8, below epsilon)
    # and much cheaper than an SVD of the tall matrix.
    gram = x.T @ x if x.shape[0] >= x.shape[1] else x @ x.T
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    p = singular / singular.sum().clamp_min(torch.finfo(x.dtype).tiny) + epsilon
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
    """
    first, second = check_views(z0, z1)
    n = len(first)
    z = torch.cat([first, second])
    if normalize:
        z = F.normalize(z, dim=1)
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
    """
    first, second = check_views(z0, z1)
    n = len(first)
    subsets = check_ids("subset_ids", subset_ids, n, "images").to(first.device).repeat(2)
    z = F.normalize(torch.cat([first, second]), dim=1)
    same = 0
    for block, rows in _similarity_blocks(z):
        block[rows - rows[0], (rows + n) % (2 * n)] = -math.inf
        same += int((subsets[block.argmax(dim=1)] == subsets[rows]).sum())
    return same / (2 * n)
