"""The softmax family: (N+1)-tuplet loss, InfoNCE, and SimCLR's NT-Xent.

One sentence covers all of them: *classify the positive among the candidates*. The loss of an
anchor is the cross-entropy of ``softmax(similarity / temperature)`` with the positive as the right
answer; they differ in which candidates are offered and how similarity is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses.checks import (
    at_least_float32,
    in_plain_operations,
    looks_at_values,
    require_finite,
    require_floating,
    require_same_shape,
)
from contrastive_tutorial.losses.directions import unit_rows

# Rows with a value above this were divided by it before they were normalised, from the first
# record on. Another number here would move the last digit of every loss.
_LARGE = 1.0


def nt_xent(
    z0: Tensor, z1: Tensor, temperature: float | Tensor = 0.5, *, normalize: bool = True
) -> Tensor:
    """NT-Xent, the loss of SimCLR: mean over the 2N anchors of a batch.

    The positive of an anchor is the other view of its image; its negatives are the other 2N - 2
    views. Chen et al. 2020 (arXiv 2002.05709), equation 1 and Algorithm 1. Computed in float32
    (float64 for float64 input) even inside autocast, because bfloat16 resolves a similarity near 1
    to 0.004 only.

    Args:
        z0: projections ``(N, D)`` of the first views; or ``(G, N, D)``, G independent groups: the
            negatives then come from the own group only, and the mean runs over all ``2 N G``
            anchors.
        z1: projections of the second views, same shape, dtype and device.
        temperature: positive; a tensor of one value if it is learned. A step of the optimiser can
            take a temperature below zero, but not its exponential: learn the logarithm of
            1 / temperature, as CLIP does (Radford et al. 2021, arXiv 2103.00020): ``log_scale =
            nn.Parameter(torch.tensor(2.66))`` and ``nt_xent(z0, z1, (-log_scale).exp())``. CLIP
            also keeps the scale below 100.
        normalize: l2-normalise the projections, so that similarity is the cosine. The length of a
            row then does not count; a row of zeros has cosine 0 with all others and gets no
            gradient. ``False`` compares raw dot products (SimCLR, Table 5).

    Returns:
        A scalar tensor in nats, float32 (float64 for float64 input); differentiable twice.

    Raises:
        InputError: for shapes, dtypes or devices that differ, fewer than two images, a temperature
            that is not one positive number, and values that are not finite or whose similarities
            overflow.

    >>> z = torch.ones(500, 8)
    >>> round(float(nt_xent(z, z)), 3)  # all alike: log(2 N - 1)
    6.907
    """
    require_floating(z0=z0, z1=z1)
    require_same_shape(z0=z0, z1=z1)
    if z0.ndim not in (2, 3):
        raise InputError(f"z0: expected shape (N, D) or (G, N, D), got {tuple(z0.shape)}")
    if z0.shape[-2] < 2 or z0.numel() == 0:
        raise InputError(
            f"z0: expected at least 2 images in a group, got shape {tuple(z0.shape)}; a single "
            "image has no negatives"
        )
    temperature = _one_temperature(temperature, z0.device)
    with torch.autocast(z0.device.type, enabled=False):
        z = torch.cat([z0, z1], dim=-2)  # (..., 2N, D): first all first views
        z = unit_rows(z, _LARGE) if normalize else at_least_float32(z)
        fused = z.device.type == "cpu" and not in_plain_operations()
        loss = (_PairSoftmax.apply if fused else _pair_softmax)(z, temperature)
    return _finite(loss, temperature, z0=z0, z1=z1)


def _logits(z: Tensor, temperature: float | Tensor) -> Tensor:
    """Similarities ``(..., 2N, 2N)`` of ``z (..., 2N, D)``; no anchor is its own candidate."""
    logits = (z / temperature) @ z.mT
    with torch.no_grad():
        # Softmax gives the masked entries weight zero, so autograd need not know of the mask,
        # which saves a (2N, 2N) buffer.
        logits.diagonal(dim1=-2, dim2=-1).fill_(-math.inf)
    return logits


def _pair_softmax(z: Tensor, temperature: float | Tensor) -> Tensor:
    """NT-Xent of ``z (..., 2N, D)``, first all first views, in operations that autograd knows."""
    logits, n = _logits(z, temperature), z.shape[-2] // 2
    # Row i and row i + N are the views of one image: each is the right answer of the other.
    answer = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(logits.reshape(-1, 2 * n), answer.expand(logits.shape[:-1]).reshape(-1))


class _PairSoftmax(torch.autograd.Function):
    """:func:`_pair_softmax` with its backward pass by hand.

    A step spends its time here on matrices ``(2N, 2N)``, each larger than a core's cache. One is
    written forward and two backward, where autograd needs six; and as the logits are symmetric, the
    gradients of both their factors are one product: with W the gradient of the logits,
    ``dz = (W + W^T) z / temperature``.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, temperature: float | Tensor) -> Tensor:
        logits, n = _logits(z, temperature), z.shape[-2] // 2
        positive = torch.cat([logits.diagonal(n, -2, -1), logits.diagonal(-n, -2, -1)], -1)
        highest = logits.amax(-1, keepdim=True)
        weight = logits.sub_(highest).exp_()
        total = weight.sum(-1, keepdim=True)
        ctx.number = None if isinstance(temperature, Tensor) else temperature
        ctx.save_for_backward(z, None if ctx.number else temperature, weight, total)
        return (total.log() + (highest - positive.unsqueeze(-1))).mean()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        z, temperature, weight, total = ctx.saved_tensors
        temperature = ctx.number or temperature
        if torch.is_grad_enabled():  # create_graph=True: once more, so that autograd sees it
            return _differentiably(ctx.needs_input_grad, z, temperature, grads[0])
        n = z.shape[-2] // 2
        weight = weight / total
        for offset in (n, -n):
            weight.diagonal(offset, -2, -1).sub_(1)
        with torch.autocast(z.device.type, enabled=False):
            dz = ((weight + weight.mT) @ z).mul_(grads[0] / total.numel()).div_(temperature)
        if not ctx.needs_input_grad[1]:
            return dz, None
        # The logits are quadratic in z and inverse in the temperature.
        return dz, ((dz * z).sum() / (-2 * temperature)).to(temperature.dtype)


