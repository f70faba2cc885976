"""Metrics of embeddings: clustering, neighbours, linear probes, geometry, contrastive accuracy.

Every function takes torch tensors or numpy arrays and returns Python floats. Labels and cluster
ids may be any integers. Features are ``(N, D)`` floating point, on any device; the neighbour and
probe metrics compute where the features are. Metrics that depend on directions alone l2-normalise
inside; a zero vector stays zero, so it is orthogonal to everything.

The protocol matters more than the network (``cluster_accuracy`` of one checkpoint can be 0.1, 0.3
or 0.6), so each docstring states its protocol and the source it follows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_tutorial.errors import InputError

Array: TypeAlias = "Tensor | np.ndarray"

# Rows of a similarity block: 512 x 45,000 float32 numbers are 92 MB, which bounds the memory.
_BLOCK_ROWS = 512
_REGULARIZATION_PATH = (1e-3, 1e-2, 1e-1, 1.0)


# ---------------------------------------------------------------------------- input


def _tensor(name: str, value: Array) -> Tensor:
    """``value`` as a tensor without gradient. Memory is shared where torch allows it."""
    if isinstance(value, Tensor):
        return value.detach()
    array = np.asarray(value)
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch warns about the one and refuses the other
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise InputError(
            f"{name}: expected a tensor or a numeric array, got {type(value).__name__} of "
            f"{array.dtype}"
        ) from error


def _features(name: str, value: Array, min_rows: int = 1) -> Tensor:
    """``value`` as a finite float32 (or float64) ``(N, D)`` tensor, N >= ``min_rows``."""
    x = _tensor(name, value)
    if x.ndim != 2 or x.shape[1] < 1:
        raise InputError(f"{name}: expected features of shape (N, D), got {tuple(x.shape)}")
    if len(x) < min_rows:
        raise InputError(f"{name}: expected at least {min_rows} rows, got {len(x)}")
    if not x.is_floating_point():
        raise InputError(f"{name}: expected floating point features, got {x.dtype}")
    if x.dtype != torch.float64:
        x = x.float()
    if not bool(torch.isfinite(x).all()):
        bad = int((~torch.isfinite(x)).any(dim=1).sum())
        raise InputError(f"{name}: {bad} of {len(x)} rows hold NaN or infinity; did training fail?")
    return x


def _ids(name: str, value: Array, length: int, like: str) -> Tensor:
    """``value`` as an int64 ``(length,)`` tensor."""
    ids = _tensor(name, value)
    if ids.ndim != 1 or len(ids) != length:
        raise InputError(
            f"{name}: expected one id for each of the {length} {like}, got shape {tuple(ids.shape)}"
        )
    if ids.is_floating_point() or ids.is_complex():
        raise InputError(f"{name}: expected integer ids, got {ids.dtype}")
    return ids.long()


def _two_classes(name: str, labels: Tensor) -> Tensor:
    """The sorted distinct labels; at least two are needed to tell anything apart."""
    classes = labels.unique()
    if len(classes) < 2:
        raise InputError(f"{name}: expected at least two classes, got only {classes.tolist()}")
    return classes


def _views(z0: Array, z1: Array, min_rows: int = 2) -> tuple[Tensor, Tensor]:
    """Two views of the same N images, row i of one with row i of the other."""
    first, second = _features("z0", z0, min_rows), _features("z1", z1, min_rows)
    if first.shape != second.shape:
        raise InputError(
            f"z0 and z1: expected the same shape, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    return first, second.to(first)


def _train_test(train_features: Array, test_features: Array) -> tuple[Tensor, Tensor]:
    train = _features("train_features", train_features)
    test = _features("test_features", test_features)
    if train.shape[1] != test.shape[1]:
        raise InputError(
            f"test_features: expected {train.shape[1]} columns as in train_features, got "
            f"{test.shape[1]}"
        )
    return train, test.to(train)


# ---------------------------------------------------------------------------- clusterings


def _pair(labels: Array, clusters: Array) -> tuple[np.ndarray, np.ndarray]:
    """Labels and clusters as checked int64 ``(N,)`` arrays."""
    length = _tensor("labels", labels).numel()
    if length == 0:
        raise InputError("labels: expected at least one label, got none")
    y = _ids("labels", labels, length, "samples")
    return y.cpu().numpy(), _ids("clusters", clusters, length, "labels").cpu().numpy()


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
    """
    y, c = _pair(labels, clusters)
    return float((y == c).mean())


