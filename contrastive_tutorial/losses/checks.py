"""Argument checks that the losses share, and the one rule on when values are looked at.

Shapes, dtypes and devices are known on the host: they are always checked. A *value* (is there a
NaN? is the covariance positive definite?) lives on the device; reading it makes the host wait for
a GPU, once a step, and cuts a compiled graph in two. So values are looked at where that is free:
in CPU tensors outside ``torch.compile`` and the transforms of ``torch.func`` (``vmap`` has no
single value to show). Elsewhere bad values propagate as NaN or inf.
"""

from __future__ import annotations

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError


def looks_at_values(*tensors: Tensor) -> bool:
    """Whether values may be read: see the module's text for the rule."""
    return not in_plain_operations() and all(tensor.device.type == "cpu" for tensor in tensors)


def in_plain_operations() -> bool:
    """Whether a compiler or a transform of ``torch.func`` is to differentiate what comes next."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def require_floating(**tensors: Tensor) -> None:
    """Every tensor must be a floating-point tensor, and all on one device and of one dtype."""
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"{name}: expected a torch.Tensor, got {type(tensor).__name__}")
        if not tensor.is_floating_point():
            raise InputError(
                f"{name}: expected floating-point values, got {tensor.dtype}; convert with .float()"
            )
        for what in ("dtype", "device"):
            expected, got = getattr(first, what), getattr(tensor, what)
            if got != expected:
                raise InputError(
                    f"{name}: expected {what} {expected} as {first_name} has, got {got}; "
                    f"convert with .to({first_name}.{what})"
                )


def require_same_shape(**tensors: Tensor) -> None:
    """Every tensor must have the shape of the first one."""
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if tensor.shape != first.shape:
            raise InputError(
                f"{name}: expected shape {tuple(first.shape)} as {first_name} has, "
                f"got {tuple(tensor.shape)}"
            )


def require_finite(**tensors: Tensor) -> None:
    """No value may be NaN or infinite (reads values: guard it with :func:`looks_at_values`)."""
    for name, tensor in tensors.items():
        bad = ~torch.isfinite(tensor.detach())
        if bad.any():
            where = torch.nonzero(bad)[0].tolist()
            raise InputError(
                f"{name}: expected finite values, got {float(tensor.detach()[tuple(where)])} at "
                f"index {where} ({int(bad.sum())} of {bad.numel()} values are not finite); check "
                "the input images, or lower the learning rate if training diverged"
            )


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half-precision tensors in float32; float32 and float64 as they are."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
