"""What the metrics accept, checked in one place: features, ids, pairs of views."""

from __future__ import annotations

from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError

Array: TypeAlias = "Tensor | np.ndarray"


def as_tensor(name: str, value: Array) -> Tensor:
    """``value`` as a tensor without gradient. Memory is shared where torch allows it."""
    if isinstance(value, Tensor):
        return value.detach()
    array = np.asarray(value)
    if not array.dtype.isnative:  # big-endian files: torch knows the machine's order only
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch warns about the one and refuses the other
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise InputError(
            f"{name}: expected a tensor or a numeric array, got {type(value).__name__} of "
            f"{array.dtype}"
        ) from error


def check_features(
    name: str, value: Array, min_rows: int = 1, like: Tensor | None = None
) -> Tensor:
    """``value`` as a finite float32 (or float64) ``(N, D)`` tensor, N >= ``min_rows``.

    With ``like``, of its dtype and on its device.
    """
    x = as_tensor(name, value)
    if x.ndim != 2 or x.shape[1] < 1:
        raise InputError(f"{name}: expected features of shape (N, D), got {tuple(x.shape)}")
    if len(x) < min_rows:
        raise InputError(f"{name}: expected at least {min_rows} rows, got {len(x)}")
    if not x.is_floating_point():
        raise InputError(f"{name}: expected floating point features, got {x.dtype}")
    if like is not None:
        x = x.to(like)
    elif x.dtype != torch.float64:
        x = x.float()
    if not bool(torch.isfinite(x).all()):
        bad = int((~torch.isfinite(x)).any(dim=1).sum())
        raise InputError(f"{name}: {bad} of {len(x)} rows hold NaN or infinity; did training fail?")
    return x


def check_ids(name: str, value: Array, length: int, like: str) -> Tensor:
    """``value`` as an int64 ``(length,)`` tensor."""
    ids = as_tensor(name, value)
    if ids.ndim != 1 or len(ids) != length:
        raise InputError(
            f"{name}: expected one id for each of the {length} {like}, got shape {tuple(ids.shape)}"
        )
    if ids.is_floating_point() or ids.is_complex():
        raise InputError(f"{name}: expected integer ids, got {ids.dtype}")
    return ids.long().contiguous()


def check_whole(name: str, value: Any, least: int, most: float, expected: str) -> None:
    """``value`` is a whole number within the limits."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        raise InputError(f"{name}: expected {expected}, got {value!r}")


def check_classes(name: str, labels: Tensor) -> Tensor:
    """The sorted distinct labels; at least two are needed to tell anything apart."""
    classes = labels.unique()
    if len(classes) < 2:
        raise InputError(f"{name}: expected at least two classes, got only {classes.tolist()}")
    return classes


def check_views(
    z0: Array, z1: Array, min_rows: int = 2, names: tuple[str, str] = ("z0", "z1")
) -> tuple[Tensor, Tensor]:
    """Two views of the same N images, row i of one with row i of the other."""
    first = check_features(names[0], z0, min_rows)
    second = check_features(names[1], z1, min_rows, like=first)
    if first.shape != second.shape:
        raise InputError(
            f"{names[0]} and {names[1]}: expected the same shape, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    return first, second


def check_train_test(train_features: Array, test_features: Array) -> tuple[Tensor, Tensor]:
    """Train and test features with the same columns, as one dtype on one device."""
    train = check_features("train_features", train_features)
    test = check_features("test_features", test_features, like=train)
    if train.shape[1] != test.shape[1]:
        raise InputError(
            f"test_features: expected {train.shape[1]} columns as in train_features, got "
            f"{test.shape[1]}"
        )
    return train, test