def purity(labels: Array, clusters: Array) -> float:
    """The share of samples in the majority class of their cluster.

    Never below :func:`cluster_accuracy`, and not corrected for chance: it reaches 1 with one
    cluster per sample.
    """
    counts = _contingency(labels, clusters)
    return float(counts.max(axis=0).sum() / counts.sum())


def nmi(labels: Array, clusters: Array) -> float:
    """Normalised mutual information, arithmetic mean of the entropies (scikit-learn)."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(*_pair(labels, clusters)))


def ari(labels: Array, clusters: Array) -> float:
    """Adjusted Rand index (scikit-learn): 0 in expectation for random clusters, 1 for equal."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(*_pair(labels, clusters)))


def cluster(
    train_features: Array,
    test_features: Array,
    num_clusters: int,
    seed: int = 0,
    n_init: int = 10,
) -> np.ndarray:
    """k-means fitted on train features; every test point goes to the nearest centroid.

    Features are l2-normalised first; k-means++ starts, Lloyd's algorithm, the best of ``n_init``
    runs by inertia (scikit-learn). Nothing is fitted on test points.

    Args:
        train_features: ``(N, D)``.
        test_features: ``(M, D)``.
        num_clusters: at most N.
        seed: of the starts.
        n_init: restarts. Ten take about 5 s for 45,000 x 128 on two cores.

    Returns:
        int64 ``(M,)`` cluster ids in ``[0, num_clusters)``.

    Raises:
        InputError: for bad features, or ``num_clusters`` outside ``[1, N]``.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    train, test = _train_test(train_features, test_features)
    if not 1 <= num_clusters <= len(train):
        raise InputError(
            f"num_clusters: expected 1 to {len(train)} (the train points), got {num_clusters}"
        )
    if n_init < 1:
        raise InputError(f"n_init: expected at least 1 restart, got {n_init}")
    kmeans = KMeans(num_clusters, n_init=n_init, random_state=seed)
    with warnings.catch_warnings():
        # A collapsed encoder has fewer distinct points than clusters. That is a finding, which
        # every other metric shows too, not a defect of the clustering.
        warnings.simplefilter("ignore", ConvergenceWarning)
        kmeans.fit(F.normalize(train, dim=1).cpu().numpy())
    return kmeans.predict(F.normalize(test, dim=1).cpu().numpy()).astype(np.int64)


def clustering_scores(
    train_features: Array,
    test_features: Array,
    test_labels: Array,
    num_clusters: int = 10,
    seed: int = 0,
    n_init: int = 10,
    doubled: bool = False,
) -> dict[str, float]:
    """:func:`cluster` and every score of the result.

    Returns:
        ``cluster_accuracy``, ``nmi``, ``ari``, ``raw_accuracy`` and ``purity_<num_clusters>``;
        with ``doubled`` also the purity of a second clustering into twice as many clusters
        (``purity_20`` for ten classes), the protocol of the Keras example the article resembles.
    """
    clusters = cluster(train_features, test_features, num_clusters, seed, n_init)
    scores = {
        "cluster_accuracy": cluster_accuracy(test_labels, clusters),
        "nmi": nmi(test_labels, clusters),
        "ari": ari(test_labels, clusters),
        "raw_accuracy": raw_accuracy(test_labels, clusters),
        f"purity_{num_clusters}": purity(test_labels, clusters),
    }
    if doubled:
        finer = cluster(train_features, test_features, 2 * num_clusters, seed, n_init)
        scores[f"purity_{2 * num_clusters}"] = purity(test_labels, finer)
    return scores


# ---------------------------------------------------------------------------- neighbours


def nearest_neighbours(
    train_features: Array, test_features: Array, k: int
) -> tuple[Tensor, Tensor]:
    """The k train points most similar (cosine) to each test point, most similar first.

    The full similarity matrix is never held: 512 test points are compared at a time.

    Returns:
        similarities ``(M, k)`` and int64 train indices ``(M, k)``, on the device of the features.

    Raises:
        InputError: for bad features, or k outside ``[1, N]``.
    """
    train, test = _train_test(train_features, test_features)
    if not 1 <= k <= len(train):
        raise InputError(f"k: expected 1 to {len(train)} (the train points), got {k}")
    bank = F.normalize(train, dim=1).T.contiguous()
    found = [(block @ bank).topk(k, dim=1) for block in F.normalize(test, dim=1).split(_BLOCK_ROWS)]
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
    """:func:`knn_accuracy` for each ``(k, temperature)``, with one search for all of them."""
    train, test = _train_test(train_features, test_features)
    labels = _ids("train_labels", train_labels, len(train), "train points").to(train.device)
    truth = _ids("test_labels", test_labels, len(test), "test points").to(train.device)
    classes = _two_classes("train_labels", labels)
    for k, temperature in protocols:
        if temperature is not None and not temperature > 0:
            raise InputError(f"temperature: expected a positive number or None, got {temperature}")
        if k < 1:
            raise InputError(f"k: expected at least 1 neighbour, got {k}")
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
    """
    first, second = _views(a, b)
    first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    hits = 0
    for start in range(0, len(first), _BLOCK_ROWS):
        block = first[start : start + _BLOCK_ROWS] @ second.T
        rows = torch.arange(len(block), device=block.device)
        own = block[rows, rows + start].clone()
        block[rows, rows + start] = -math.inf
        hits += int((own > block.amax(dim=1)).sum())
    return hits / len(first)


