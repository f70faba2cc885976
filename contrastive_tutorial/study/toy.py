"""A toy of contrastive learning on subsets: random features, no training, seconds.

Images are random vectors with a class. Every subset has a policy: one random shift that both views
of all its images share. A random two-layer ReLU network, with a choice of normalisation after each
layer, makes embeddings of them. Nothing is learned, so what the scores show comes from the policy
and the normalisation alone:

* *shortcut*: the shared shift makes positives easier to find and draws an anchor's neighbours into
  its own subset;
* *leak*: normalising every subset by itself removes the shift, and makes the members of a group
  repel each other (:func:`repulsion`), which tells again who belongs to whom.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import geometry, neighbours, probes

#: What a layer is normalised over: nothing, the whole batch, every subset by itself.
NORMS = ("none", "global", "split")
#: Number of classes of toy images.
CLASSES = 5
#: Numbers in an image, and the deviation of the noise that tells two views of one apart.
DIM, NOISE = 64, 0.7

_EPS = 1e-5


class ToyViews(NamedTuple):
    """Two views of every toy image.

    Attributes:
        views: float32 ``(2, N, DIM)``; images of one subset lie side by side.
        subsets: int64 ``(N,)``.
        labels: int64 ``(N,)``, :data:`CLASSES` classes in turn, so every subset has all of them.
    """

    views: Tensor
    subsets: Tensor
    labels: Tensor


class ToyScores(NamedTuple):
    """What the toy measures; shares between 0 and 1.

    Attributes:
        cross: how often the positive is the most similar of all other views.
        within: how often it is the most similar of the other views of its own subset.
        own_subset: how often the most similar negative of the whole batch is of the own subset.
        policy_probe: accuracy of a linear classifier that names the subset; held-out images.
        class_knn: accuracy of a vote of 5 neighbours for the class; held-out images.
    """

    cross: float
    within: float
    own_subset: float
    policy_probe: float
    class_knn: float


def toy_views(
    num_subsets: int = 10,
    group_size: int = 25,
    shift: float = 1.0,
    seed: int = 0,
) -> ToyViews:
    """Draw ``num_subsets * group_size`` images and two noisy views of each.

    Args:
        num_subsets: K, at least 2.
        group_size: images per subset, at least 10.
        shift: scale of the policies: subset k adds ``shift * d_k`` to its views, ``d_k`` standard
            normal. The images have unit variance.
        seed: of everything; the images and the noise do not depend on ``shift``.

    Raises:
        InputError: for a number out of range.
    """
    if num_subsets < 2 or group_size < 10:
        raise InputError(
            "num_subsets and group_size: expected at least 2 and 10, got "
            f"{num_subsets} and {group_size}"
        )
    if shift < 0:
        raise InputError(f"shift: expected a number >= 0, got {shift}")
    generator = torch.Generator().manual_seed(seed)
    n = num_subsets * group_size
    subsets, labels = torch.arange(n) // group_size, torch.arange(n) % CLASSES

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    # Half of an image's variance comes from its class, half is its own.
    images = (normal(CLASSES, DIM)[labels] + normal(n, DIM)) / 2**0.5
    views = images + NOISE * normal(2, n, DIM) + shift * normal(num_subsets, DIM)[subsets]
    return ToyViews(views, subsets, labels)


def normalize_groups(rows: Tensor, norm: str, num_subsets: int) -> Tensor:
    """Batch Normalization without affine of ``(2, N, D)`` views.

    Args:
        rows: both views of N images, subsets side by side.
        norm: ``"none"``, ``"global"`` (one mean and variance over all 2N rows), or ``"split"``
            (of the 2N/K rows of every subset).
        num_subsets: K, a divisor of N.

    Raises:
        InputError: for an unknown norm, another shape, or an N that K does not divide.
    """
    if norm not in NORMS:
        raise InputError(f"norm: expected one of {', '.join(NORMS)}, got {norm!r}")
    if rows.ndim != 3 or rows.shape[0] != 2:
        raise InputError(f"rows: expected shape (2, N, D), got {tuple(rows.shape)}")
    if norm == "none":
        return rows
    n = rows.shape[1]
    groups = num_subsets if norm == "split" else 1
    if groups < 1 or n % groups:
        raise InputError(f"rows: N = {n} images do not divide into K = {groups} subsets")
    grouped = rows.unflatten(1, (groups, -1))
    variance, mean = torch.var_mean(grouped, dim=(0, 2), keepdim=True, correction=0)
    return ((grouped - mean) / (variance + _EPS).sqrt()).flatten(1, 2)


def embed(drawn: ToyViews, norm: str, seed: int = 0) -> Tensor:
    """Unit vectors float32 ``(2, N, 256)``: views through a random two-layer ReLU network."""
    num_subsets = int(drawn.subsets[-1]) + 1
    dim, width = drawn.views.shape[-1], 256
    generator = torch.Generator().manual_seed(seed + 1)
    first = torch.randn(dim, width, generator=generator) * (2 / dim) ** 0.5
    second = torch.randn(width, width, generator=generator) * (2 / width) ** 0.5
    hidden = normalize_groups(drawn.views @ first, norm, num_subsets).relu()
    return F.normalize(normalize_groups(hidden @ second, norm, num_subsets), dim=-1)


def score(z: Tensor, drawn: ToyViews) -> ToyScores:
    """Score embeddings ``(2, N, D)`` of the views in ``drawn``; see :class:`ToyScores`."""
    z0, z1 = z
    _, subsets, labels = drawn
    groups = [subsets == k for k in subsets.unique()]
    within = [geometry.contrastive_accuracy(z0[group], z1[group]) for group in groups]
    # Every second round of classes is held out, so that both halves have all of them.
    images = torch.arange(len(labels))
    held_out = images // CLASSES % 2 == 1
    return ToyScores(
        cross=geometry.contrastive_accuracy(z0, z1),
        within=sum(within) / len(within),
        own_subset=geometry.nearest_negative_same_subset(z0, z1, subsets),
        policy_probe=probes.policy_probe(z.flatten(0, 1), subsets.repeat(2), images.repeat(2)),
        class_knn=neighbours.knn_accuracy(
            z0[~held_out], labels[~held_out], z0[held_out], labels[held_out], k=5, temperature=None
        ),
    )


def run_toy(
    num_subsets: int = 10,
    group_size: int = 25,
    shift: float = 1.0,
    norm: str = "none",
    seeds: Iterable[int] = (0,),
) -> ToyScores:
    """Draw, embed and score; the mean over seeds of images and network.

    >>> run_toy(shift=1.0).own_subset > 0.9 > 0.2 > run_toy(shift=0.0).own_subset
    True
    """
    found = []
    for seed in seeds:
        drawn = toy_views(num_subsets, group_size, shift, seed=seed)
        found.append(score(embed(drawn, norm, seed=seed), drawn))
    if not found:
        raise InputError("seeds: expected at least one, got none")
    return ToyScores(*(sum(values) / len(found) for values in zip(*found, strict=True)))


def chance(num_subsets: int, group_size: int) -> ToyScores:
    """What embeddings that know nothing score: uniform guesses among the candidates."""
    n = num_subsets * group_size
    return ToyScores(
        cross=1 / (2 * n - 1),
        within=1 / (2 * group_size - 1),
        own_subset=(2 * group_size - 2) / (2 * n - 2),
        policy_probe=1 / num_subsets,
        class_knn=1 / CLASSES,
    )


def repulsion(rows: Tensor) -> float:
    """Mean inner product of two different rows of a group ``(M, D)``.

    If the group was normalised by its own statistics (no affine, epsilon 0), the rows sum to zero
    and their squares to M D, so that this is exactly ``-D / (M - 1)``.

    Raises:
        InputError: for fewer than two rows, or another shape.
    """
    if rows.ndim != 2 or len(rows) < 2:
        raise InputError(f"rows: expected shape (M, D) with M >= 2, got {tuple(rows.shape)}")
    x = rows.double()
    m = len(x)
    return float((x.sum(0).square().sum() - x.square().sum()) / (m * (m - 1)))
