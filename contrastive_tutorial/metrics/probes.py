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

_REGULARIZATION_PATH = (1e-3, 1e-2, 1e-1, 1.0)
_MAX_ITER = 100
_TOLERANCE = 3e-5  # of the largest entry of the gradient, in the round coordinates
# Beyond, or below its inverse, a column is divided by its largest value: squares must fit.
_LARGE = 2.0**40


def _standardized(train: Tensor, *rest: Tensor) -> list[Tensor]:
    """Zero mean and unit variance by the train statistics; constant columns become zero."""
    largest = train.abs().amax(dim=0)
    fits = (largest >= 1 / _LARGE) & (largest <= _LARGE) | (largest == 0)
    unit = torch.where(fits, 1.0, largest)
    train, *others = (x / unit for x in (train, *rest))
    mean, std = train.mean(dim=0), train.std(dim=0, correction=0)
    # A column that varies only by rounding must not be blown up to unit variance.
    constant = std <= 1e-6 * torch.maximum(mean.abs(), std.max())
    scale = torch.where(constant, torch.zeros_like(std), 1 / std.clamp_min(1e-30))
    return [(x - mean) * scale for x in (train, *others)]


def _logistic_regression(
    features: Tensor, classes: Tensor, num_classes: int, c: float, start: Tensor
) -> Tensor:
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
    root = torch.linalg.cholesky(moments + torch.eye(d).to(moments) / (c * n))
    rounding = torch.linalg.solve_triangular(root, torch.eye(d).to(root), upper=False).to(features)
    scale = math.sqrt(num_classes)  # of the bias
    weight = start[:, :-1] @ root.to(features)
    parameters = torch.cat([weight, start[:, -1:] / scale], dim=1)
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
) -> float:
    """Test accuracy of multinomial logistic regression on frozen features.

    Features are standardised by the train statistics; full-batch L-BFGS on the features' device
    (``torch.optim.LBFGS``) minimises scikit-learn's objective. With a validation split, C is the
    best of 0.001, 0.01, 0.1 and 1 by validation accuracy (the smallest of equals), fitted on the
    train split alone; otherwise it is ``c``. A fit ends after 100 iterations at the latest. The
    more columns, the smaller the best C: with 2,048 of them, C = 1 can cost five points. Of equally
    probable classes the smallest id is predicted.

    Args:
        train_features, train_labels: ``(N, D)`` floating point, and their ``(N,)`` integer classes.
        test_features, test_labels: ``(M, D)`` and ``(M,)``; a class that train lacks is missed.
        val_features, val_labels: of the split that chooses C; both or neither.
        c: inverse strength of the penalty, without a validation split.

    Raises:
        InputError: for bad features, unequal lengths, one class, c <= 0, or half a validation
            split.
    """
    hits = linear_probe_hits(
        train_features, train_labels, test_features, test_labels, val_features, val_labels, c
    )
    return float(hits.double().mean())


def linear_probe_hits(
    train_features: Array,
    train_labels: Array,
    test_features: Array,
    test_labels: Array,
    val_features: Array | None = None,
    val_labels: Array | None = None,
    c: float = 1.0,
) -> Tensor:
    """Which test points :func:`linear_probe` gets right: bool ``(M,)``; arguments as there."""
    train, test = check_train_test(train_features, test_features)
    labels = check_ids("train_labels", train_labels, len(train), "train points").to(train.device)
    truth = check_ids("test_labels", test_labels, len(test), "test points").to(train.device)
    classes = check_classes("train_labels", labels)
    if not 0 < c < math.inf:
        raise InputError(f"c: expected a positive number, got {c}")
    if (val_features is None) != (val_labels is None):
        raise InputError("val_features and val_labels: give both or neither")
    targets = torch.searchsorted(classes, labels)
    start = train.new_zeros(len(classes), train.shape[1] + 1)
    if val_features is None or val_labels is None:
        train, test = _standardized(train, test)
        best = _logistic_regression(train, targets, len(classes), c, start)
    else:
        val = check_train_test(train, val_features)[1]
        val_truth = check_ids("val_labels", val_labels, len(val), "val points").to(train.device)
        train, test, val = _standardized(train, test, val)
        best, best_accuracy = start, -1.0
        for candidate in _REGULARIZATION_PATH:  # each fit starts where the stronger penalty ended
            start = _logistic_regression(train, targets, len(classes), candidate, start)
            accuracy = float((classes[_predict(start, val)] == val_truth).double().mean())
            if accuracy > best_accuracy:
                best, best_accuracy = start, accuracy
    return classes[_predict(best, test)] == truth


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
    return policy_probe_recalls(features, policy_ids, image_ids, seed, test_fraction)[0]


def policy_probe_recalls(
    features: Array,
    policy_ids: Array,
    image_ids: Array,
    seed: int = 0,
    test_fraction: float = 0.5,
) -> tuple[float, dict[int, float]]:
    """:func:`policy_probe`, and the recall of every policy: the share of its views recognised.

    Arguments and errors as there. A policy without views on the test side has no recall.
    """
    x = check_features("features", features)
    policies = check_ids("policy_ids", policy_ids, len(x), "rows of features").to(x.device)
    images = check_ids("image_ids", image_ids, len(x), "rows of features").cpu()
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
    check_classes("policy_ids", policies[~test])
    hits = linear_probe_hits(x[~test], policies[~test], x[test], policies[test])
    shown = policies[test]
    recalls = {int(k): float(hits[shown == k].double().mean()) for k in shown.unique()}
    return float(hits.double().mean()), recalls
