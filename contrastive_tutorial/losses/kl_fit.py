"""Fitting one normal distribution to a target with several bumps, by gradient on the divergence.

*Forward* ``KL(p || q)`` punishes q for missing mass of p: the fit covers all bumps (its optimum has
the mean and the standard deviation of p). *Reverse* ``KL(q || p)`` punishes q for putting mass
where p has none: the fit settles on one bump, and the start decides on which.

Both divergences are integrals of a function under a normal density, so each is computed on a grid
that moves and scales with that density: nothing is ever cut off or sampled too coarsely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from contrastive_tutorial.errors import InputError

Direction = Literal["forward", "reverse"]

_REACH = 8.0  # grid in standard deviations; what lies beyond has probability 1e-15
_POINTS = 641


class KLFit(NamedTuple):
    """The path of a fit: entry 0 is the start, entry ``steps`` the end; on the target's device.

    Attributes:
        mean: ``(steps + 1, *starts)`` means of q.
        std: ``(steps + 1, *starts)`` standard deviations of q.
        kl: ``(steps + 1, *starts)`` the divergence being minimised, in nats.
    """

    mean: Tensor
    std: Tensor
    kl: Tensor


def gaussian_mixture(
    means: Sequence[float],
    stds: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> MixtureSameFamily:
    """A one-dimensional mixture of normals: the two-bump target, or any number of bumps.

    Args:
        means: of the bumps.
        stds: their standard deviations, positive, as many.
        weights: their masses, positive, as many; divided by their sum. ``None``: equal.
        device, dtype: of the parameters.

    Raises:
        InputError: for lists of different lengths, deviations or weights that are not positive, or
            values that are not finite.

    >>> target = gaussian_mixture(means=[-2, 2], stds=[0.5, 0.5])
    >>> float(target.mean), round(float(target.stddev), 3)
    (0.0, 2.062)
    """
    weights = [1.0] * len(means) if weights is None else weights
    for name, values in (("means", means), ("stds", stds), ("weights", weights)):
        if len(values) != len(means) or len(values) == 0:
            raise InputError(
                f"{name}: expected {max(1, len(means))} numbers, one for each bump, "
                f"got {len(values)}"
            )
        for value in values:
            if not math.isfinite(value) or (name != "means" and value <= 0):
                kind = "finite numbers" if name == "means" else "positive numbers"
                raise InputError(f"{name}: expected {kind}, got {value}")
    total = math.fsum(weights)

    def tensor(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=device, dtype=dtype)

    # torch would check again on the device, at the price of a synchronisation in each log_prob.
    return MixtureSameFamily(
        Categorical(tensor([w / total for w in weights]), validate_args=False),
        Normal(tensor(means), tensor(stds), validate_args=False),
        validate_args=False,
    )


def _divergence(
    target: MixtureSameFamily, mean: Tensor, std: Tensor, direction: Direction
) -> Tensor:
    """Divergence in nats between a mixture p and q = N(mean, std^2), integrated numerically.

    Of tensors whose shapes broadcast, and differentiable. Nobody looks at the values: in a fit, one
    start may overflow alone.
    """
    if direction not in ("forward", "reverse"):
        raise InputError(f"direction: expected 'forward' or 'reverse', got {direction!r}")
    bumps, masses = _bumps(target), target.mixture_distribution.probs
    unit = torch.linspace(-_REACH, _REACH, _POINTS, device=mean.device, dtype=mean.dtype)
    # The trapezoidal rule; its end points carry no mass here, so equal spacing is all it needs.
    weight = torch.softmax(-unit.square() / 2, 0)
    q = Normal(mean.unsqueeze(-1), std.unsqueeze(-1), validate_args=False)
    if direction == "reverse":
        x = q.loc + q.scale * unit
        return ((q.log_prob(x) - target.log_prob(x)) * weight).sum(-1)
    # E_p is the average over bumps of the expectation under each.
    x = (bumps.loc.unsqueeze(-1) + bumps.scale.unsqueeze(-1) * unit).flatten()
    weight = (masses.unsqueeze(-1) * weight).flatten()
    return ((target.log_prob(x) - q.log_prob(x)) * weight).sum(-1)


def fit_kl(
    target: MixtureSameFamily,
    direction: Direction,
    *,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    steps: int = 300,
    lr: float = 0.1,
) -> KLFit:
    """Fit q = N(mean, std^2) to ``target`` by gradient descent (Adam) on one of the divergences.

    Runs on the target's device and reads nothing back before the end. Several starts are fitted
    side by side, each on its own. The learning rate falls to zero along a cosine, so that the end
    is a minimum and not a walk around one.

    Args:
        target: p, from :func:`gaussian_mixture`.
        direction: ``"forward"`` for ``KL(p || q)``, ``"reverse"`` for ``KL(q || p)``.
        mean, std: where q starts: numbers, or lists of one length for several starts.
        steps: gradient steps.
        lr: the first learning rate, for ``mean`` and ``log std``.

    Returns:
        The path, with ``steps + 1`` entries; NaN from where a start overflows.

    Raises:
        InputError: for an unknown direction, starts of different lengths, a deviation or learning
            rate that is not positive, or a negative number of steps.
    """
    if steps < 0:
        raise InputError(f"steps: expected 0 or more, got {steps}")
    if not 0 < lr < math.inf:
        raise InputError(f"lr: expected a positive number, got {lr}")
    like = _bumps(target).loc
    start_mean, start_std = like.new_tensor(mean), like.new_tensor(std)
    try:
        start_mean, start_std = torch.broadcast_tensors(start_mean, start_std)
    except RuntimeError as error:
        raise InputError(
            f"std: expected one number or as many as mean has ({tuple(start_mean.shape)}), "
            f"got {tuple(start_std.shape)}"
        ) from error
    if not bool((start_std > 0).all()) or not bool(torch.isfinite(start_mean + start_std).all()):
        raise InputError(
            f"mean, std: expected finite starts with std > 0, got mean {mean}, std {std}"
        )
    location = start_mean.clone().requires_grad_()
    log_scale = start_std.log().requires_grad_()
    optimizer = torch.optim.Adam([location, log_scale], lr=lr, betas=(0.8, 0.95))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps))
    path: list[tuple[Tensor, Tensor, Tensor]] = []
    for step in range(steps + 1):
        kl = _divergence(target, location, log_scale.exp(), direction)
        path.append((location.detach().clone(), log_scale.detach().exp(), kl.detach()))
        if step < steps:
            optimizer.zero_grad()
            kl.sum().backward()
            optimizer.step()
            schedule.step()
    return KLFit(*(torch.stack(values) for values in zip(*path, strict=True)))


def _bumps(target: MixtureSameFamily) -> Normal:
    bumps = getattr(target, "component_distribution", None)
    if not isinstance(bumps, Normal) or bumps.loc.ndim != 1:
        raise InputError(
            "target: expected a one-dimensional mixture of normals; make it with gaussian_mixture"
        )
    return bumps
