"""Reference features that an embedding is compared with: raw pixels and principal components."""

from __future__ import annotations

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics.checks import Array, as_tensor, check_train_test
from contrastive_tutorial.metrics.clustering import (
    ari,
    cluster,
    cluster_accuracy,
    clustering_scores,
    nmi,
    purity,
    raw_accuracy,
)
from contrastive_tutorial.metrics.geometry import (
    DotProductSimilarity,
    alignment,
    contrastive_accuracy,
    dot_product_similarity,
    nearest_negative_same_subset,
    rankme,
    uniformity,
)
from contrastive_tutorial.metrics.neighbours import (
    knn_accuracies,
    knn_accuracy,
    nearest_neighbours,
    retrieval_top1,
)
from contrastive_tutorial.metrics.probes import linear_probe, policy_probe, policy_probe_recalls

__all__ = [
    "DotProductSimilarity",
    "alignment",
    "ari",
    "cluster",
    "cluster_accuracy",
    "clustering_scores",
    "contrastive_accuracy",
    "dot_product_similarity",
    "knn_accuracies",
    "knn_accuracy",
    "linear_probe",
    "nearest_negative_same_subset",
    "nearest_neighbours",
    "nmi",
    "pca_features",
    "policy_probe",
    "policy_probe_recalls",
    "purity",
    "rankme",
    "raw_accuracy",
    "raw_pixel_features",
    "retrieval_top1",
    "uniformity",
]


def raw_pixel_features(images: Array) -> Tensor:
    """uint8 (or float) images ``(N, C, H, W)`` as float32 features ``(N, C*H*W)``, 0 to 1."""
    x = as_tensor("images", images)
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

    train, test = check_train_test(train_features, test_features)
    if not 1 <= n <= min(train.shape):
        raise InputError(f"n: expected 1 to {min(train.shape)} components, got {n}")
    pca = PCA(n, random_state=0).fit(train.cpu().numpy())
    reduced = [torch.from_numpy(pca.transform(x.cpu().numpy())) for x in (train, test)]
    return reduced[0].float().to(train.device), reduced[1].float().to(train.device)
