"""k-means where the features are: Lloyd's algorithm as scikit-learn runs it, on an accelerator.

On a CPU scikit-learn does it (see ``contrastive_tutorial.metrics.cluster``). Features on a GPU
would have to be copied to the host, which takes 16 s on two cores for one fit of 45,000 x 2,048,
and a run is scored by dozens of fits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MAX_ITER, _TOLERANCE = 300, 1e-4  # scikit-learn's
_EVERY = 5  # iterations between two questions to the device whether all is settled


@torch.no_grad()
def kmeans(points: Tensor, num_clusters: int, seed: int = 0, n_init: int = 10) -> Tensor:
    """Centroids of the best of ``n_init`` fits by inertia: ``(num_clusters, D)``, like ``points``.

    Greedy k-means++ starts (Arthur and Vassilvitskii 2007), then Lloyd's algorithm until no point
    changes its cluster, or the centroids move by less than 1e-4 of the features' mean variance in
    squared distance (300 iterations at most). A cluster that runs empty takes the point farthest
    from its centroid. All of this as in scikit-learn; the random numbers are torch's.

    Args:
        points: floating point ``(N, D)``, N at least ``num_clusters``; finite.
        num_clusters: k.
        seed: of the starts; equal results on devices of the same kind.
        n_init: fits.
    """
    generator = torch.Generator(points.device).manual_seed(seed)
    offset = points.mean(0)  # rounding errors are relative to the origin
    x = points - offset
    best, best_inertia = x[:num_clusters], math.inf
    for _ in range(n_init):
        centroids, inertia = lloyd(x, start(x, num_clusters, generator))
        if inertia < best_inertia:
            best, best_inertia = centroids, inertia
    return best + offset


def start(x: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """Greedy k-means++: each next centroid is a point drawn with probability proportional to its
    squared distance from those there are, the best of ``2 + log k`` draws.

    ``x`` is ``(N, D)``, floating point, and ``generator`` on its device; returns ``(k, D)``.
    """
    square = x.square().sum(1, keepdim=True)
    tries = 2 + int(math.log(num_clusters))
    uniform = torch.rand(num_clusters, tries, generator=generator, device=x.device).double()
    first = (uniform[0, :1] * len(x)).long()
    chosen, nearest = [first], _squared_distances(x, square, x[first])
    for u in uniform[1:]:
        # Whole numbers, whose sum does not depend on the order a GPU adds them in.
        share = nearest[:, 0].double() / nearest.max().clamp_min(torch.finfo(x.dtype).tiny)
        upto = (share * 2**31).long().cumsum(0)
        # The last point where all lie on a centroid, as those of a collapsed encoder do.
        ball = (u * upto[-1]).long()
        drawn = torch.searchsorted(upto, ball, right=True).clamp_max(len(x) - 1)
        left = torch.minimum(_squared_distances(x, square, x[drawn]), nearest)
        least = left.sum(0).argmin()[None]
        chosen.append(drawn[least])
        nearest = left[:, least]
    return x[torch.cat(chosen)]


def lloyd(x: Tensor, centroids: Tensor) -> tuple[Tensor, float]:
    """Lloyd's algorithm on points ``(N, D)`` from given centroids ``(k, D)``, of one dtype.

    A GPU is waited for every fifth iteration, and once for the inertia.

    Returns the final centroids and the inertia, the sum of squared distances to the nearest.
    """
    square = x.square().sum(1, keepdim=True)  # (N, 1)
    tolerance = x.var(0, correction=0).mean() * _TOLERANCE
    settled = torch.zeros((), dtype=torch.bool, device=x.device)
    before = torch.full((len(x),), -1, device=x.device)
    for iteration in range(1, _MAX_ITER + 1):
        least, labels = _squared_distances(x, square, centroids).min(1)
        moved = _means(x, labels, least, len(centroids))
        stop = (labels == before).all() | ((moved - centroids).square().sum() <= tolerance)
        # Once settled, centroids stay: it does not matter how late the host hears of it.
        centroids, before = torch.where(settled, centroids, moved), labels
        settled = settled | stop
        if iteration % _EVERY == 0 and bool(settled):
            break
    return centroids, float(_squared_distances(x, square, centroids).amin(1).double().sum())


def nearest_centroid(points: Tensor, centroids: Tensor) -> Tensor:
    """int64 ``(N,)``: the centroid nearest to each point."""
    x, centroids = points - centroids.mean(0), centroids - centroids.mean(0)
    return _squared_distances(x, x.square().sum(1, keepdim=True), centroids).argmin(1)


def _squared_distances(x: Tensor, square: Tensor, centroids: Tensor) -> Tensor:
    """``(N, k)``; ``square (N, 1)`` are the squared lengths of the points, asked for often."""
    lengths = square + centroids.square().sum(1)
    return torch.addmm(lengths, x, centroids.T, alpha=-2).clamp_min_(0)


def _means(x: Tensor, labels: Tensor, least: Tensor, num_clusters: int) -> Tensor:
    """Mean of every cluster; ``least (N,)``: how far each point is from its centroid.

    A product with the table of members, not a scatter, whose order of addition would vary.
    """
    ids = torch.arange(num_clusters, device=x.device)
    empty = (labels[:, None] == ids).sum(0) == 0
    # The empty clusters first, then the others; and as many points, the farthest first.
    order, far = (~empty).to(torch.uint8).argsort(stable=True), least.topk(num_clusters).indices
    labels = labels.scatter(0, far, torch.where(ids < empty.sum(), order, labels[far]))
    members = (labels[:, None] == ids).to(x)  # (N, k)
    return (members.T @ x) / members.sum(0).clamp_min(1)[:, None]
