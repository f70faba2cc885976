"""Reference features that an embedding is compared with: raw pixels and principal components."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics.checks import Array, as_tensor, check_train_test


def raw_pixel_features(images: Array) -> Tensor:
    """Images ``(N, C, H, W)`` as float32 features ``(N, C * H * W)``.

    Integers of 0 to 255 become 0 to 1; floating point values stay as they are.

    Raises:
        InputError: for another shape, or no image at all.
    """
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
    with np.errstate(invalid="ignore"):  # points all alike have no variance to take a share of
        pca = PCA(n, random_state=0).fit(train.cpu().numpy())
    reduced = [torch.from_numpy(pca.transform(x.cpu().numpy())) for x in (train, test)]
    return reduced[0].float().to(train.device), reduced[1].float().to(train.device)
