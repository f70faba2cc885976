"""Kullback-Leibler divergence: closed forms, term by term, and fitting by gradient.

``KL(p || q) = E_p[log p(x) - log q(x)]``, in nats: the expected extra code length when samples of
p are coded with q. Zero if and only if p = q, never negative, not symmetric, no metric. For normal
distributions in d dimensions (Kullback & Leibler 1951; Cover & Thomas 2006, chapter 8)

    KL = 1/2 [ log(det S_q / det S_p) + tr(S_q^-1 S_p) + (m_q - m_p)^T S_q^-1 (m_q - m_p) - d ].

Every function takes half precision but computes and returns float32 (float64 for float64 input).
"""

from __future__ import annotations

from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses.checks import at_least_float32, looks_at_values, require_floating


class KLTerms(NamedTuple):
    """The four terms of the divergence between two normal distributions, each with its factor 1/2.

    Attributes:
        log_determinant: ``1/2 log(det S_q / det S_p)``; in one dimension ``log(std_q / std_p)``.
        trace: ``1/2 tr(S_q^-1 S_p)``; in one dimension ``std_p^2 / (2 std_q^2)``.
        mahalanobis: ``1/2 (m_q - m_p)^T S_q^-1 (m_q - m_p)``.
        dimension: ``-d / 2``: a constant that makes the whole zero when p = q.
    """

    log_determinant: Tensor
    trace: Tensor
    mahalanobis: Tensor
    dimension: Tensor

    @property
    def total(self) -> Tensor:
        """The divergence: the sum of the four."""
        return self.log_determinant + self.trace + self.mahalanobis + self.dimension


def kl_normal(
    mean_p: Tensor | float, std_p: Tensor | float, mean_q: Tensor | float, std_q: Tensor | float
) -> Tensor:
    """``KL(N(mean_p, std_p^2) || N(mean_q, std_q^2))``, elementwise over broadcast arguments.

    Args:
        mean_p, mean_q: means, numbers or tensors of any shapes that broadcast.
        std_p, std_q: standard deviations, positive.

    Returns:
        Divergences in nats, of the broadcast shape; never below zero, also after rounding.

    Raises:
        InputError: for shapes that do not broadcast, dtypes or devices that differ, a standard
            deviation that is not positive or a value that is not finite (values are looked at on a
            CPU only; so in all losses, see :mod:`contrastive_tutorial.losses.checks`).

    >>> round(float(kl_normal(0, 1, 0, 2)), 4), round(float(kl_normal(0, 2, 0, 1)), 4)
    (0.3181, 0.8069)
    """
    named = {"mean_p": mean_p, "std_p": std_p, "mean_q": mean_q, "std_q": std_q}
    mean_p, std_p, mean_q, std_q = _parameters(named).values()
    # With x = 2 log(std_p / std_q), trace, log-determinant and dimension together are
    # (e^x - 1 - x) / 2. A difference of logarithms does not overflow as their ratio would.
    x = 2 * (std_p.log() - std_q.log())
    # For nearly equal deviations e^x - 1 and x cancel. With u = e^x - 1 and s = u / (2 + u),
    # x = 2 artanh s = 2 (s + s^3 / 3 + s^5 / 5 + ...), and u - 2 s = u s is taken by hand.
    difference = std_p - std_q
    near = difference.abs() < 0.1 * std_q
    step = torch.where(near, difference, 0) / std_q
    u = step * (2 + step)
    s = u / (2 + u)
    series = torch.zeros_like(s)
    for odd in range(19, 1, -2):  # |s| < 0.12: what is left out is below the rounding of float64
        series = series * s.square() + 1 / odd
    spread = torch.where(near, u * s - 2 * s**3 * series, torch.expm1(x) - x)
    return (spread + ((mean_q - mean_p) / std_q).square()) / 2


def kl_normal_terms(
    mean_p: Tensor | float, std_p: Tensor | float, mean_q: Tensor | float, std_q: Tensor | float
) -> KLTerms:
    """The four terms of :func:`kl_normal`, same arguments, each of the broadcast shape.

    >>> [round(float(term), 3) for term in kl_normal_terms(0, 1, 2, 1)]
    [0.0, 0.5, 2.0, -0.5]
    """
    named = {"mean_p": mean_p, "std_p": std_p, "mean_q": mean_q, "std_q": std_q}
    mean_p, std_p, mean_q, std_q = _parameters(named).values()
    trace = (std_p / std_q).square() / 2
    mahalanobis = ((mean_q - mean_p) / std_q).square() / 2
    return KLTerms(
        *torch.broadcast_tensors(
            std_q.log() - std_p.log(), trace, mahalanobis, torch.full_like(trace, -0.5)
        )
    )


