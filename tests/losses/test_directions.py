"""directions: unit vectors by hand, at every length, with gradients of first and second order."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import randn as draw
from torch.func import grad, hessian, jacrev, vmap

from contrastive_tutorial.losses.directions import unit_rows


def by_hand(row):
    """A row divided by its length, in Python's floats, largest value first."""
    largest = max(abs(v) for v in row)
    if largest == 0:
        return list(row)
    scaled = [v / largest for v in row]
    length = math.sqrt(math.fsum(v * v for v in scaled))
    return [v / length for v in scaled]


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 9),
    st.lists(st.integers(-37, 37), min_size=6, max_size=6),
    st.sampled_from([1.0, 2.0**40]),
)  # fmt: skip
def test_rows_of_any_length_are_divided_by_it(seed, n, d, exponents, large):
    lengths = torch.tensor([10.0**e for e in exponents[:n]], dtype=torch.float64)
    rows = (draw(n, d, seed=seed) * lengths[:, None]).float()
    expected = torch.tensor([by_hand(row) for row in rows.tolist()])
    torch.testing.assert_close(unit_rows(rows, large), expected, rtol=1e-6, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(-30, 30), st.sampled_from([torch.float32, torch.float64])
)
def test_the_gradient_is_that_of_the_direction(seed, exponent, dtype):
    """Against the formula (w - (w . u) u) / length; below 1e-12 that of a row of this length."""
    row, w = draw(1, 5, seed=seed) * 10.0**exponent, draw(1, 5, seed=seed + 1)
    given_row = row.to(dtype).requires_grad_()
    (found,) = torch.autograd.grad((unit_rows(given_row) * w.to(dtype)).sum(), given_row)
    row = given_row.detach().double()
    unit = row / row.norm()
    expected = (w - (w * unit).sum() * unit) / row.norm()
    if row.abs().max() < 1e-12:
        expected = expected * row.abs().max() / 1e-12
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4 * expected.norm())


def test_in_the_middle_the_bits_are_those_of_torch():
    for scale in (1e-5, 1.0, 1e5):
        rows = (draw(200, 64) * scale).float()
        assert torch.equal(unit_rows(rows), F.normalize(rows, dim=-1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_row_of_zeros_stays_zero_and_gets_no_gradient(dtype):
    rows = draw(3, 4).to(dtype)
    rows[1] = 0
    rows.requires_grad_()
    unit = unit_rows(rows)
    assert unit.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert unit[1].abs().max() == 0
    w = draw(3, 4, seed=1).to(unit.dtype)
    (first,) = torch.autograd.grad((unit * w).sum(), rows, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), rows)
    assert first[1].abs().max() == second[1].abs().max() == 0
    assert first[0].abs().max() > 0
    assert torch.isfinite(second).all()


def test_gradients_stay_finite_to_the_smallest_number_of_each_dtype():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        rows = torch.full((2, 3), torch.finfo(dtype).smallest_normal, dtype=dtype)
        rows[0, 0] *= 2
        rows.requires_grad_()
        (found,) = torch.autograd.grad(unit_rows(rows)[0, 0], rows)
        assert torch.isfinite(found).all()
        assert found[0].abs().max() > 0


def test_second_order_and_transforms():
    rows = draw(3, 4, seed=2).requires_grad_()
    assert torch.autograd.gradgradcheck(unit_rows, (rows,))
    w = draw(3, 4, seed=3)

    def loss(x):
        return (unit_rows(x) * w).sum()

    many = draw(5, 3, 4, seed=4)
    torch.testing.assert_close(
        vmap(grad(loss))(many), torch.stack([torch.func.grad(loss)(x) for x in many])
    )


def test_what_is_not_finite_does_not_come_out_as_a_number():
    for bad in (math.nan, math.inf):
        rows = torch.ones(2, 3)
        rows[0, 1] = bad
        assert torch.isnan(unit_rows(rows)[0]).any()
        assert torch.isfinite(unit_rows(rows)[1]).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 3.0, 1e20])
def test_second_derivatives_are_the_same_in_every_mode(scale):
    """no_grad stops no forward-mode derivative: the scale of a row kept its own."""
    x = draw(3, 4) * scale
    weight = draw(3, 4, seed=1)

    def objective(rows):
        return (unit_rows(rows, 2.0**40) * weight).square().sum()

    forward_over_reverse = hessian(objective)(x) * scale**2
    reverse_twice = jacrev(jacrev(objective))(x) * scale**2
    naive = hessian(lambda rows: (F.normalize(rows) * weight).square().sum())(x / scale)
    torch.testing.assert_close(forward_over_reverse, reverse_twice)
    torch.testing.assert_close(forward_over_reverse, naive)
