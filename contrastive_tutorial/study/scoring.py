"""Scoring a trained checkpoint: features under a choice of statistics, and every metric on them.

Nothing here is fitted on test images. The headline features are h of clean images, l2-normalised,
under the evaluation statistics that the cell fixed in advance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contrastive_tutorial import metrics
from contrastive_tutorial.data import ImageSet, SubsetBatches
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study.cells import Cell, Preset
from contrastive_tutorial.study.views import (
    Layout,
    make_views,
)
from contrastive_tutorial.train import step_seed

Forward = Callable[[Tensor], Tensor]

_CHUNK = 500
NEIGHBOURS = 200  # of the weighted kNN protocol
_FEWEST = 10  # of the plain one


@dataclass
class Scores:
    """Everything evaluation found out about one checkpoint (see :class:`records.Record`)."""

    evaluation: str
    metrics: dict[str, float]
    evaluations: dict[str, dict[str, float]]
    extra: dict[str, float]
    arrays: dict[str, np.ndarray]


def require_scorable(
    cell: Cell, preset: Preset, train: ImageSet, val: ImageSet, test: ImageSet
) -> None:
    """Refuse, before any training, what could not be scored after it.

    Images without labels are scored by what needs none. The weighted kNN is left out where fewer
    than its 200 neighbours can vote.

    Raises:
        InputError: for fewer than ten images to vote (kNN), fewer than clusters (k-means), fewer
            than two images to validate or test, and for a cell or preset that needs labels where
            there are none.
    """
    trained = cell.reference not in ("raw-pixels", "pca")
    if not train.labelled and (not trained or cell.early_steps or preset.knn_every):
        raise InputError(
            f"{train.name}: has no labels, which {cell.name} with preset {preset.name} is measured "
            "by; put the images into a folder for each class, or choose another cell or preset"
        )
    banks = {"train": len(train)}
    if trained:
        banks |= {"bank": len(train) if preset.bank is None else preset.bank}
        banks |= {"menu_bank": preset.menu_bank}
    clusters = len(train.class_names) * (2 if cell.score_protocols else 1)
    for name, size in banks.items():
        for needed, what in ((_FEWEST, "neighbours vote"), (clusters, "clusters are made")):
            if size < needed:
                raise InputError(
                    f"{name}: {size} images, but {needed} {what} in evaluation; use "
                    + ("more training images" if name == "train" else f"a larger {name}")
                )
    for part in (val, test) if trained else (test,):
        if len(part) < 2:
            raise InputError(f"{part.split}: expected at least 2 images, got {len(part)}")


def to_float(images: Tensor) -> Tensor:
    """uint8 ``(B, 3, H, W)`` to float32 in [0, 1]."""
    return images.float().div_(255)


def sample(total: int, wanted: int | None) -> Tensor:
    """int64 indices, evenly spaced: class-balanced, where images are stored by class."""
    if wanted is None or wanted >= total:
        return torch.arange(total)
    return torch.linspace(0, total - 1, wanted).round().long()


@torch.no_grad()
def features(forward: Forward, images: Tensor, order: Tensor | None = None) -> Tensor:
    """float32 ``(N, D)`` of uint8 or float images ``(N, 3, H, W)``, in chunks of equal size.

    Args:
        forward: of :func:`contrastive_tutorial.norm.evaluation_statistics`, or a model in
            evaluation mode.
        images: in any order.
        order: int64 ``(N,)``, for statistics of the batch: images go through in this order, and
            their features come back in their own. Image sets are often stored by class, and a
            batch of one class has the statistics of that class.
    """
    parts = []
    rows = images if order is None else images[order]
    for chunk in rows.tensor_split(max(1, math.ceil(len(rows) / _CHUNK))):
        parts.append(forward(to_float(chunk) if chunk.dtype == torch.uint8 else chunk).float())
    found = torch.cat(parts)
    return found if order is None else found[torch.argsort(order)]


def shuffled(how: str, images: Tensor, seed: int) -> Tensor | None:
    """The order for :func:`features` under the statistics ``how``."""
    if how != "test-batch":
        return None
    generator = torch.Generator().manual_seed(step_seed(seed, "order of test batches"))
    return torch.randperm(len(images), generator=generator).to(images.device)


def training_views(
    cell: Cell,
    order: Layout,
    batches: SubsetBatches,
    images: Tensor,
    subset_ids: Tensor,
    steps: range,
    seed: int,
) -> Iterator[Tensor]:
    """Batches of views as training makes them, of steps and random numbers that are not its own."""
    generator = torch.Generator(device=images.device)
    generator.manual_seed(step_seed(seed, f"views from step {steps.start}"))
    for step in steps:
        index = batches.indices(step).to(images.device)
        yield make_views(images[index], subset_ids[index], cell, order, generator)


def downstream(
    bank: Tensor,
    labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    num_classes: int,
    seed: int,
    kmeans_restarts: int,
) -> dict[str, float]:
    """Class metrics of features: clustering, both kNN protocols, the linear probe.

    k-means is fitted on the bank, test images go to the nearest centroid, clusters to classes by
    the Hungarian method. ``raw_accuracy`` is the article's "correct / total" without matching.
    ``knn200`` is left out of a bank of fewer than 200; with one class, which is to say without
    labels, nothing is left.
    """
    if num_classes < 2:
        return {}
    clusters = metrics.cluster(bank, test, num_classes, seed, n_init=kmeans_restarts)
    protocols: list[tuple[int, float | None]] = [(_FEWEST, None)]
    if len(bank) >= NEIGHBOURS:
        protocols.append((NEIGHBOURS, 0.1))
    knn10, *knn200 = metrics.knn_accuracies(bank, labels, test, test_labels, protocols)
    return {
        "cluster_accuracy": metrics.cluster_accuracy(test_labels, clusters),
        "raw_accuracy": metrics.raw_accuracy(test_labels, clusters),
        "purity": metrics.purity(test_labels, clusters),
        "nmi": metrics.nmi(test_labels, clusters),
        "ari": metrics.ari(test_labels, clusters),
        **({"knn200": knn200[0]} if knn200 else {}),
        "knn10": knn10,
        "linear_probe": metrics.linear_probe(bank, labels, test, test_labels),
    }


def reference_scores(
    kind: str, train: ImageSet, test: ImageSet, preset: Preset, seed: int
) -> Scores:
    """Class metrics of features that no training made: ``"raw-pixels"`` or ``"pca"``."""
    bank = metrics.raw_pixel_features(train.images)
    pixels = metrics.raw_pixel_features(test.images)
    # Raw pixels keep all 3,072 dimensions, slow as they are: the leading 256 directions of CIFAR-10
    # score 1.8 points more in kNN (k = 200), and would be another reference.
    if kind == "pca":
        bank, pixels = metrics.pca_features(bank, pixels, 128)
    found = downstream(
        torch.as_tensor(bank), train.labels, torch.as_tensor(pixels), test.labels,
        len(test.class_names), seed, preset.kmeans_restarts,
    )  # fmt: skip
    return Scores("none", found, {}, {}, {})