# ---------------------------------------------------------------------------- linear probes


def _standardized(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Zero mean and unit variance by the train statistics; constant columns become zero."""
    mean, std = train.mean(dim=0), train.std(dim=0, correction=0)
    # A column that varies only by rounding must not be blown up to unit variance.
    constant = std <= 1e-6 * torch.maximum(mean.abs(), std.max())
    scale = torch.where(constant, torch.zeros_like(std), 1 / std.clamp_min(1e-30))
    return [(x - mean) * scale for x in (train, *others)]


def _logistic_regression(
    features: Tensor, classes: Tensor, num_classes: int, c: float, start: Tensor, max_iter: int
) -> Tensor:
    """Multinomial logistic regression by L-BFGS; weights ``(num_classes, D + 1)``, bias last.

    scikit-learn's objective divided by N: mean cross-entropy + ||weights||^2 / (2 C N), the bias
    not penalised. The gradient is written out because autograd costs half as much again.
    """
    n = len(features)
    target = F.one_hot(classes, num_classes).to(features)
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=max_iter,
        tolerance_grad=1e-5,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        weight, bias = parameters[:, :-1].detach(), parameters[:, -1].detach()
        log_p = F.log_softmax(torch.addmm(bias, features, weight.T), dim=1)
        residual = (log_p.exp() - target) / n
        gradient = torch.cat(
            [residual.T @ features + weight / (c * n), residual.sum(dim=0)[:, None]], dim=1
        )
        parameters.grad = gradient
        return -(log_p * target).sum() / n + weight.square().sum() / (2 * c * n)

    optimizer.step(closure)
    return parameters.detach()


def _predict(parameters: Tensor, features: Tensor) -> Tensor:
    return torch.addmm(parameters[:, -1], features, parameters[:, :-1].T).argmax(dim=1)


def linear_probe(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    val_features: Array | None = None,
    val_labels: Array | None = None,
    c: float = 1.0,
    max_iter: int = 100,
) -> float:
    """Test accuracy of multinomial logistic regression on frozen features.

    Features are standardised by the train statistics; full-batch L-BFGS on the features' device
    (``torch.optim.LBFGS``) minimises scikit-learn's objective. With a validation split, C is the
    best of 0.001, 0.01, 0.1 and 1 by validation accuracy (the smallest of equals), fitted on the
    train split alone; otherwise it is ``c``.

    Raises:
        InputError: for bad features, unequal lengths, one class, c <= 0, or half a validation
            split.
    """
    train, test = _train_test(train_features, test_features)
    labels = _ids("train_labels", train_labels, len(train), "train points").to(train.device)
    truth = _ids("test_labels", test_labels, len(test), "test points").to(train.device)
    classes = _two_classes("train_labels", labels)
    if not c > 0 or max_iter < 1:
        raise InputError(f"c and max_iter: expected positive numbers, got {c} and {max_iter}")
    if (val_features is None) != (val_labels is None):
        raise InputError("val_features and val_labels: give both or neither")
    targets = torch.searchsorted(classes, labels)
    start = train.new_zeros(len(classes), train.shape[1] + 1)
    if val_features is None or val_labels is None:
        train, test = _standardized(train, test)
        best = _logistic_regression(train, targets, len(classes), c, start, max_iter)
    else:
        val = _train_test(train, val_features)[1]
        val_truth = _ids("val_labels", val_labels, len(val), "val points").to(train.device)
        train, test, val = _standardized(train, test, val)
        best, best_accuracy = start, -1.0
        for candidate in _REGULARIZATION_PATH:  # each fit starts where the stronger penalty ended
            start = _logistic_regression(train, targets, len(classes), candidate, start, max_iter)
            accuracy = float((classes[_predict(start, val)] == val_truth).double().mean())
            if accuracy > best_accuracy:
                best, best_accuracy = start, accuracy
    return float((classes[_predict(best, test)] == truth).double().mean())


def policy_probe(
    features: Array,
    policy_ids: Array,
    image_ids: Array,
    seed: int = 0,
    test_fraction: float = 0.5,
) -> float:
    """How well a linear probe tells which policy a view was made with; chance is 1/(policies).

    Logistic regression (:func:`linear_probe`, C = 1) on all views of one part of the images,
    scored on all views of the other: split by image, so that knowing an image does not help.

    Args:
        features: ``(N, D)``.
        policy_ids: integer ``(N,)``.
        image_ids: integer ``(N,)`` which image the view shows.
        seed: of the split.
        test_fraction: share of the images held out.

    Raises:
        InputError: for bad features, unequal lengths, fewer than two images or policies.
    """
    x = _features("features", features)
    policies = _ids("policy_ids", policy_ids, len(x), "rows of features").to(x.device)
    images = _ids("image_ids", image_ids, len(x), "rows of features").cpu()
    if not 0 < test_fraction < 1:
        raise InputError(f"test_fraction: expected a number between 0 and 1, got {test_fraction}")
    distinct, image = images.unique(return_inverse=True)
    if len(distinct) < 2:
        raise InputError(f"image_ids: expected at least two images to split, got {len(distinct)}")
    order = torch.randperm(len(distinct), generator=torch.Generator().manual_seed(seed))
    held_out = min(max(round(test_fraction * len(distinct)), 1), len(distinct) - 1)
    is_test = torch.zeros(len(distinct), dtype=torch.bool)
    is_test[order[:held_out]] = True
    test = is_test[image].to(x.device)
    _two_classes("policy_ids", policies[~test])
    return linear_probe(x[~test], policies[~test], x[test], policies[test])


# ---------------------------------------------------------------------------- geometry


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
    first, second = _views(z0, z1)
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

    Wang & Isola 2020, arXiv 2005.10242, equation 4.2.
    """
    first, second = _views(z0, z1, min_rows=1)
    distance = (F.normalize(first, dim=1) - F.normalize(second, dim=1)).norm(dim=1)
    return float(distance.pow(alpha).double().mean())


def uniformity(z: Array, t: float = 2.0) -> float:
    """Log of the mean Gaussian potential ``exp(-t ||u - v||^2)`` over distinct points of a sphere.

    0 when all points coincide; -3.94 for points spread uniformly over S^127 with t = 2; lower is
    more uniform. Wang & Isola 2020, arXiv 2005.10242, equation 4.3.
    """
    points = F.normalize(_features("z", z, min_rows=2), dim=1)
    total = 0.0
    for similarity, _ in _similarity_blocks(points):
        # ||u - v||^2 = 2 - 2 u.v; a point with itself has similarity -inf and adds nothing.
        total += float(torch.exp(2 * t * (similarity - 1)).sum(dtype=torch.float64))
    return math.log(total / (len(points) * (len(points) - 1)))


def rankme(features: Array, epsilon: float = 1e-7) -> float:
    """RankMe: the exponential of the entropy of the normalised singular values.

    A smooth rank, between 1 and D. Garrido, Balestriero, Najman, LeCun 2023, arXiv 2210.02885,
    equation 1; 25,600 samples are enough. Its authors compare only runs of the same method by it.
    """
    x = _features("features", features).double()
    # Singular values from the smaller Gram matrix: exact enough (relative 1e-8, below epsilon)
    # and much cheaper than an SVD of the tall matrix.
    gram = x.T @ x if x.shape[0] >= x.shape[1] else x @ x.T
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    p = singular / singular.sum().clamp_min(torch.finfo(x.dtype).tiny) + epsilon
    return float(torch.exp(-(p * p.log()).sum()))


# ---------------------------------------------------------------------------- contrastive task


def _similarity_blocks(z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of rows of ``z @ z.T`` with -inf on the diagonal, each with its row indices."""
    for start in range(0, len(z), _BLOCK_ROWS):
        block = z[start : start + _BLOCK_ROWS] @ z.T
        rows = torch.arange(start, start + len(block), device=z.device)
        block[rows - start, rows] = -math.inf
        yield block, rows


def contrastive_accuracy(z0: Array, z1: Array) -> float:
    """How often an anchor's positive is the most similar of the other 2N - 1 views (cosine).

    Over all 2N anchors. A tie counts as a miss, so that a collapsed encoder earns nothing; chance
    is 1/(2N - 1).
    """
    first, second = _views(z0, z1)
    n = len(first)
    z = F.normalize(torch.cat([first, second]), dim=1)
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
    per-subset normalisation.

    Args:
        z0, z1: ``(N, D)`` two views of the same N >= 2 images.
        subset_ids: integer ``(N,)``.
    """
    first, second = _views(z0, z1)
    n = len(first)
    subsets = _ids("subset_ids", subset_ids, n, "images").to(first.device).repeat(2)
    z = F.normalize(torch.cat([first, second]), dim=1)
    same = 0
    for block, rows in _similarity_blocks(z):
        block[rows - rows[0], (rows + n) % (2 * n)] = -math.inf
        same += int((subsets[block.argmax(dim=1)] == subsets[rows]).sum())
    return same / (2 * n)


# ---------------------------------------------------------------------------- reference features


def raw_pixel_features(images: Array) -> Tensor:
    """uint8 (or float) images ``(N, C, H, W)`` as float32 features ``(N, C*H*W)``, 0 to 1."""
    x = _tensor("images", images)
    if x.ndim != 4 or len(x) == 0:
        raise InputError(f"images: expected a non-empty (N, C, H, W), got shape {tuple(x.shape)}")
    flat = x.flatten(1)
    return flat.float() if x.is_floating_point() else flat.float() / 255


def pca_features(
    train_features: Array, test_features: Array, n: int = 128
) -> tuple[Tensor, Tensor]:
    """The first ``n`` principal components, fitted on train (scikit-learn, randomised solver).

    Returns:
        float32 ``(N, n)`` and ``(M, n)``, on the device of ``train_features``.

    Raises:
        InputError: for bad features, or ``n`` above ``min(N, D)``.
    """
    from sklearn.decomposition import PCA

    train, test = _train_test(train_features, test_features)
    if not 1 <= n <= min(train.shape):
        raise InputError(f"n: expected 1 to {min(train.shape)} components, got {n}")
    pca = PCA(n, random_state=0).fit(train.cpu().numpy())
    reduced = [torch.from_numpy(pca.transform(x.cpu().numpy())) for x in (train, test)]
    return reduced[0].float().to(train.device), reduced[1].float().to(train.device)
