"""Nearest neighbours in cosine similarity: kNN classification and retrieval."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import unit_rows
from contrastive_tutorial.metrics.checks import (
    Array,
    check_classes,
    check_ids,
    check_train_test,
    check_views,
    check_whole,
)

# Rows of a similarity block: 256 x 45,000 float32 numbers are 46 MB, which bounds the memory.
BLOCK_ROWS = 256


def nearest_neighbours(
    train_features: Array, test_features: Array, k: int
) -> tuple[Tensor, Tensor]:
    """The k train points most similar (cosine) to each test point, most similar first.

    The full similarity matrix is never held: 256 test points are compared at a time. Which of
    equally similar points come first, and which is the k-th, is left to the sort.

    Args:
        train_features: ``(N, D)``, floating point.
        test_features: ``(M, D)``.
        k: how many.

    Returns:
        similarities ``(M, k)`` and int64 train indices ``(M, k)``, on the device of the features.

    Raises:
        InputError: for bad features, or k outside ``[1, N]``.
    """
    train, test = check_train_test(train_features, test_features)
    if not 1 <= k <= len(train):
        raise InputError(f"k: expected 1 to {len(train)} (the train points), got {k}")
    bank = unit_rows(train).T.contiguous()  # (D, N)
    found = [(block @ bank).topk(k, dim=1) for block in unit_rows(test).split(BLOCK_ROWS)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def knn_accuracy(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    k: int = 200,
    temperature: float | None = 0.1,
) -> float:
    """Accuracy of a k-nearest-neighbour vote, cosine similarity, train points as the bank.

    With a temperature, neighbour i votes with weight ``exp(similarity_i / temperature)`` (Wu,
    Xiong, Yu, Lin 2018, arXiv 1805.01978; k = 200, T = 0.1 is the usual CIFAR-10 protocol). With
    ``temperature=None`` every vote counts 1 (the k = 10 protocol of ``dkobak/simclr-cifar10``). A
    tied vote goes to the smallest class id; which of two equally similar points is the k-th
    neighbour is left to the sort.

    Use :func:`knn_accuracies` for several protocols at once: the search is most of the work.

    Args:
        train_features, train_labels: ``(N, D)`` floating point, and their ``(N,)`` integer classes.
        test_features, test_labels: ``(M, D)`` and ``(M,)``; a class that train lacks is missed.
        k: neighbours that vote, at most N.
        temperature: of the weights, or ``None``.

    Raises:
        InputError: for bad features, unequal lengths, k > N, one class, temperature <= 0.
    """
    return knn_accuracies(
        train_features, train_labels, test_features, test_labels, [(k, temperature)]
    )[0]


def knn_accuracies(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    protocols: list[tuple[int, float | None]],
) -> list[float]:
    """:func:`knn_accuracy` for each ``(k, temperature)``, with one search for all of them.

    Arguments and errors as there; also an :class:`InputError` without any protocol.
    """
    train, test = check_train_test(train_features, test_features)
    labels = check_ids("train_labels", train_labels, len(train), "train points").to(train.device)
    truth = check_ids("test_labels", test_labels, len(test), "test points").to(train.device)
    classes = check_classes("train_labels", labels)
    if not protocols:
        raise InputError("protocols: expected at least one (k, temperature), got none")
    for k, temperature in protocols:
        number = temperature is None or isinstance(temperature, Real)
        if not number or (temperature is not None and not temperature > 0):
            raise InputError(
                f"temperature: expected a positive number or None, got {temperature!r}"
            )
        check_whole("k", k, 1, math.inf, "at least 1 neighbour")
    similarity, index = nearest_neighbours(train, test, max(k for k, _ in protocols))
    votes = torch.searchsorted(classes, labels)[index]
    accuracies = []
    for k, temperature in protocols:
        if temperature is None:
            weight = torch.ones_like(similarity[:, :k])
        else:
            # Relative to the nearest neighbour, so that no temperature overflows.
            weight = ((similarity[:, :k] - similarity[:, :1]) / temperature).exp()
        score = weight.new_zeros(len(test), len(classes)).scatter_add_(1, votes[:, :k], weight)
        accuracies.append(float((classes[score.argmax(dim=1)] == truth).double().mean()))
    return accuracies


def retrieval_top1(a: Array, b: Array) -> float:
    """How often row i of ``b`` is the most similar (cosine) row of ``b`` to row i of ``a``.

    For the same images through two branches: do the branches agree? Chance is 1/N; a tie counts
    as a miss, so collapsed features score 0.

    Args:
        a, b: ``(N, D)``, floating point, N >= 2.

    Raises:
        InputError: for bad features or unequal shapes.
    """
    first, second = check_views(a, b, names=("a", "b"))
    first, second = unit_rows(first), unit_rows(second)
    hits = 0
    for start in range(0, len(first), BLOCK_ROWS):
        block = first[start : start + BLOCK_ROWS] @ second.T
        rows = torch.arange(len(block), device=block.device)
        own = block[rows, rows + start].clone()
        block[rows, rows + start] = -math.inf
        hits += int((own > block.amax(dim=1)).sum())
    return hits / len(first)