def _differentiably(
    needed: Sequence[bool], z: Tensor, temperature: Any, dy: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients of :class:`_PairSoftmax` in operations that autograd can differentiate."""
    with torch.enable_grad(), torch.autocast(z.device.type, enabled=False):
        # Aliases: a temperature that depends on z must not pass its gradient on to that here.
        z = z.view_as(z)
        temperature = temperature.view_as(temperature) if needed[1] else temperature
        loss = _pair_softmax(z, temperature)
    wanted = [t for t, need in zip((z, temperature), needed, strict=True) if need]
    found = iter(torch.autograd.grad(loss, wanted, dy, create_graph=True))
    return tuple(next(found) if need else None for need in needed)


def nt_xent_floor(
    num_images: int, num_groups: int = 1, temperature: float = 0.5, between: float = 0.0
) -> float:
    """NT-Xent of an embedding that knows an image's group and nothing else, in nats.

    All views of a group share one unit vector; vectors of different groups have cosine ``between``.
    With one group this is a constant embedding, ``log(2 N - 1)`` at every temperature; with K
    groups and a temperature towards zero it is ``log(2 N / K - 1)``: what a network gains by
    telling subsets apart without looking at content, up to ``log K``.

    Args:
        num_images: N, images a batch (2N views), a multiple of ``num_groups``.
        num_groups: K equal groups; ``num_images`` of them means every image has its own code.
        temperature: zero gives the limit.
        between: cosine between codes: 0 for a one-hot code, ``-1 / (K - 1)`` for the simplex,
            which no K-way code beats.

    Raises:
        InputError: for a batch of fewer than 2 images, a number of groups that does not divide it,
            a negative temperature, or a cosine outside [-1 / (K - 1), 1).

    >>> round(nt_xent_floor(500), 3), round(nt_xent_floor(500, 10), 3)
    (6.907, 5.397)
    """
    if num_images < 2:
        raise InputError(f"num_images: expected at least 2, got {num_images}")
    if not isinstance(num_groups, Integral) or num_groups < 1 or num_images % num_groups:
        raise InputError(
            f"num_groups: expected a divisor of num_images = {num_images}, got {num_groups}"
        )
    if not 0 <= temperature < math.inf:
        raise InputError(f"temperature: expected zero or a positive number, got {temperature}")
    least = -1 / (num_groups - 1) if num_groups > 1 else -1.0
    if not least - 1e-12 <= between < 1:
        raise InputError(
            f"between: expected a cosine from {least:.4g}, that of the simplex, to below 1, "
            f"got {between}"
        )
    own = 2 * num_images // num_groups - 1
    others = 2 * num_images - 1 - own
    # The logits relative to the positive's: zero in the own group, (between - 1) / temperature out.
    weight = math.exp((between - 1) / temperature) if temperature > 0 else 0.0
    return math.log(own + others * weight)


def info_nce(
    anchor: Tensor,
    positive: Tensor,
    negatives: Tensor,
    temperature: float | Tensor = 0.5,
    *,
    normalize: bool = True,
) -> Tensor:
    """InfoNCE: pick the positive among itself and M given negatives; mean over the anchors.

    Van den Oord et al. 2018 (arXiv 1807.03748), equation 4, with similarity ``s = cos / t``:
    ``log(1 + sum_m exp(s_m - s_positive))``. With M = 1 it is a triplet loss whose corner is
    rounded: ``t * info_nce -> max(0, cos_negative - cos_positive)`` as ``t -> 0``. With raw dot
    products and temperature 1 it is the (N+1)-tuplet loss of Sohn 2016, equation 6, and with the
    positives of the other pairs as negatives the N-pair loss of equation 7 (without its penalty).

    Args:
        anchor: ``(N, D)``.
        positive: ``(N, D)``.
        negatives: ``(N, M, D)``, own negatives for each anchor, or ``(M, D)``, shared by all.
        temperature, normalize: as in :func:`nt_xent`.

    Returns:
        A scalar tensor in nats, float32 (float64 for float64 input); differentiable twice.

    Raises:
        InputError: as :func:`nt_xent`; also when there is no anchor or no negative.
    """
    require_floating(anchor=anchor, positive=positive, negatives=negatives)
    require_same_shape(anchor=anchor, positive=positive)
    if anchor.ndim != 2 or anchor.numel() == 0:
        raise InputError(f"anchor: expected shape (N, D), N and D >= 1, got {tuple(anchor.shape)}")
    n, d = anchor.shape
    own = negatives.ndim == 3 and negatives.shape[0] == n
    if not (own or negatives.ndim == 2) or negatives.shape[-1] != d or negatives.shape[-2] == 0:
        raise InputError(
            f"negatives: expected shape (N, M, D) = ({n}, M, {d}) or (M, D) = (M, {d}), M >= 1, "
            f"got {tuple(negatives.shape)}"
        )
    temperature = _one_temperature(temperature, anchor.device)
    with torch.autocast(anchor.device.type, enabled=False):
        a, p, m = (
            unit_rows(tensor, _LARGE) if normalize else at_least_float32(tensor)
            for tensor in (anchor, positive, negatives)
        )
        a = a / temperature
        s_positive = (a * p).sum(-1, keepdim=True)  # (N, 1)
        s_negative = torch.einsum("nd,nmd->nm" if own else "nd,md->nm", a, m)  # (N, M)
        loss = (torch.cat([s_positive, s_negative], 1).logsumexp(1) - s_positive[:, 0]).mean()
    return _finite(loss, temperature, anchor=anchor, positive=positive, negatives=negatives)


def _one_temperature(temperature: float | Tensor, device: torch.device) -> float | Tensor:
    """The temperature, checked; a tensor without axes, so that it lends its dtype to nothing."""
    if not isinstance(temperature, Tensor):
        try:
            number = math.nan if isinstance(temperature, str) else float(temperature)
        except TypeError:
            number = math.nan
        if not 0 < number < math.inf:
            raise InputError(f"temperature: expected a positive number, got {temperature!r}")
        return number
    if temperature.numel() != 1 or temperature.is_complex():
        raise InputError(
            "temperature: expected one positive number, got a tensor of "
            f"{temperature.dtype} and shape {tuple(temperature.shape)}"
        )
    if temperature.device not in (device, torch.device("cpu")):
        raise InputError(f"temperature: expected device {device}, got {temperature.device}")
    if looks_at_values(temperature) and not 0 < float(temperature.detach()) < math.inf:
        raise InputError(
            f"temperature: expected a positive number, got {float(temperature.detach())}; learn "
            "its logarithm and pass the exponential"
        )
    return temperature.reshape(())


def _finite(loss: Tensor, temperature: float | Tensor, **inputs: Tensor) -> Tensor:
    """``loss``, or what is wrong with the inputs if it is not finite and values are looked at."""
    if not looks_at_values(loss) or bool(torch.isfinite(loss)):
        return loss
    require_finite(**inputs)
    name, largest = max(
        ((name, float(tensor.detach().abs().max())) for name, tensor in inputs.items()),
        key=lambda item: item[1],
    )
    raise InputError(
        f"{name}: expected similarities that fit in {loss.dtype} when divided by the temperature, "
        f"got values up to {largest:g} at temperature {float(temperature):g}; normalise the "
        "embeddings, raise the temperature, or lower the learning rate if training diverged"
    )
