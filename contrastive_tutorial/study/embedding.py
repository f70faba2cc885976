"""UMAP of recorded features, aligned between runs.

UMAP (McInnes, Healy & Melville 2018, arXiv 1802.03426) is illustration, not evidence: distances
between its clusters mean little, and its output differs between machines. So embeddings are
computed once and recorded; the book draws what was recorded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics.checks import as_tensor
from contrastive_tutorial.records import require_alike

_NEIGHBOURS, _MIN_DIST = 15, 0.1  # UMAP's own


def reduce(features: np.ndarray, dims: int = 32) -> np.ndarray:
    """Leading principal components of ``(n, d)`` features as float16 ``(n, min(dims, d, n))``.

    What a record keeps of its features: 2,000 rows of 32 numbers are 125 kB. Components keep their
    scale, so Euclidean distances stay what they were up to the part left out. Cosines do not,
    because the mean is taken off: to keep cosine neighbours, l2-normalise first, which makes them
    the Euclidean neighbours.

    Raises:
        InputError: for NaN, another shape, ``dims`` below 1, or numbers too large for float16.
    """
    x = _matrix("features", features)
    if dims < 1:
        raise InputError(f"dims: expected at least 1, got {dims}")
    with np.errstate(over="ignore"):
        kept = _principal(x, dims).astype(np.float16)
    if not np.isfinite(kept).all():
        raise InputError("features: too large for float16; l2-normalise them first")
    return kept


def _principal(x: np.ndarray, dims: int) -> np.ndarray:
    """Scores of the leading ``min(dims, d, n)`` principal components."""
    dims = min(dims, *x.shape)
    mean = x.mean(0, keepdims=True)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
    # The sign of a singular vector is arbitrary: fix it, so that equal features give equal bytes.
    axes = axes[:dims]
    axes *= np.sign(axes[np.arange(dims), np.abs(axes).argmax(1)])[:, None]
    return (x - mean) @ axes.T


def umap_embed(features: np.ndarray | Sequence[np.ndarray], seed: int = 0) -> Any:
    """Two-dimensional UMAP of one run, or of several runs of the same points, aligned.

    Several runs are embedded one after the other. Each is initialised with the one before and
    then rotated, reflected and scaled onto the first (orthogonal Procrustes), so that moving from
    run to run moves points because they moved in feature space, not because the picture spun. The
    first starts from its two leading principal components, which cannot fail as the spectral
    start does on disconnected neighbour graphs. 2,000 points take a few seconds.

    Neighbours are Euclidean. The features that a record keeps were l2-normalised before
    :func:`reduce` centred them: these are the cosine neighbours of the original features.

    Args:
        features: array or tensor ``(n, d)``, or a sequence of them with the same ``n`` points in
            the same order.
        seed: of UMAP; on one machine the same seed gives the same picture.

    Returns:
        float32 ``(n, 2)``, centred and scaled to unit root-mean-square radius; a list of them for
        a sequence.

    Raises:
        InputError: for NaN, fewer than 16 points, runs of unequal length, or a seed that numpy
            does not take.
    """
    single = getattr(features, "ndim", 0) == 2
    listed: Sequence[Any] = [features] if single else list(features)
    runs = [_matrix("features", run) for run in listed]
    if not runs:
        raise InputError("features: expected at least one array, got none")
    if len({len(run) for run in runs}) > 1:
        raise InputError(
            f"features: aligned runs need the same points, got {[len(run) for run in runs]}"
        )
    if len(runs[0]) <= _NEIGHBOURS:
        raise InputError(
            f"features: expected at least {_NEIGHBOURS + 1} points to embed, got {len(runs[0])}"
        )
    if not 0 <= seed < 1 << 32:
        raise InputError(f"seed: expected 0 to 4,294,967,295, got {seed}")
    # UMAP goes through the rows in order, and shows that order where distances are equal or
    # nearly so: image sets are stored by class, and noise would look like classes.
    order = np.random.default_rng(seed).permutation(len(runs[0]))
    back = np.argsort(order)
    placed: list[np.ndarray] = []
    for run in (run[order] for run in runs):
        start = placed[-1] if placed else _normalized(_two_columns(_principal(run, 2)))
        # A smaller learning rate lets a later run move where its features moved, and settle there
        # as well: full steps first throw the points about, and parts land mirrored.
        rate = 0.3 if placed else 1.0
        found = _normalized(_umap(run, start, seed, rate))
        placed.append(_turned(found, placed[0]) if placed else found)
    placed = [points[back] for points in placed]
    return placed[0] if single else placed


def _two_columns(scores: np.ndarray) -> np.ndarray:
    """One-dimensional features have one component only."""
    return np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))


def _umap(run: np.ndarray, start: np.ndarray, seed: int, learning_rate: float) -> np.ndarray:
    import umap
    from sklearn.neighbors import NearestNeighbors

    # Exact neighbours, given to UMAP: below 4,096 points it would fill the whole distance matrix
    # through a Python call for every pair, two thirds of its time at 2,000 points.
    search = NearestNeighbors(n_neighbors=_NEIGHBOURS, algorithm="brute").fit(run)
    distances, indices = search.kneighbors(run)
    # UMAP expects initial coordinates of its own scale, with no two points in one place.
    start = 10 * start + np.random.default_rng(seed).normal(0, 1e-3, start.shape)
    # numba, inside UMAP, sets the threads of the OpenMP that torch computes with as well: all of
    # the machine. What trains next would be rounded otherwise, and on a busy machine be far slower.
    with warnings.catch_warnings(), threads_kept():
        # We embed no further points, so the search index that it misses is not needed.
        warnings.filterwarnings("ignore", message="precomputed_knn")
        warnings.filterwarnings("ignore", message=".*force_all_finite.*")
        model = umap.UMAP(
            n_neighbors=_NEIGHBOURS,
            min_dist=_MIN_DIST,
            init=start.astype(np.float32),
            learning_rate=learning_rate,
            random_state=seed,
            n_jobs=1,  # what a fixed seed means anyway; saying so avoids a warning
            precomputed_knn=(indices.astype(np.int32), distances.astype(np.float32)),
        )
        return np.asarray(model.fit_transform(run))


@contextmanager
def threads_kept() -> Iterator[None]:
    """Whatever happens inside, torch computes afterwards with as many threads as before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _normalized(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(0)
    radius = float(np.sqrt((centred**2).sum(1).mean()))
    return (centred / max(radius, 1e-12)).astype(np.float32)


def _turned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    from scipy.linalg import orthogonal_procrustes

    rotation, _ = orthogonal_procrustes(points, onto)
    return (points @ rotation).astype(np.float32)


def _matrix(name: str, value: np.ndarray) -> np.ndarray:
    array = as_tensor(name, value).float().cpu().numpy()
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name}: expected shape (n, d), got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite numbers, got NaN or infinity")
    return array


