"""Scoring a trained checkpoint: features under a choice of statistics, and every metric on them.

Nothing here is fitted on test images. The headline features are h of clean images, l2-normalised,
under the evaluation statistics that the cell fixed in advance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial import __version__, metrics, norm
from contrastive_tutorial.data import ImageSet, SubsetBatches
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import shown
from contrastive_tutorial.records import git_commit, versions
from contrastive_tutorial.study.cells import Cell, Preset
from contrastive_tutorial.study.views import Layout, make_views
from contrastive_tutorial.train import History, device_name, step_seed

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


def images_used(train: ImageSet, test: ImageSet) -> dict[str, Any]:
    """What the hyper-parameters of a record say of its images."""
    skipped = {"skipped_images": train.skipped} if train.skipped else {}
    return {
        "train_images": len(train), "test_images": len(test), "test_hash": test.content_hash
    } | skipped  # fmt: skip


def circumstances(train: ImageSet, history: History, evaluate_seconds: float) -> dict[str, Any]:
    """The fields of a record that no setting decides: data, times, machine and code."""
    return {
        "data": train.name,
        "data_hash": train.content_hash,
        "class_names": [shown(name) for name in train.class_names],
        "train_seconds": round(history.seconds, 3),
        "evaluate_seconds": round(evaluate_seconds, 3),
        "images_per_second": round(history.images_per_second, 1),
        "device": device_name(train.device),
        "versions": versions(),
        "package_version": __version__,
        "git_commit": git_commit(),
    }


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
    on_the_way = cell.early_steps or preset.knn_every or preset.measured
    if not train.labelled and (not trained or on_the_way):
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


def headline_statistics(cell: Cell, preset: Preset) -> str:
    """Evaluation statistics behind the headline metrics: the preset's, or else the cell's own."""
    return preset.headline or cell.headline_statistics


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

    Raises:
        InputError: if ``forward`` writes into the images.
    """
    parts = []
    for chunk in _chunks(images, order):
        with norm.untouched(chunk):
            parts.append(forward(chunk).float())
    found = torch.cat(parts)
    return found if order is None else found[torch.argsort(order)]


def _chunks(images: Tensor, order: Tensor | None) -> Iterator[Tensor]:
    rows = images if order is None else images[order]
    for chunk in rows.tensor_split(max(1, math.ceil(len(rows) / _CHUNK))):
        yield to_float(chunk) if chunk.dtype == torch.uint8 else chunk


@torch.no_grad()
def features_under(
    encoder: nn.Module, menu: Sequence[str], images: Tensor, order: Tensor | None = None
) -> dict[str, Tensor]:
    """:func:`features` under every choice of statistics in ``menu``, in one pass over the images.

    What the first convolution gives does not depend on them: it is computed once a chunk. Where
    all branches are on the menu, the ensemble is the mean of their l2-normalised features, as its
    definition says, and takes no pass of its own.
    """
    branches = [how for how in menu if how.startswith("branch:")]
    there_are = norm.num_branches(encoder)
    passes = [how for how in menu if how != "ensemble" or len(branches) < there_are]
    parts: dict[str, list[Tensor]] = {how: [] for how in passes}
    for chunk in _chunks(images, order):
        with _first_layer_once(encoder, chunk):
            for how in passes:
                with norm.evaluation_statistics(encoder, how) as forward, norm.untouched(chunk):
                    parts[how].append(forward(chunk).float())
    found = {how: torch.cat(parts.pop(how)) for how in passes}
    if "ensemble" in menu and "ensemble" not in passes:
        directions = torch.stack([F.normalize(found[how], dim=1) for how in branches])
        found["ensemble"] = directions.mean(0)
    if order is not None:
        back = torch.argsort(order)
        found = {how: rows[back] for how, rows in found.items()}
    return {how: found[how] for how in menu}


@contextmanager
def _first_layer_once(encoder: nn.Module, images: Tensor) -> Iterator[None]:
    """Keep what the first convolution makes of these very ``images``, for as long as it lasts.

    Whoever writes into that output, as an activation in place, makes it be computed anew.
    """
    first = next((m for m in encoder.modules() if isinstance(m, nn.Conv2d)), None)
    if first is None or "forward" in first.__dict__:
        yield
        return
    compute = first.forward
    kept: list[Any] = []  # the output, and its version then

    def forward(x: Tensor) -> Tensor:
        if x is not images:
            return compute(x)
        if not kept or kept[0]._version != kept[1]:
            y = compute(x)
            kept[:] = y, y._version
        return kept[0]

    first.__dict__["forward"] = forward
    try:
        yield
    finally:
        del first.__dict__["forward"]


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
    the Hungarian method: those of the best start by inertia, and in ``cluster_accuracy_mean`` those
    of each start. ``raw_accuracy`` is the article's "correct / total" without matching.
    ``knn200`` is left out of a bank of fewer than 200; with one class, which is to say without
    labels, nothing is left.
    """
    if num_classes < 2:
        return {}
    fits = metrics.cluster_fits(bank, test, num_classes, seed, n_init=kmeans_restarts)
    clusters, accuracies = fits[0], [metrics.cluster_accuracy(test_labels, ids) for ids in fits]
    protocols: list[tuple[int, float | None]] = [(_FEWEST, None)]
    if len(bank) >= NEIGHBOURS:
        protocols.append((NEIGHBOURS, 0.1))
    knn10, *knn200 = metrics.knn_accuracies(bank, labels, test, test_labels, protocols)
    return {
        "cluster_accuracy": accuracies[0],
        "cluster_accuracy_mean": float(np.mean(accuracies)),
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
    """Class metrics of features that no training made: ``"raw-pixels"`` or ``"pca"``.

    Both come from :func:`metrics.pixel_features`: 256 directions of the raw pixels, 128 principal
    components. They do not depend on the seed, which only draws the starts of k-means.
    """
    n, centred = (128, True) if kind == "pca" else (256, False)
    bank, pixels = metrics.pixel_features(train.images, test.images, n, centred)
    found = downstream(
        bank, train.labels, pixels, test.labels, len(test.class_names), seed,
        preset.kmeans_restarts,
    )  # fmt: skip
    return Scores("none", found, {}, {}, {})