def kl_diagonal_normal(mean_p: Tensor, std_p: Tensor, mean_q: Tensor, std_q: Tensor) -> Tensor:
    """KL between normals of independent coordinates: :func:`kl_normal` summed over the last axis.

    Args:
        mean_p, std_p, mean_q, std_q: ``(..., d)`` means and standard deviations (not variances).

    Returns:
        ``(...)`` divergences in nats.

    Raises:
        InputError: as :func:`kl_normal`; also for arguments without a last axis.
    """
    kl = kl_normal(mean_p, std_p, mean_q, std_q)
    if kl.ndim == 0:
        raise InputError("mean_p: expected shape (..., d), got a number; use kl_normal")
    return kl.sum(-1)


def kl_multivariate_normal(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    """``KL(N(mean_p, cov_p) || N(mean_q, cov_q))`` with full covariances.

    Args:
        mean_p, mean_q: ``(..., d)``.
        cov_p, cov_q: ``(..., d, d)``, symmetric and positive definite.

    Returns:
        ``(...)`` divergences in nats, never below zero. The terms are added as they are, so
        between two nearly equal normals a divergence below d times the rounding of the dtype
        (1e-7 in float32) is noise.

    Raises:
        InputError: for shapes that do not fit, dtypes or devices that differ, and a covariance that
            is not symmetric positive definite.

    >>> eye = torch.eye(5)
    >>> float(kl_multivariate_normal(torch.zeros(5), eye, torch.full((5,), 0.5), eye))
    0.625
    """
    return _not_below_zero(kl_multivariate_normal_terms(mean_p, cov_p, mean_q, cov_q).total)


def kl_multivariate_normal_terms(
    mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor
) -> KLTerms:
    """The four terms of :func:`kl_multivariate_normal`, same arguments, each of shape ``(...)``."""
    require_floating(mean_p=mean_p, cov_p=cov_p, mean_q=mean_q, cov_q=cov_q)
    d = mean_p.shape[-1] if mean_p.ndim else 0
    for name, tensor, tail in (
        ("mean_p", mean_p, (d,)),
        ("cov_p", cov_p, (d, d)),
        ("mean_q", mean_q, (d,)),
        ("cov_q", cov_q, (d, d)),
    ):
        if d == 0 or tuple(tensor.shape[-len(tail) :]) != tail:
            shape = "(..., d)" if len(tail) == 1 else f"(..., d, d) with d = {d} as mean_p has"
            raise InputError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")
    # The last axes fit; those before them have to broadcast. A mean is a matrix of one column here.
    _require_broadcast(mean_p=mean_p[..., None], cov_p=cov_p, mean_q=mean_q[..., None], cov_q=cov_q)
    mean_p, cov_p, mean_q, cov_q = map(at_least_float32, (mean_p, cov_p, mean_q, cov_q))
    look = looks_at_values(mean_p)
    if look:
        _require_finite_parameters(mean_p=mean_p, cov_p=cov_p, mean_q=mean_q, cov_q=cov_q)
    chol_p, chol_q = _cholesky("cov_p", cov_p, look), _cholesky("cov_q", cov_q, look)
    log_p, log_q = (c.diagonal(dim1=-2, dim2=-1).log().sum(-1) for c in (chol_p, chol_q))
    # With S = L L^T everything is a triangular solve: |L_q^-1 L_p|_F^2 is the trace and
    # |L_q^-1 (m_q - m_p)|^2 the Mahalanobis term, so neither can come out negative.
    whitened = torch.linalg.solve_triangular(chol_q, chol_p, upper=False)
    shift = (mean_q - mean_p).unsqueeze(-1)
    shift = torch.linalg.solve_triangular(chol_q, shift, upper=False)
    trace = whitened.square().sum((-2, -1)) / 2
    mahalanobis = shift.square().sum((-2, -1)) / 2
    terms = log_q - log_p, trace, mahalanobis, trace.new_full((), -d / 2)
    return KLTerms(*torch.broadcast_tensors(*terms))


def kl_categorical(p: Tensor, q: Tensor) -> Tensor:
    """``KL(p || q) = sum_i p_i log(p_i / q_i)`` between categorical distributions.

    ``0 log 0 = 0``; infinite where q gives probability zero to something that p does not. An
    outcome with ``p_i = 0`` sends no gradient to p.

    Args:
        p, q: ``(..., C)`` probabilities of C outcomes, summing to one; leading axes broadcast.

    Returns:
        ``(...)`` divergences in nats, never below zero, also after rounding. Probabilities of a
        narrow dtype do not sum to one exactly, and what is missing (1e-7 in float32) is an error
        of the divergence.

    Raises:
        InputError: for shapes that do not fit, dtypes or devices that differ, values outside
            [0, 1], and sums other than one (to within the rounding of the dtype).

    >>> round(float(kl_categorical(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))), 4)
    0.1438
    """
    require_floating(p=p, q=q)
    outcomes = p.shape[-1] if p.ndim else 0
    if outcomes == 0:
        raise InputError(f"p: expected shape (..., C) with C >= 1, got {tuple(p.shape)}")
    if q.ndim == 0 or q.shape[-1] != outcomes:
        raise InputError(
            f"q: expected shape (..., {outcomes}), C = {outcomes} outcomes as p has, "
            f"got {tuple(q.shape)}"
        )
    _require_broadcast(p=p, q=q)
    if looks_at_values(p):
        _require_probabilities("p", p.detach())
        _require_probabilities("q", q.detach())
    p, q = torch.broadcast_tensors(at_least_float32(p), at_least_float32(q))
    occurs = p > 0
    # The inner `where` keeps log(0) out of the graph: its infinite slope times zero is NaN.
    log_ratio = torch.where(occurs, p, 1).log() - torch.where(occurs, q, 1).log()
    return _not_below_zero((p * log_ratio).sum(-1))


def _not_below_zero(value: Tensor) -> Tensor:
    """Lift what rounding pushed below zero; the gradient stays as it is."""
    return value - value.detach().clamp_max(0)


def _parameters(named: dict[str, Tensor | float]) -> dict[str, Tensor]:
    """Checked means and deviations (names that begin with ``std``) as tensors that broadcast.

    Numbers take device and dtype of the tensors beside them.
    """
    given = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    if given:
        require_floating(**given)
    like = at_least_float32(next(iter(given.values()), torch.empty(0)))
    tensors = {}
    for name, value in named.items():
        if isinstance(value, Tensor):
            tensors[name] = at_least_float32(value)
        elif isinstance(value, Real):
            tensors[name] = like.new_full((), float(value))  # without a copy from the host
        else:
            raise InputError(f"{name}: expected a number or tensor, got {type(value).__name__}")
    _require_broadcast(**tensors)
    if looks_at_values(like):
        _require_finite_parameters(**tensors)
        for name in (name for name in tensors if name.startswith("std")):
            values = tensors[name].detach()
            if not bool((values > 0).all()):
                raise InputError(
                    f"{name}: expected positive standard deviations, got {float(values.min()):g}"
                )
    return tensors


def _require_broadcast(**tensors: Tensor) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        torch.broadcast_shapes(*shapes.values())
    except RuntimeError as error:
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(
            f"{', '.join(shapes)}: expected shapes that broadcast, got {got}"
        ) from error


def _require_finite_parameters(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        bad = ~torch.isfinite(tensor.detach())
        if bad.any():
            got = float(tensor.detach()[bad][0])
            raise InputError(f"{name}: expected finite values, got {got}")


def _cholesky(name: str, cov: Tensor, look: bool) -> Tensor:
    if look:
        fixed = cov.detach()
        asymmetry = (fixed - fixed.mT).abs().amax((-2, -1))  # (...), one for each matrix
        bent = asymmetry > 1e-4 * fixed.abs().amax((-2, -1))
        if bool(bent.any()):
            raise InputError(
                f"{name}: expected symmetric matrices, got entries that differ from their mirror "
                f"image by up to {float(asymmetry[bent].max()):g}; use (cov + cov.mT) / 2"
            )
    factor, info = torch.linalg.cholesky_ex(cov)
    if look and bool(info.any()):
        smallest = float(torch.linalg.eigvalsh(cov.detach()).min())
        raise InputError(
            f"{name}: expected a positive definite covariance, got a smallest eigenvalue of "
            f"{smallest:g}; add a small multiple of the identity"
        )
    return factor


def _require_probabilities(name: str, values: Tensor) -> None:
    # What rounding to this dtype may do to the sum of a softmax.
    tolerance = max(4 * torch.finfo(values.dtype).eps, 1e-5)
    values = values.double()
    good = (values >= 0) & (values <= 1 + tolerance)  # false for NaN
    if not bool(good.all()):
        raise InputError(f"{name}: expected probabilities in [0, 1], got {float(values[~good][0])}")
    total = values.sum(-1).flatten()
    if total.numel() and float((total - 1).abs().max()) > tolerance:
        worst = float(total[(total - 1).abs().argmax()])
        raise InputError(
            f"{name}: expected probabilities that sum to 1 along the last axis, got a sum of "
            f"{worst:.6g}; divide by the sum or use softmax"
        )