def embed_records(records: Sequence[Any], seed: int = 0) -> Iterator[Path]:
    """Compute and write the aligned embeddings of recorded features, as ``<stem>.umap.npz``.

    Runs of one data set, preset and seed show the same test images: they are aligned with each
    other, cell by cell, from few subsets to many. ``embedding`` shows clean test images under the
    headline statistics, ``embedding_subset`` the same images with their subset's policy through
    their subset's branch.

    Args:
        records: of :func:`contrastive_tutorial.records.load_records`; those without arrays are
            left out.
        seed: of UMAP.

    Yields:
        The files written.

    Raises:
        InputError: if no record has features, or those of one seed do not belong together.
    """
    groups: dict[tuple[str, str, int], list[Any]] = {}
    for record in records:
        if record.has_arrays():
            groups.setdefault((record.data, record.preset, record.seed), []).append(record)
    if not groups:
        raise InputError("no recorded features to embed; run a cell with --arrays first")
    for members in groups.values():
        members.sort(key=lambda record: (record.cell, record.num_subsets))
        require_alike(members, "one series of embeddings")
        arrays = [record.arrays() for record in members]
        found = {
            name: umap_embed([array[source].astype(np.float32) for array in arrays], seed)
            for name, source in (
                ("embedding", "features"),
                ("embedding_subset", "features_subset"),
            )
            if all(source in array for array in arrays)
        }
        for index, record in enumerate(members):
            yield record.save_embedding(
                {name: runs[index].astype(np.float16) for name, runs in found.items()}
            )
