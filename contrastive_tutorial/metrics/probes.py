"""Linear probes: what a linear map can read off frozen features."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics.checks import (
    Array,
    check_classes,
    check_features,
    check_ids,
    check_train_test,
)

_MAX_ITER = 100
_TOLERANCE = 3e-5  # of the largest entry of the gradient, in the round coordinates
# Beyond, or below its inverse, a column is divided by its largest value: squares must fit.
_LARGE = 2.0**40


def _standardized(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Zero mean and unit variance by the train statistics; constant columns become zero."""
    largest = train.abs().amax(dim=0)
    fits = (largest >= 1 / _LARGE) & (largest <= _LARGE) | (largest == 0)
    unit = torch.where(fits, 1.0, largest)
    train, test = train / unit, test / unit
    mean, std = train.mean(dim=0), train.std(dim=0, correction=0)
    # A column that varies only by rounding must not be blown up to unit variance: by its own, or by
    # that of larger columns, where features were rotated (PCA leaves such columns).
    constant = std <= 1e-6 * torch.maximum(mean.abs(), std.max())
    scale = torch.where(constant, torch.zeros_like(std), 1 / std.clamp_min(1e-30))
    return (train - mean) * scale, (test - mean) * scale


def _logistic_regression(features: Tensor, classes: Tensor, num_classes: int, c: float) -> Tensor:
    """Multinomial logistic regression by L-BFGS; weights ``(num_classes, D + 1)``, bias last.

    scikit-learn's objective divided by N: mean cross-entropy + ||weights||^2 / (2 C N), the bias
    not penalised. L-BFGS works in coordinates in which the objective is round where it starts, at
    equal probabilities: there its Hessian in the weights of a class is the matrix of second moments
    / num_classes, and the penalty. So a step from zero is Newton's, and a dozen or two end
    where a hundred of plain L-BFGS do not. The gradient is written out: autograd would make each
    step dearer, and this works under ``torch.no_grad`` and ``torch.inference_mode`` too.
    """
    n, d = features.shape
    target = F.one_hot(classes, num_classes).to(features)
    exact = torch.float32 if features.device.type == "mps" else torch.float64
    moments = (features.T @ features).to(exact) / (n * num_classes)
    # A penalty too small to show beside rounding would leave dependent columns without a root;
    # these coordinates change the way to the minimum, not the minimum.
    strength = min(c * n, 1e6 * num_classes)
    root = torch.linalg.cholesky(moments + torch.eye(d).to(moments) / strength)
    rounding = torch.linalg.solve_triangular(root, torch.eye(d).to(root), upper=False).to(features)
    scale = math.sqrt(num_classes)  # of the bias
    parameters = features.new_zeros(num_classes, d + 1)
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=_MAX_ITER,
        tolerance_grad=_TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        weight, bias = parameters[:, :-1] @ rounding, parameters[:, -1] * scale
        log_p = F.log_softmax(torch.addmm(bias, features, weight.T), dim=1)
        residual = (log_p.exp() - target) / n
        gradient = (residual.T @ features + weight / (c * n)) @ rounding.T
        parameters.grad = torch.cat([gradient, residual.sum(dim=0)[:, None] * scale], dim=1)
        return -(log_p * target).sum() / n + weight.square().sum() / (2 * c * n)

    optimizer.step(closure)
    return torch.cat([parameters[:, :-1] @ rounding, parameters[:, -1:] * scale], dim=1)


def linear_probe(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    c: float = 1.0,
) -> float:
    """Test accuracy of multinomial logistic regression on frozen features.

    Features are standardised by the train statistics (a column counts as rounding, and not at all,
    if its spread is below a millionth of the largest column's, or of its own mean); full-batch
    L-BFGS on the features' device (``torch.optim.LBFGS``) minimises scikit-learn's objective, in
    100 iterations at most. The more columns, the smaller the best C: with 2,048 of them, C = 1 can
    cost five points. Of equally probable classes the smallest id is predicted.

    Args:
        train_features, train_labels: ``(N, D)`` floating point, and their ``(N,)`` integer classes.
        test_features, test_labels: ``(M, D)`` and ``(M,)``; a class that train lacks is missed.
        c: inverse strength of the penalty.

    Raises:
        InputError: for bad features, unequal lengths, one class, or c <= 0.
    """
    hits = linear_probe_hits(train_features, train_labels, test_features, test_labels, c)
    return float(hits.double().mean())


def linear_probe_hits(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    c: float = 1.0,
) -> Tensor:
    """Which test points :func:`linear_probe` gets right: bool ``(M,)``; arguments as there."""
    train, test = check_train_test(train_features, test_features)
    labels = check_ids("train_labels", train_labels, len(train), "train points").to(train.device)
    truth = check_ids("test_labels", test_labels, len(test), "test points").to(train.device)
    classes = check_classes("train_labels", labels)
    if not 0 < c < math.inf:
        raise InputError(f"c: expected a positive number, got {c}")
    train, test = _standardized(train, test)
    found = _logistic_regression(train, torch.searchsorted(classes, labels), len(classes), c)
    predicted = torch.addmm(found[:, -1], test, found[:, :-1].T).argmax(dim=1)
    return classes[predicted] == truth


def policy_probe(features: Array, policy_ids: Array, image_ids: Array, seed: int = 0) -> float:
    """How well a linear probe tells which policy a view was made with; chance is 1/(policies).

    Logistic regression (:func:`linear_probe`, C = 1) on all views of one half of the images,
    scored on all views of the other: split by image, so that knowing an image does not help.

    Args:
        features: ``(N, D)``.
        policy_ids: integer ``(N,)``.
        image_ids: integer ``(N,)`` which image the view shows.
        seed: of the split.

    Raises:
        InputError: for bad features, unequal lengths, fewer than two images or policies.
    """
    return policy_probe_recalls(features, policy_ids, image_ids, seed)[0]


def policy_probe_recalls(
    features: Array, policy_ids: Array, image_ids: Array, seed: int = 0
) -> tuple[float, dict[int, float]]:
    """:func:`policy_probe`, and the recall of every policy: the share of its views recognised.

    Arguments and errors as there. A policy without views on the test side has no recall.
    """
    x = check_features("features", features)
    policies = check_ids("policy_ids", policy_ids, len(x), "rows of features").to(x.device)
    images = check_ids("image_ids", image_ids, len(x), "rows of features").cpu()
    distinct, image = images.unique(return_inverse=True)
    if len(distinct) < 2:
        raise InputError(f"image_ids: expected at least two images to split, got {len(distinct)}")
    order = torch.randperm(len(distinct), generator=torch.Generator().manual_seed(seed))
    is_test = torch.zeros(len(distinct), dtype=torch.bool)
    is_test[order[: round(len(distinct) / 2)]] = True
    test = is_test[image].to(x.device)
    check_classes("policy_ids", policies[~test])
    hits = linear_probe_hits(x[~test], policies[~test], x[test], policies[test])
    shown = policies[test]
    recalls = {int(k): float(hits[shown == k].double().mean()) for k in shown.unique()}
    return float(hits.double().mean()), recalls
