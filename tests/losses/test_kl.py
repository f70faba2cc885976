"""KL divergences: integrals, torch.distributions, scipy, identities, known answers, bad input."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import randn as draw
from scipy import integrate, stats
from torch.distributions import Categorical, MultivariateNormal, Normal, kl_divergence
from watched import Operations

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import kl
from contrastive_tutorial.losses.kl import (
    kl_categorical,
    kl_diagonal_normal,
    kl_multivariate_normal,
    kl_multivariate_normal_terms,
    kl_normal,
    kl_normal_terms,
)

means = st.floats(-5, 5)
stds = st.floats(0.05, 20)


def covariance(d, seed):
    a = draw(d, d, seed=seed)
    return a @ a.T + 0.1 * torch.eye(d, dtype=torch.float64)


def f64(value):
    return torch.tensor(value, dtype=torch.float64)


# Univariate


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((0, 1, 0, 2), 0.3181),
        ((0, 2, 0, 1), 0.8069),
        ((0, 1, 1, 1), 0.5),
        ((0, 1, 2, 1), 2.0),
        ((0, 1, 2, 1.5), 1.017),
        ((0, 1, 2, math.sqrt(5)), 0.8047),
        ((0, 1, 2, 3), 0.876),
        ((0, 1, 2, 5), 1.209),
        ((3, 0.7, 3, 0.7), 0.0),
    ],
)
def test_known_values(arguments, expected):
    assert float(kl_normal(*arguments)) == pytest.approx(expected, abs=6e-4)


@settings(max_examples=15, deadline=None)
@given(means, st.floats(0.2, 5), means, st.floats(0.2, 5))
def test_kl_normal_is_the_integral(mean_p, std_p, mean_q, std_q):
    p, q = stats.norm(mean_p, std_p), stats.norm(mean_q, std_q)
    integral, _ = integrate.quad(
        lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), mean_p - 12 * std_p, mean_p + 12 * std_p
    )
    found = float(kl_normal(f64(mean_p), f64(std_p), f64(mean_q), f64(std_q)))
    assert found == pytest.approx(integral, rel=1e-6, abs=1e-9)


def test_kl_normal_agrees_with_torch_and_broadcasts():
    mean_p, mean_q = draw(4, 1, seed=1), draw(5, seed=2)
    std_p, std_q = draw(4, 1, seed=3).exp(), draw(3, 1, 5, seed=4).exp()
    found = kl_normal(mean_p, std_p, mean_q, std_q)
    assert found.shape == (3, 4, 5)
    torch.testing.assert_close(found, kl_divergence(Normal(mean_p, std_p), Normal(mean_q, std_q)))


@settings(max_examples=50, deadline=None)
@given(means, stds, means, stds, st.floats(0.1, 10), means)
def test_kl_normal_properties(mean_p, std_p, mean_q, std_q, scale, shift):
    numbers = tuple(map(f64, (mean_p, std_p, mean_q, std_q)))
    kl = kl_normal(*numbers)
    assert kl >= 0
    assert kl_normal(*(number.float() for number in numbers)) >= 0
    assert kl_normal(numbers[0], numbers[1], numbers[0], numbers[1]) == 0
    moved = kl_normal(
        scale * numbers[0] + shift, scale * numbers[1], scale * numbers[2] + shift,
        scale * numbers[3],
    )  # fmt: skip
    torch.testing.assert_close(moved, kl, rtol=1e-9, atol=1e-9)
    terms = kl_normal_terms(*numbers)
    torch.testing.assert_close(terms.total, kl, rtol=1e-9, atol=1e-9)


def test_the_four_terms():
    terms = kl_normal_terms(f64(1.0), f64([1.0, 2.0]), f64(3.0), f64(4.0))
    torch.testing.assert_close(terms.log_determinant, f64([math.log(4), math.log(2)]))
    torch.testing.assert_close(terms.trace, f64([1 / 32, 4 / 32]))
    torch.testing.assert_close(terms.mahalanobis, f64([4 / 32, 4 / 32]))
    torch.testing.assert_close(terms.dimension, f64([-0.5, -0.5]))


def exact(std_p, std_q):
    """The divergence of two centred normals, from numbers of 60 digits."""
    getcontext().prec = 60
    p, q = Decimal(float(std_p)), Decimal(float(std_q))
    return float((q / p).ln() + p * p / (2 * q * q) - Decimal("0.5"))


@settings(max_examples=300, deadline=None)
@given(
    st.floats(-0.9, 9), st.integers(-7, 0), st.sampled_from([1e-20, 0.7, 1.0, 123.4, 1e20]),
    st.sampled_from([torch.float32, torch.float64]),
)  # fmt: skip
def test_nearly_equal_deviations_lose_no_digits(offset, exponent, scale, dtype):
    std_q = torch.tensor(scale, dtype=dtype)
    std_p = torch.tensor(scale * (1 + offset * 10.0**exponent), dtype=dtype)
    rounding = torch.finfo(dtype).eps
    # Where the deviations differ by a tenth or more, what is left is the rounding of a logarithm.
    digits = 10 * (1 + abs(math.log(scale))) * rounding
    assert float(kl_normal(0.0, std_p, 0.0, std_q)) == pytest.approx(
        exact(std_p, std_q), rel=digits, abs=1e-40
    )


@pytest.mark.parametrize("ratio", [1.0, 1 + 1e-6, 0.9, 0.95, 1.0999, 1.1, 1.1001, 2.0])
def test_gradients_of_nearly_equal_deviations(ratio):
    leaves = [f64(v).requires_grad_() for v in (0.3, 2.0 * ratio, 0.5, 2.0)]
    assert torch.autograd.gradcheck(kl_normal, leaves, eps=1e-7)
    (slope,) = torch.autograd.grad(kl_normal(*leaves), leaves[1])
    # d/ds [log(q / s) + s^2 / 2 q^2] = s / q^2 - 1 / s
    assert float(slope) == pytest.approx(2 * ratio / 4 - 1 / (2 * ratio), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_deviations_stay_finite(dtype):
    tiny, huge = torch.tensor(1e-30, dtype=dtype), torch.tensor(1e30, dtype=dtype)
    for std_p, std_q in ((tiny, huge), (tiny, tiny), (huge, huge)):
        std_q = std_q.clone().requires_grad_()
        kl = kl_normal(torch.tensor(0, dtype=dtype), std_p, torch.tensor(1e-30, dtype=dtype), std_q)
        kl.backward()
        assert kl.dtype == torch.float32
        assert torch.isfinite(kl)
        assert kl >= 0
    found = float(kl_normal(0.0, tiny, 0.0, huge))
    assert found == pytest.approx(math.log(float(huge) / float(tiny)) - 0.5, rel=1e-5)


def test_gradients_of_kl_normal():
    leaves = [draw(3, seed=5), draw(3, seed=6).exp(), draw(3, seed=7), draw(3, seed=8).exp()]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(kl_normal, leaves)
    assert torch.autograd.gradcheck(lambda *x: kl_normal_terms(*x).total, leaves)


# Multivariate


@pytest.mark.parametrize("d", [1, 2, 5])
def test_multivariate_agrees_with_torch(d):
    arguments = draw(d, seed=9), covariance(d, 10), draw(d, seed=11), covariance(d, 12)
    mean_p, cov_p, mean_q, cov_q = arguments
    peer = kl_divergence(MultivariateNormal(mean_p, cov_p), MultivariateNormal(mean_q, cov_q))
    torch.testing.assert_close(kl_multivariate_normal(*arguments), peer)


def test_multivariate_is_the_textbook_formula_term_by_term():
    mean_p, cov_p, mean_q, cov_q = draw(4, seed=13), covariance(4, 14), draw(4), covariance(4, 15)
    terms = kl_multivariate_normal_terms(mean_p, cov_p, mean_q, cov_q)
    p, q, shift = cov_p.numpy(), cov_q.numpy(), (mean_q - mean_p).numpy()
    precision = np.linalg.inv(q)
    assert float(terms.log_determinant) == pytest.approx(
        0.5 * math.log(np.linalg.det(q) / np.linalg.det(p))
    )
    assert float(terms.trace) == pytest.approx(0.5 * np.trace(precision @ p))
    assert float(terms.mahalanobis) == pytest.approx(0.5 * shift @ precision @ shift)
    assert float(terms.dimension) == -2


def test_diagonal_is_multivariate_with_a_diagonal_covariance_and_one_dimension_is_univariate():
    mean_p, mean_q = draw(6, 3, seed=16), draw(3, seed=17)
    std_p, std_q = draw(3, seed=18).exp(), draw(6, 3, seed=19).exp()
    full = kl_multivariate_normal(mean_p, torch.diag(std_p**2), mean_q, torch.diag_embed(std_q**2))
    diagonal = kl_diagonal_normal(mean_p, std_p, mean_q, std_q)
    assert diagonal.shape == (6,)
    torch.testing.assert_close(diagonal, full)
    one = kl_multivariate_normal(
        mean_p[:, :1], std_p[:1, None] ** 2, mean_q[:1], std_q[:, :1, None] ** 2
    )
    torch.testing.assert_close(one, kl_normal(mean_p[:, 0], std_p[0], mean_q[0], std_q[:, 0]))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10_000))
def test_multivariate_properties(d, seed):
    mean_p, cov_p = draw(d, seed=seed), covariance(d, seed + 1)
    mean_q, cov_q = draw(d, seed=seed + 2), covariance(d, seed + 3)
    kl = kl_multivariate_normal(mean_p, cov_p, mean_q, cov_q)
    assert kl >= 0
    assert float(kl_multivariate_normal(mean_p, cov_p, mean_p, cov_p)) == pytest.approx(0, abs=1e-9)
    change = draw(d, d, seed=seed + 4) + 3 * torch.eye(d, dtype=torch.float64)
    moved = kl_multivariate_normal(
        change @ mean_p, change @ cov_p @ change.T, change @ mean_q, change @ cov_q @ change.T
    )
    torch.testing.assert_close(moved, kl, rtol=1e-5, atol=1e-7)


def test_gradients_of_the_multivariate_divergence():
    def from_factors(mean_p, a, mean_q, b):
        eye = torch.eye(3, dtype=torch.float64)
        return kl_multivariate_normal(mean_p, a @ a.T + eye, mean_q, b @ b.T + eye)

    leaves = [draw(3, seed=20), draw(3, 3, seed=21), draw(3, seed=22), draw(3, 3, seed=23)]
    assert torch.autograd.gradcheck(from_factors, [leaf.requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_extreme_covariances_stay_finite(scale):
    eye = torch.eye(3) * scale
    for cov in (eye, eye.bfloat16()):
        mean = torch.zeros(3, dtype=cov.dtype)
        kl = kl_multivariate_normal(mean, cov, mean, 2 * cov)
        assert float(kl) == pytest.approx(1.5 * (math.log(2) - 0.5), rel=1e-4)


# Categorical


def test_categorical_agrees_with_scipy_and_torch():
    p, q = draw(4, 7, seed=24).softmax(-1), draw(7, seed=25).softmax(-1)
    found = kl_categorical(p, q)
    np.testing.assert_allclose(found.numpy(), stats.entropy(p, q.expand(4, 7), axis=-1), rtol=1e-9)
    torch.testing.assert_close(found, kl_divergence(Categorical(p), Categorical(q.expand(4, 7))))


def test_zeros():
    p, q = f64([0.5, 0.5, 0.0]), f64([0.25, 0.25, 0.5])
    assert float(kl_categorical(p, q)) == pytest.approx(math.log(2))  # 0 log 0 = 0
    assert float(kl_categorical(q, p)) == math.inf  # q rules out what p allows
    assert float(kl_categorical(p, p)) == 0
    certain = f64([1.0, 0.0])
    assert float(kl_categorical(certain, f64([0.5, 0.5]))) == pytest.approx(math.log(2))
    leaf = p.clone().requires_grad_()
    kl_categorical(leaf, q).backward()
    torch.testing.assert_close(leaf.grad, f64([math.log(2) + 1, math.log(2) + 1, 0.0]))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(0, 10_000), st.sampled_from([torch.float32, torch.bfloat16]))
def test_categorical_properties(outcomes, seed, dtype):
    p = (3 * draw(outcomes, seed=seed)).softmax(0)
    q = (3 * draw(outcomes, seed=seed + 1)).softmax(0)
    kl = kl_categorical(p, q)
    assert kl >= 0
    assert kl_categorical(p, p) == 0
    order = torch.randperm(outcomes, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(kl_categorical(p[order], q[order]), kl)
    # Merging outcomes can only lose information (data-processing inequality).
    if outcomes > 1:
        merged_p = torch.cat([p[:1] + p[1:2], p[2:]])
        merged_q = torch.cat([q[:1] + q[1:2], q[2:]])
        assert kl_categorical(merged_p, merged_q) <= kl + 1e-12
    narrow = kl_categorical(p.to(dtype), q.to(dtype))
    assert narrow.dtype == torch.float32
    assert narrow >= 0
    assert torch.isfinite(narrow)


def test_gradients_of_the_categorical_divergence():
    logits = [draw(2, 4, seed=s).requires_grad_() for s in (26, 27)]
    assert torch.autograd.gradcheck(
        lambda a, b: kl_categorical(a.softmax(-1), b.softmax(-1)), logits
    )


# Bad input

ONE, EYE, ZERO = torch.ones(3), torch.eye(3), torch.zeros(3)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["mean_p", "std_p", "mean_q", "std_q"]),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, -1e-30]),
    st.booleans(),
)
def test_univariate_values_are_checked_and_named(which, value, as_tensor):
    arguments = {"mean_p": 0.0, "std_p": 1.0, "mean_q": 0.0, "std_q": 2.0}
    arguments[which] = torch.tensor([1.0, value]) if as_tensor else value
    functions = [kl_normal, kl_normal_terms]
    if math.isfinite(value) and which.startswith("mean"):
        for function in functions:
            function(**arguments)
        return
    for function in functions:
        with pytest.raises(InputError, match=rf"^{which}: expected .* got {value:g}$"):
            function(**arguments)


def test_shapes_that_do_not_broadcast_are_listed():
    with pytest.raises(
        InputError, match=r"got mean_p \(3,\), std_p \(2,\), mean_q \(\), std_q \(\)$"
    ):
        kl_normal(ONE, ONE[:2], 0, 1)


def test_what_is_wrong_with_a_covariance_is_said():
    with pytest.raises(InputError, match=r"^mean_q: expected shape \(\.\.\., d\), got \(2,\)$"):
        kl_multivariate_normal(ZERO, EYE, ZERO[:2], EYE)
    with pytest.raises(
        InputError, match=r"^cov_p: expected shape \(\.\.\., d, d\) with d = 3 as m"
    ):
        kl_multivariate_normal(ZERO, EYE[:2], ZERO, EYE)
    # Symmetric, if only just: all zeros.
    with pytest.raises(InputError, match=r"^cov_q: expected a positive definite"):
        kl_multivariate_normal(ZERO, EYE, ZERO, 0 * EYE)
    # What counts as symmetric is relative to the entries, however small they are.
    bent = torch.tensor([[1.0, 0.0], [0.01, 1.0]]) * 1e-3
    with pytest.raises(InputError, match=r"^cov_p: expected symmetric matrices"):
        kl_multivariate_normal(ZERO[:2], bent, ZERO[:2], EYE[:2, :2])


def test_asymmetry_is_judged_matrix_by_matrix():
    """A large covariance beside it does not make a small bent one straight."""
    bent = torch.tensor([[1.0, 0.0], [0.5, 1.0]])
    both = torch.stack([torch.eye(2) * 1e6, bent])
    for covariances in (both, both.flip(0), bent):
        with pytest.raises(InputError, match=r"^cov_p: .* by up to 0.5;"):
            kl_multivariate_normal(ZERO[:2], covariances, ZERO[:2], EYE[:2, :2])


@pytest.mark.parametrize("lead", [(0,), (2, 0), (0, 3)])
def test_an_empty_batch_has_no_divergence(lead):
    mean, ones = torch.zeros(*lead, 3), torch.ones(*lead, 3)
    eye = torch.diag_embed(ones)
    assert kl_multivariate_normal(mean, eye, mean, eye).shape == lead
    assert kl_multivariate_normal(ZERO, EYE, mean, eye).shape == lead
    assert kl_normal(mean, ones, mean, ones).shape == (*lead, 3)
    assert kl_diagonal_normal(mean, ones, mean, ones).shape == lead
    assert kl_categorical(ones / 3, ones / 3).shape == lead
    for terms in (
        kl_normal_terms(mean, ones, 0.0, 1.0),
        kl_multivariate_normal_terms(mean, eye, ZERO, EYE),
    ):
        assert terms.total.numel() == 0


def test_nothing_travels_between_host_and_device(monkeypatch):
    monkeypatch.setattr(kl, "looks_at_values", lambda *_: False)  # as on a GPU
    with Operations("_local_scalar_dense", "lift_fresh", "_to_copy") as copies:
        kl_normal(ZERO, 1.0, 0.0, 2.0)
        kl_normal_terms(ZERO, 1.0, 0.0, 2.0)
        kl_diagonal_normal(ZERO, ONE, ZERO, ONE)
        kl_multivariate_normal(ZERO, EYE, ZERO, EYE)
        kl_categorical(ONE / 3, ONE / 3)
    assert copies.seen == []


def test_the_transforms_of_torch_func():
    mean, std = draw(4, 3, seed=64), draw(4, 3, seed=65).exp()
    eye = EYE.double()
    for call, arguments in (
        (kl_normal, (mean, std, mean.flip(0), std.flip(0))),
        (kl_diagonal_normal, (mean, std, mean.flip(0), std.flip(0))),
        (lambda m, s: kl_multivariate_normal(m, s.diag() + eye, 0 * m, eye), (mean, std)),
        (lambda a, b: kl_categorical(a.softmax(-1), b.softmax(-1)), (mean, std)),
    ):
        alone = torch.stack([call(*row) for row in zip(*arguments, strict=True)])
        torch.testing.assert_close(torch.func.vmap(call)(*arguments), alone)


@pytest.mark.parametrize("name", ["mean_p", "cov_p", "mean_q", "cov_q"])
def test_multivariate_values_that_are_not_finite_are_named(name):
    arguments = {"mean_p": ZERO, "cov_p": EYE, "mean_q": ZERO, "cov_q": EYE}
    arguments[name] = arguments[name] * math.nan
    with pytest.raises(InputError, match=rf"^{name}: expected finite values, got nan"):
        kl_multivariate_normal(**arguments)


def test_no_value_is_read_on_a_device():
    mean, cov = ZERO.to("meta"), EYE.to("meta")
    assert kl_multivariate_normal(mean, cov, mean, cov).device.type == "meta"
    assert kl_normal(mean, 1.0, 0.0, 1.0).device.type == "meta"
    assert kl_categorical(mean, mean).device.type == "meta"


@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.5, 0.55], "sum to 1 along the last axis, got a sum of 1.05;"),
        ([[0.2, 0.3], [0.5, 0.7]], "got a sum of 0.5;"),  # the worst row, if below one
        ([[0.4, 0.5], [0.7, 0.8]], "got a sum of 1.5;"),  # and if above
        ([1.5, 0.0], r"in \[0, 1\], got 1.5"),
    ],
)
def test_the_worst_sum_is_named(p, message):
    even = f64([0.5, 0.5])
    for which, both in {"p": (f64(p), even), "q": (even.expand_as(f64(p)), f64(p))}.items():
        with pytest.raises(InputError, match=rf"^{which}: expected probabilities .*{message}"):
            kl_categorical(*both)


def test_how_far_rounding_may_move_a_sum():
    # Four units in the last place of bfloat16, 1/32, pass; the next number above does not.
    one = torch.ones(1, dtype=torch.bfloat16)
    assert torch.isfinite(kl_categorical(one + 1 / 32, one))
    for above in ([1 + 5 / 128], [0.515625, 0.51953125]):
        p = torch.tensor(above, dtype=torch.bfloat16)
        with pytest.raises(InputError, match=r"^p: expected probabilities"):
            kl_categorical(p, torch.full_like(p, 1 / len(p)))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.floats(0.01, 5), st.sampled_from(["cov_p", "cov_q"]))
def test_a_covariance_that_is_not_positive_definite_is_named(d, amount, which):
    eye, mean = torch.eye(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
    arguments = {"mean_p": mean, "cov_p": eye, "mean_q": mean, "cov_q": eye}
    rotation = torch.linalg.qr(draw(d, d, seed=28)).Q
    eigenvalues = torch.ones(d, dtype=torch.float64)
    eigenvalues[0] = -amount
    bad = rotation @ torch.diag(eigenvalues) @ rotation.T
    arguments[which] = (bad + bad.T) / 2
    with pytest.raises(InputError, match=rf"^{which}: expected a positive definite .* got .*-"):
        kl_multivariate_normal(**arguments)
    arguments[which] = eye.clone()
    arguments[which][0, 1] = amount
    with pytest.raises(InputError, match=rf"^{which}: expected symmetric matrices"):
        kl_multivariate_normal(**arguments)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: kl_normal("0", 1, 0, 1), "mean_p"),
        (lambda: kl_normal(0, ONE.long(), 0, 1), "std_p"),
        (lambda: kl_normal(ONE, ONE.double(), 0, 1), "std_p"),
        (lambda: kl_diagonal_normal(0, 1, 0, 1), "mean_p"),
        (lambda: kl_diagonal_normal(ZERO, ONE - 1, ZERO, ONE), "std_p"),
        (lambda: kl_multivariate_normal(ZERO, EYE, ZERO, ONE), "cov_q"),
        (lambda: kl_multivariate_normal(ZERO[0], EYE, ZERO, EYE), "mean_p"),
        (lambda: kl_multivariate_normal(ZERO, EYE, ZERO, EYE.double()), "cov_q"),
        (lambda: kl_multivariate_normal(ZERO.tolist(), EYE, ZERO, EYE), "mean_p"),
        (lambda: kl_multivariate_normal(ZERO, EYE.tolist(), ZERO, EYE), "cov_p"),
        (lambda: kl_multivariate_normal(ZERO, EYE, ZERO.tolist(), EYE), "mean_q"),
        (lambda: kl_multivariate_normal(ZERO, EYE, ZERO, EYE.tolist()), "cov_q"),
        (
            lambda: kl_multivariate_normal(ZERO.expand(2, 3), EYE, ZERO.expand(4, 3), EYE),
            "mean_p, cov_p, mean_q, cov_q",
        ),
        (lambda: kl_categorical(ONE / 3, torch.ones(4) / 4), "q"),
        (lambda: kl_categorical(ONE[0], ONE[0]), "p"),
        (lambda: kl_categorical(ONE[:0], ONE[:0]), "p"),
        (lambda: kl_categorical(ONE / 3, ONE.double() / 3), "q"),
        (lambda: kl_categorical(ONE.expand(2, 3) / 3, ONE.expand(4, 3) / 3), "p, q"),
        (lambda: kl_categorical(torch.tensor([1.5, -0.5]), ONE[:2] / 2), "p"),
        (lambda: kl_categorical(ONE[:2] / 2, torch.tensor([math.nan, 1.0])), "q"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(InputError, match=rf"^{named}: expected .*got") as caught:
        call()
    assert "\n" not in str(caught.value)
