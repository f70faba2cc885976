"""For tests of layers: numbers from a seed, and two layers that have to be one function."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers that are the same in every type."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def randomize(layer: nn.Module, seed: int = 1) -> nn.Module:
    for i, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(randn(*parameter.shape, seed=seed + i))
    return layer


def agree(
    ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], x: Tensor, **near: float
) -> Tensor:
    """Outputs and gradients by the input have to be equal; the first output comes back."""
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = ours(a), theirs(b)
    torch.testing.assert_close(found, expected, **near)
    upstream = randn(*x.shape, seed=99, dtype=x.dtype)
    found.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(a.grad, b.grad, **near)
    return found


def refused(call: Callable[[], object], *words: str) -> None:
    """Bad input is said in one line that has these words."""
    with pytest.raises(InputError) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def same_state(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(one.state_dict()[name], tensor)


def compiles_in_one_graph(layer: nn.Module) -> None:
    """And two steps on 6 images of 4 channels give what they give uncompiled."""
    twin = copy.deepcopy(layer)
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for step in range(2):
        agree(compiled, twin, randn(6, 4, 3, 3, seed=step, dtype=torch.float32))
    same_state(layer, twin)
