"""checks: what is always checked, what only where it is free, and what the messages say."""

import pytest
import torch

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses.checks import (
    at_least_float32,
    looks_at_values,
    require_finite,
    require_floating,
    require_same_shape,
)

REAL = torch.zeros(2, 3)
ELSEWHERE = torch.zeros(2, 3, device="meta")  # a device without values, as far as a check can tell


def test_values_are_looked_at_on_a_cpu_only():
    assert looks_at_values(REAL)
    assert not looks_at_values(ELSEWHERE)
    assert not looks_at_values(REAL, ELSEWHERE)


def test_values_are_not_looked_at_inside_a_compiled_graph():
    def f(x):
        return x + 1 if looks_at_values(x) else x - 1

    compiled = torch.compile(f, backend="eager", fullgraph=True)
    assert f(torch.zeros(1)) == 1
    assert compiled(torch.zeros(1)) == -1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1.0], "b: expected a torch.Tensor, got list"),
        (
            torch.zeros(2, 3, dtype=torch.int64),
            "b: expected floating-point values, got torch.int64",
        ),
        (REAL.double(), "b: expected dtype torch.float32 as a has, got torch.float64"),
        (ELSEWHERE, "b: expected device cpu as a has, got meta"),
    ],
)
def test_require_floating_names_argument_expected_and_got(bad, message):
    require_floating(a=REAL, b=REAL)
    with pytest.raises(InputError) as caught:
        require_floating(a=REAL, b=bad)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_require_same_shape():
    require_same_shape(a=REAL, b=REAL + 1)
    with pytest.raises(InputError, match=r"^b: expected shape \(2, 3\) as a has, got \(3, 2\)$"):
        require_same_shape(a=REAL, b=REAL.T)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_require_finite_says_where(value):
    bad = REAL.clone()
    bad[1, 2] = value
    require_finite(a=REAL)
    with pytest.raises(InputError, match=rf"^b: .* got {value} at index \[1, 2\] \(1 of 6"):
        require_finite(a=REAL, b=bad)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_at_least_float32(dtype, expected):
    assert at_least_float32(torch.ones(1, dtype=dtype)).dtype == expected
