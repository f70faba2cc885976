"""Scores of a clustering against classes, and the k-means that makes one."""

from __future__ import annotations

import math

import numpy as np
import torch

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import unit_rows
from contrastive_tutorial.metrics.checks import (
    Array,
    as_tensor,
    check_ids,
    check_train_test,
    check_whole,
)
from contrastive_tutorial.metrics.kmeans import kmeans, nearest_centroid

_LARGE = 2.0**40


def _pair(labels: Array, clusters: Array) -> tuple[np.ndarray, np.ndarray]:
    """Labels and clusters as checked int64 ``(N,)`` arrays."""
    length = as_tensor("labels", labels).numel()
    if length == 0:
        raise InputError("labels: expected at least one label, got none")
    y = check_ids("labels", labels, length, "samples")
    return y.cpu().numpy(), check_ids("clusters", clusters, length, "labels").cpu().numpy()


def _contingency(labels: Array, clusters: Array) -> np.ndarray:
    """int64 ``(classes, clusters)`` counts."""
    y, c = _pair(labels, clusters)
    classes, y = np.unique(y, return_inverse=True)
    groups, c = np.unique(c, return_inverse=True)
    counts = np.bincount(y * len(groups) + c, minlength=len(classes) * len(groups))
    return counts.reshape(len(classes), len(groups))


def cluster_accuracy(labels: Array, clusters: Array) -> float:
    """Clustering accuracy: the share of samples that the best one-to-one map of clusters to
    classes gets right (Hungarian method; Xie, Girshick, Farhadi 2016, arXiv 1511.06335).

    With more clusters than classes, the clusters left over count as wrong (and with fewer, the
    classes left over). Random clusters do not score 1/K: 0.113 for ten classes and 10,000 samples.

    Args:
        labels: integer ``(N,)`` classes.
        clusters: integer ``(N,)`` cluster ids; the ids themselves mean nothing.

    Raises:
        InputError: for empty input, unequal lengths or ids that are not integers.

    >>> import torch
    >>> cluster_accuracy(torch.tensor([0, 0, 1, 1]), torch.tensor([7, 7, 3, 7]))
    0.75
    """
    from scipy.optimize import linear_sum_assignment

    counts = _contingency(labels, clusters)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / counts.sum())


def raw_accuracy(labels: Array, clusters: Array) -> float:
    """The article's "correct predictions / total": cluster ids compared with class ids as they are.

    Cluster ids are arbitrary, so this measures nothing: a *perfect* clustering under random ids
    scores 0.1 on average with ten classes, and exactly 0 with probability 0.37.

    Arguments and errors as in :func:`cluster_accuracy`.
    """
    y, c = _pair(labels, clusters)
    return float((y == c).mean())


def purity(labels: Array, clusters: Array) -> float:
    """The share of samples in the majority class of their cluster.

    Never below :func:`cluster_accuracy`, and not corrected for chance: it reaches 1 with one
    cluster per sample. Arguments and errors as in :func:`cluster_accuracy`.
    """
    counts = _contingency(labels, clusters)
    return float(counts.max(axis=0).sum() / counts.sum())


def nmi(labels: Array, clusters: Array) -> float:
    """Normalised mutual information: of labels and clusters, by the mean of their entropies.

    1 for equal partitions, one cluster of one class among them; 0 where a single cluster meets
    several classes. Random clusters score above 0: about ``(K - 1)^2 / (2 n log K)`` for K classes
    and K clusters. Arguments and errors as in :func:`cluster_accuracy`.
    """
    joint = _contingency(labels, clusters)
    of_labels, of_clusters = _entropy(joint.sum(1)), _entropy(joint.sum(0))
    if of_labels == of_clusters == 0:
        return 1.0
    shared = of_labels + of_clusters - _entropy(joint.flatten())
    return min(1.0, max(0.0, 2 * shared / (of_labels + of_clusters)))


def _entropy(counts: np.ndarray) -> float:
    """In nats, of the distribution that ``counts`` are of."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def ari(labels: Array, clusters: Array) -> float:
    """Adjusted Rand index: 0 in expectation for random clusters, 1 for equal ones.

    Hubert and Arabie 1985. Arguments and errors as in :func:`cluster_accuracy`.
    """
    joint = _contingency(labels, clusters)
    together, of_labels, of_clusters, pairs = (
        float((n * (n - 1) / 2).sum()) for n in (joint, joint.sum(1), joint.sum(0), joint.sum())
    )
    if of_labels == of_clusters and of_labels in (0.0, pairs):
        return 1.0  # both are one group, or both leave every sample alone
    expected = of_labels * of_clusters / pairs
    return (together - expected) / ((of_labels + of_clusters) / 2 - expected)


def cluster(
    train_features: Array,
    test_features: Array,
    num_clusters: int,
    seed: int = 0,
    n_init: int = 10,
) -> np.ndarray:
    """k-means fitted on train features; every test point goes to the nearest centroid.

    Features are l2-normalised first; greedy k-means++ starts, Lloyd's algorithm, the best of
    ``n_init`` fits by inertia, where the features are (:mod:`.kmeans`). Nothing is fitted on test
    points.

    A point as near to two centroids goes to the one with the smaller id.

    Args:
        train_features: ``(N, D)``.
        test_features: ``(M, D)``.
        num_clusters: at most N. Fewer distinct points than clusters leave some clusters empty.
        seed: of the starts, 0 to 2^32 - 1.
        n_init: restarts. Ten take about a second for 45,000 x 128 on one core.

    Returns:
        int64 ``(M,)`` cluster ids in ``[0, num_clusters)``.

    Raises:
        InputError: for bad features, ``num_clusters`` outside ``[1, N]``, no restart, or a seed
            out of range.
    """
    return cluster_fits(train_features, test_features, num_clusters, seed, n_init)[0]


def cluster_fits(
    train_features: Array,
    test_features: Array,
    num_clusters: int,
    seed: int = 0,
    n_init: int = 10,
    normalize: bool = True,
) -> np.ndarray:
    """Every fit of :func:`cluster`, of which it gives the best: int64 ``(n_init, M)``, by inertia.

    Inertia is what k-means minimises, not what anyone wants to know: the mean of a score over all
    fits tells more about the features than the score of the first. Arguments and errors as there;
    without ``normalize`` the length of a feature counts too.
    """
    train, test = check_train_test(train_features, test_features)
    most = len(train)
    check_whole("num_clusters", num_clusters, 1, most, f"1 to {most} (the train points)")
    check_whole("n_init", n_init, 1, math.inf, "at least 1 restart")
    check_whole("seed", seed, 0, 2**32 - 1, f"0 to {2**32 - 1}")
    if normalize:
        train, test = unit_rows(train), unit_rows(test)
    elif not 1 / _LARGE <= (largest := float(train.abs().max())) <= _LARGE and largest:
        train, test = train / largest, test / largest  # or squares overflow, or vanish
    centroids, inertia = kmeans(train, num_clusters, seed, n_init)
    best_first = centroids[inertia.argsort(stable=True)]
    return torch.stack([nearest_centroid(test, fit) for fit in best_first]).cpu().numpy()
