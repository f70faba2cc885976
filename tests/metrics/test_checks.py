"""feature_checks: every metric refuses the same bad input, and accepts torch and numpy alike."""

import numpy as np
import pytest
import torch

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics.checks import (
    check_classes,
    check_features,
    check_ids,
    check_train_test,
    check_views,
)


def test_train_and_test_features_share_a_dtype():
    train, test = check_train_test(np.ones((2, 3), np.float32), np.ones((4, 3)))
    assert train.dtype == test.dtype == torch.float32


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(3), r"h: expected features of shape \(N, D\), got \(3,\)"),
        (np.ones((3, 0)), "shape"),
        (np.ones((0, 3)), "at least 1 rows, got 0"),
        (np.ones((2, 3), int), "floating point"),
        (np.array([[1, np.nan], [0, 1], [np.inf, 0]]), "2 of 3 rows hold NaN"),
        (np.array([["a", "b"]]), "^h: expected a tensor or a numeric array, got ndarray of <U1"),
        (None, "numeric array"),
    ],
)
def test_bad_features(value, message):
    with pytest.raises(InputError, match=message):
        check_features("h", value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3, int), r"each of the 4 images, got shape \(3,\)"),
        (np.zeros((4, 1), int), r"shape \(4, 1\)"),
        (np.zeros(4), "integer ids"),
        (np.zeros(4, complex), "integer ids, got torch.complex128"),
        (np.array(["a"] * 4), "^labels: expected a tensor or a numeric array"),
    ],
)
def test_bad_ids(value, message):
    with pytest.raises(InputError, match=message):
        check_ids("labels", value, 4, "images")


def test_one_class_cannot_be_told_apart():
    assert check_classes("labels", torch.tensor([7, 3, 7])).tolist() == [3, 7]
    with pytest.raises(InputError, match=r"at least two classes, got only \[5\]"):
        check_classes("labels", torch.tensor([5, 5]))


def test_two_views_take_the_dtype_of_the_first_and_two_rows_are_enough():
    first, second = check_views(np.ones((2, 3), np.float32), np.ones((2, 3)))
    assert first.dtype == second.dtype == torch.float32
    assert check_features("h", np.ones((1, 1))).shape == (1, 1)
    with pytest.raises(InputError, match=r"^z0: expected at least 2 rows, got 1$"):
        check_views(np.ones((1, 3)), np.ones((1, 3)))
    with pytest.raises(InputError, match=r"^train_features: expected features of shape"):
        check_train_test(np.ones(3), np.ones((2, 3)))
    with pytest.raises(InputError, match=r"^test_features: expected features of shape"):
        check_train_test(np.ones((2, 3)), np.ones(3))


def test_views_and_splits_must_match():
    with pytest.raises(InputError, match=r"a and b: expected the same shape, got \(2, 3\) and \(3"):
        check_views(np.ones((2, 3)), np.ones((3, 3)), names=("a", "b"))
    with pytest.raises(InputError, match="z1: expected at least 2 rows"):
        check_views(np.ones((2, 3)), np.ones((1, 3)))
    with pytest.raises(InputError, match="test_features: expected 3 columns"):
        check_train_test(np.ones((2, 3)), np.ones((2, 4)))
