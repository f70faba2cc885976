"""Directions: rows of any length that float holds, as unit vectors.

``torch.nn.functional.normalize`` squares before it adds. In float32 a row of values near 1e20
becomes a row of zeros, one shorter than 1e-12 keeps only a part of its length, and a row of zeros
gets a gradient of 1e12 times what arrives. Here a row is divided by its largest value first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from contrastive_tutorial.losses.checks import at_least_float32

_SMALL = 2.0**-20  # squares of such values are still far from the smallest float32
_SHORTEST = 1e-12  # no gradient is larger than that of a row of this length


def unit_rows(x: Tensor, large: float = 2.0**40) -> Tensor:
    """Unit vectors along the last axis; a row of zeros stays zero and gets a zero gradient.

    Returns float32 (float64 for float64 input). Differentiable twice, also under ``torch.func``.

    The result does not depend on the length of a row, the gradient is as 1 / length. Rows whose
    length is below 1e-12 (float16: 6e-5) get the gradient of a row of that length: it stays finite.

    Args:
        x: ``(..., D)``, floating point.
        large: rows with a value beyond this are divided by their largest value; so are rows that
            hold nothing above 1e-6. Between the two, values are those of ``F.normalize`` bit by
            bit.

    >>> unit_rows(torch.tensor([[3e30, 4e30], [3e-30, 4e-30], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    shortest = max(_SHORTEST, torch.finfo(x.dtype).tiny)
    x = at_least_float32(x)
    with torch.no_grad():
        # no_grad does not stop forward-mode derivatives; detach stops both kinds.
        largest = x.detach().abs().amax(-1, keepdim=True)
        nothing = largest == 0
        scale = torch.where((largest < _SMALL) | (largest > large), largest, 1.0)
        scale = scale.masked_fill(nothing, math.inf)
    # With a gradient, the first term holds the value and the second, which is zero, the gradient.
    scaled = x / scale
    if x.requires_grad:
        scaled = scaled.detach() + (x - x.detach()) / scale.clamp_min(shortest)
    # The length of a row of zeros has no second derivative: that of ones stands in for it.
    length = torch.linalg.vector_norm(torch.where(nothing, 1.0, scaled), dim=-1, keepdim=True)
    return scaled / length.expand_as(scaled)
