"""Fits on the divergence: integrals, moment matching, mode seeking, the path."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses.kl import kl_normal
from contrastive_tutorial.losses.kl_fit import _divergence, fit_kl, gaussian_mixture

F64 = {"dtype": torch.float64}


def two_bumps(**kwargs):
    return gaussian_mixture([-2, 3], [0.5, 0.8], [0.3, 0.7], **(F64 | kwargs))


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_the_target_is_the_mixture():
    x = torch.linspace(-5, 6, 100, dtype=torch.float64)
    density = 0.3 * stats.norm(-2, 0.5).pdf(x) + 0.7 * stats.norm(3, 0.8).pdf(x)
    np.testing.assert_allclose(two_bumps().log_prob(x).exp().numpy(), density, rtol=1e-10)
    doubled = gaussian_mixture([-2, 3], [0.5, 0.8], [3, 7], **F64)
    torch.testing.assert_close(doubled.log_prob(x), two_bumps().log_prob(x))
    equal = gaussian_mixture([-1, 0, 1], [1, 1, 1])
    torch.testing.assert_close(equal.mixture_distribution.probs, torch.full((3,), 1 / 3))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (3.0, 0.8), (-6.0, 0.3), (1.0, 6.0)])
def test_the_divergence_is_the_integral(direction, mean, std):
    def log_p(x):
        return np.logaddexp(
            math.log(0.3) + stats.norm.logpdf(x, -2, 0.5),
            math.log(0.7) + stats.norm.logpdf(x, 3, 0.8),
        )

    def log_q(x):
        return stats.norm.logpdf(x, mean, std)

    first, second = (log_p, log_q) if direction == "forward" else (log_q, log_p)
    expected, _ = integrate.quad(
        lambda x: math.exp(first(x)) * (first(x) - second(x)), -70, 70,
        points=[-6, -2, 0, 1, 3, mean], limit=500,
    )  # fmt: skip
    found = float(_divergence(two_bumps(), f64(mean)[0], f64(std)[0], direction))
    assert found == pytest.approx(expected, rel=1e-5)


def test_with_one_bump_both_directions_are_the_closed_form():
    target = gaussian_mixture([1.0], [0.5], **F64)
    mean, std = f64(0.0, 1.0, 2.0), f64(0.5, 1.0, 4.0)
    forward = _divergence(target, mean, std, "forward")
    torch.testing.assert_close(forward, kl_normal(1.0, 0.5, mean, std), rtol=1e-9, atol=1e-12)
    reverse = _divergence(target, mean, std, "reverse")
    torch.testing.assert_close(reverse, kl_normal(mean, std, 1.0, 0.5), rtol=1e-9, atol=1e-12)


def test_a_surface_in_one_call():
    mean, std = torch.linspace(-4, 4, 5), torch.linspace(0.5, 3, 4)
    surface = _divergence(two_bumps(dtype=torch.float32), mean[:, None], std, "reverse")
    assert surface.shape == (5, 4)
    one = _divergence(two_bumps(dtype=torch.float32), mean[2], std[1], "reverse")
    torch.testing.assert_close(surface[2, 1], one)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_gradient_of_the_divergence(direction):
    mean, std = f64(0.3, -1.0).requires_grad_(), f64(0.7, 2.0).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m, s: _divergence(two_bumps(), m, s, direction), (mean, std)
    )


def test_forward_fit_matches_the_moments_from_every_start():
    target = two_bumps()
    fit = fit_kl(target, "forward", mean=[-4.0, 0.0, 5.0], std=[0.5, 1.0, 2.0])
    np.testing.assert_allclose(fit.mean[-1], float(target.mean), atol=1e-2)
    np.testing.assert_allclose(fit.std[-1], float(target.stddev), atol=1e-2)


def test_reverse_fit_settles_on_the_bump_it_starts_beside():
    target = gaussian_mixture([-2, 2], [0.5, 0.5], **F64)
    fit = fit_kl(target, "reverse", mean=[-1.0, 3.0])
    np.testing.assert_allclose(fit.mean[-1], [-2, 2], atol=1e-2)
    np.testing.assert_allclose(fit.std[-1], 0.5, atol=1e-2)
    np.testing.assert_allclose(fit.kl[-1], math.log(2), atol=1e-3)  # the bump it ignores


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_start_that_overflows_leaves_the_others_alone(direction):
    fit = fit_kl(two_bumps(), direction, mean=[0.0, 1e200], steps=5)
    assert torch.isnan(fit.kl[-1, 1])
    assert torch.equal(fit.kl[:, 0], fit_kl(two_bumps(), direction, mean=[0.0], steps=5).kl[:, 0])


def test_the_path():
    fit = fit_kl(two_bumps(), "reverse", mean=[0.0, 1.0, 2.0], std=0.9, steps=40)
    assert fit.mean.shape == fit.std.shape == fit.kl.shape == (41, 3)
    np.testing.assert_allclose(fit.mean[0], [0, 1, 2])
    np.testing.assert_allclose(fit.std[0], 0.9)
    assert (fit.kl[-1] < fit.kl[0]).all()
    for step in (0, 17, 40):
        again = _divergence(two_bumps(), fit.mean[step], fit.std[step], "reverse")
        torch.testing.assert_close(fit.kl[step], again)
    assert not fit.kl.requires_grad
    number = fit_kl(two_bumps(), "reverse", mean=1.0, std=0.9, steps=40)
    assert number.mean.shape == (41,)
    torch.testing.assert_close(number.mean, fit.mean[:, 1])  # starts do not touch each other
    assert fit_kl(two_bumps(), "forward", steps=0).kl.shape == (1,)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: gaussian_mixture([], []), "means"),
        (lambda: gaussian_mixture([0, 1], [1]), "stds"),
        (lambda: gaussian_mixture([0, 1], [1, 1], [1]), "weights"),
        (lambda: gaussian_mixture([0, math.nan], [1, 1]), "means"),
        (lambda: gaussian_mixture([0, 1], [1, 0]), "stds"),
        (lambda: gaussian_mixture([0, 1], [1, 1], [1, -1]), "weights"),
        (lambda: fit_kl(two_bumps(), "sideways"), "direction"),
        (lambda: fit_kl(stats.norm(), "forward"), "target"),
        (lambda: fit_kl(two_bumps(), "forward", steps=-1), "steps"),
        (lambda: fit_kl(two_bumps(), "forward", lr=0), "lr"),
        (lambda: fit_kl(two_bumps(), "forward", std=0.0), "mean, std"),
        (lambda: fit_kl(two_bumps(), "forward", mean=math.inf), "mean, std"),
        (lambda: fit_kl(two_bumps(), "forward", mean=[0, 1], std=[1, 1, 1]), "std"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(InputError, match=rf"^{named}: expected") as caught:
        call()
    assert "\n" not in str(caught.value)
