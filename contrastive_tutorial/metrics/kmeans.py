"""k-means where the features are: many starts of Lloyd's algorithm side by side, in torch.

scikit-learn's ``KMeans`` is the same algorithm, one start after the other, on the host alone:
features on a GPU would have to be copied there, and on a CPU the products of one start with ten
centroids are too narrow to be fast. All starts together are one wide product.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MAX_ITER, _TOLERANCE = 300, 1e-4  # scikit-learn's
_FEW = 4096  # points in that sample, at least
_EVERY = 5  # iterations between two questions to the device whether all is settled


@torch.no_grad()
def kmeans(
    points: Tensor, num_clusters: int, seed: int = 0, n_init: int = 10
) -> tuple[Tensor, Tensor]:
    """Every one of ``n_init`` fits: centroids ``(n_init, num_clusters, D)``, like ``points``, and
    their inertia, float64 ``(n_init,)``: the sum of squared distances to the nearest centroid.

    Greedy k-means++ starts (Arthur and Vassilvitskii 2007), then Lloyd's algorithm until no point
    changes its cluster, or the centroids move by less than 1e-4 of the features' mean variance in
    squared distance (300 iterations at most). A cluster that runs empty takes the point farthest
    from its centroid. All of this as in scikit-learn; the random numbers are torch's, and of very
    many points a sample is clustered first, which takes most of the iterations.

    Args:
        points: floating point ``(N, D)``, N at least ``num_clusters``; finite.
        num_clusters: k.
        seed: of the starts; equal results on devices of the same kind.
        n_init: fits.
    """
    offset = points.mean(0)  # rounding errors are relative to the origin
    x = points - offset
    generator = torch.Generator(points.device).manual_seed(seed)
    few = max(_FEW, 200 * num_clusters)
    if len(x) < 4 * few:
        first = starts(x, num_clusters, generator, n_init)
    else:
        drawn = torch.randperm(len(x), generator=generator, device=x.device)[:few]
        first, _ = lloyd(x[drawn], starts(x[drawn], num_clusters, generator, n_init))
    centroids, inertia = lloyd(x, first)
    return centroids + offset, inertia


def starts(x: Tensor, num_clusters: int, generator: torch.Generator, n_init: int) -> Tensor:
    """Greedy k-means++: each next centroid is a point drawn with probability proportional to its
    squared distance from those there are, the best of ``2 + log k`` draws.

    ``x`` is ``(N, D)``, floating point, and ``generator`` on its device; returns ``(S, k, D)`` for
    ``n_init`` = S.
    """
    square = x.square().sum(1)
    shape = n_init, num_clusters, 2 + int(math.log(num_clusters))
    uniform = torch.rand(shape, generator=generator, device=x.device).double()
    fit = torch.arange(n_init, device=x.device)

    def distances(points: Tensor) -> Tensor:
        return (_less_lengths(x, x[points]) + square).clamp_min_(0)

    chosen = [(uniform[:, 0, 0] * len(x)).long()]
    nearest = distances(chosen[0])  # (S, N)
    for u in uniform.unbind(1)[1:]:
        # Whole numbers, whose sum does not depend on the order a GPU adds them in.
        largest = nearest.amax(1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        upto = ((nearest / largest).double() * 2**31).long().cumsum(1)
        # The last point where all lie on a centroid, as those of a collapsed encoder do.
        ball = (u * upto[:, -1:]).long()
        drawn = torch.searchsorted(upto, ball, right=True).clamp_max(len(x) - 1)  # (S, tries)
        left = torch.minimum(distances(drawn), nearest[:, None])
        least = left.sum(2).argmin(1)
        chosen.append(drawn[fit, least])
        nearest = left[fit, least]
    return x[torch.stack(chosen, 1)]


def lloyd(x: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm on points ``(N, D)``, their mean 0, from centroids ``(S, k, D)``.

    A GPU is waited for every fifth iteration, when fits that have settled leave the others.

    Returns the final centroids ``(S, k, D)`` and float64 inertias ``(S,)``.
    """
    square = x.square().sum(1)
    tolerance = square.mean() / x.shape[1] * _TOLERANCE
    found = found.clone()
    moving = torch.arange(len(found), device=x.device)  # the fits that have not settled
    settled = torch.zeros_like(moving, dtype=torch.bool)
    for iteration in range(1, _MAX_ITER + 1):
        centroids = found[moving]
        moved = _means(x, _less_lengths(x, centroids), square)
        # Where no point changes its cluster, this is 0.
        stop = (moved - centroids).square().sum((1, 2)) <= tolerance
        # Once settled, centroids stay: it does not matter how late the host hears of it.
        found[moving] = torch.where(settled[:, None, None], centroids, moved)
        settled = settled | stop
        if iteration % _EVERY == 0:
            left = (~settled).nonzero()[:, 0]
            if not len(left):
                break
            moving, settled = moving[left], settled[left]
    least = (_less_lengths(x, found).amin(1) + square).clamp_min_(0)
    return found, least.double().sum(1)


def nearest_centroid(points: Tensor, centroids: Tensor) -> Tensor:
    """int64 ``(N,)``: the centroid ``(k, D)`` nearest to each point."""
    x, centroids = points - centroids.mean(0), centroids - centroids.mean(0)
    return _less_lengths(x, centroids).argmin(0)


def _less_lengths(x: Tensor, centroids: Tensor) -> Tensor:
    """Squared distances ``(..., k, N)`` from centroids ``(..., k, D)`` to points ``(N, D)``, less
    the squared length of each point, which does not say which centroid is nearest."""
    flat = centroids.flatten(0, -2)
    lengths = flat.square().sum(1, keepdim=True)
    return torch.addmm(lengths, flat, x.T, alpha=-2).unflatten(0, centroids.shape[:-1])


def _means(x: Tensor, distances: Tensor, square: Tensor) -> Tensor:
    """Mean of every cluster of every fit ``(S, k, D)``, from ``distances (S, k, N)`` less
    ``square (N,)``: the squared length of each point.

    A product with the table of members, not a scatter, whose order of addition would vary.
    """
    least = distances.amin(1, keepdim=True)
    members = (distances == least).to(x)  # (S, k, N)
    sizes = members.sum(2)
    # A GPU would be waited for.
    if x.device.type != "cpu" or bool((sizes == 0).any() | (sizes.sum(1) != len(x)).any()):
        members = _members(distances, least[:, 0] + square).to(x)
        sizes = members.sum(2)
    sums = (members.flatten(0, 1) @ x).unflatten(0, members.shape[:2])
    return sums / sizes[..., None].clamp_min(1)


def _members(distances: Tensor, least: Tensor) -> Tensor:
    """Who belongs to which cluster, bool ``(S, k, N)``, where points may be equally near to two and
    clusters may be empty: these take the points with the largest ``least (S, N)``."""
    labels, num_clusters = distances.min(1).indices, distances.shape[1]
    ids = torch.arange(num_clusters, device=distances.device)
    empty = (labels[:, None] == ids[:, None]).sum(2) == 0
    # The empty clusters first, then the others; and as many points, the farthest first.
    order = (~empty).to(torch.uint8).argsort(dim=1, stable=True)
    far = least.topk(num_clusters).indices
    taken = torch.where(ids < empty.sum(1, keepdim=True), order, labels.gather(1, far))
    return labels.scatter(1, far, taken)[:, None] == ids[:, None]
