"""Scoring a trained checkpoint: features under a choice of statistics, and every metric on them.

Nothing here is fitted on test images. The headline features are h of clean images, l2-normalised,
under the evaluation statistics that the cell fixed in advance.
"""

from __future__ import annotations

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

Forward = Callable[[Tensor], Tensor]

_CHUNK = 500
_NEIGHBOURS = 200  # of the weighted kNN protocol


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

    Raises:
        InputError: for fewer than 200 images to vote (kNN), fewer than clusters (k-means), fewer
            than two images to validate or test.
    """
    trained = cell.reference not in ("raw-pixels", "pca")
    banks = {"train": len(train)}
    if trained:
        banks |= {"bank": len(train) if preset.bank is None else preset.bank}
        banks |= {"menu_bank": preset.menu_bank}
    clusters = len(train.class_names) * (2 if cell.score_protocols else 1)
    for name, size in banks.items():
        for needed, what in ((_NEIGHBOURS, "neighbours vote"), (clusters, "clusters are made")):
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
def features(forward: Forward, images: Tensor) -> Tensor:
    """float32 ``(N, D)`` of uint8 or float images ``(N, 3, H, W)``, in chunks.

    ``forward`` comes from :func:`contrastive_tutorial.norm.evaluation_statistics`, or is a model
    in evaluation mode.
    """
    parts = []
    for chunk in images.split(_CHUNK):
        parts.append(forward(to_float(chunk) if chunk.dtype == torch.uint8 else chunk).float())
    return torch.cat(parts)


def training_views(
    cell: Cell,
    order: Layout,
    batches: SubsetBatches,
    images: Tensor,
    subset_ids: Tensor,
    steps: range,
    seed: int,
) -> Iterator[Tensor]:
    """Batches of views exactly as training makes them, from another stream of random numbers."""
    generator = torch.Generator(device=images.device).manual_seed(seed)
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
    """
    clusters = metrics.cluster(bank, test, num_classes, seed, n_init=kmeans_restarts)
    knn200, knn10 = metrics.knn_accuracies(
        bank, labels, test, test_labels, [(_NEIGHBOURS, 0.1), (10, None)]
    )
    return {
        "cluster_accuracy": metrics.cluster_accuracy(test_labels, clusters),
        "raw_accuracy": metrics.raw_accuracy(test_labels, clusters),
        "purity": metrics.purity(test_labels, clusters),
        "nmi": metrics.nmi(test_labels, clusters),
        "ari": metrics.ari(test_labels, clusters),
        "knn200": knn200,
        "knn10": knn10,
        "linear_probe": metrics.linear_probe(bank, labels, test, test_labels),
    }


def reference_scores(
    kind: str, train: ImageSet, test: ImageSet, preset: Preset, seed: int
) -> Scores:
    """Class metrics of features that no training made: ``"raw-pixels"`` or ``"pca"``."""
    bank = metrics.raw_pixel_features(train.images)
    pixels = metrics.raw_pixel_features(test.images)
    # The linear probe and the neighbours of raw pixels are those of their leading components;
    # 3,072 dimensions would only make them slow.
    if kind == "pca":
        bank, pixels = metrics.pca_features(bank, pixels, 128)
    found = downstream(
        torch.as_tensor(bank), train.labels, torch.as_tensor(pixels), test.labels,
        len(test.class_names), seed, preset.kmeans_restarts,
    )  # fmt: skip
    return Scores("none", found, {}, {}, {})
