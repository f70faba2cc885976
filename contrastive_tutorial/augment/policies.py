"""Augmentation recipes: what may be drawn for a view, and the ten recipes of the experiments.

Sources: Chen et al. 2020 (SimCLR, arXiv 2002.05709, appendix A) for crop, flip, jitter and
grayscale, with the strengths customary on CIFAR-10; Grill et al. 2020 (BYOL, arXiv 2006.07733) for
solarisation; DeVries & Taylor 2017 (arXiv 1708.04552) for cutout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

from contrastive_tutorial.errors import InputError, unknown

Range = tuple[float, float]


@dataclass(frozen=True)
class Policy:
    """An augmentation recipe: ranges to draw from uniformly, and probabilities.

    Args:
        name: short name.
        scale: area of the crop as a fraction of the image.
        ratio: width / height of the crop, drawn log-uniformly.
        flip: probability of a horizontal flip.
        jitter: probability of the colour jitter (its four operations together).
        brightness, contrast, saturation: factors of the jitter; (1, 1) leaves the image alone.
        hue: shift of the jitter, in turns of the colour circle, within [-0.5, 0.5].
        grayscale: probability of losing the colour.
        shift: added to every value (of [0, 1]), then clamped.
        rotation: largest angle in degrees; drawn from [-rotation, rotation].
        blur: probability of a Gaussian blur (7 x 7 taps, reflected borders).
        sigma: standard deviation of the blur, in pixels.
        solarize: probability of inverting the values at or above `threshold`.
        noise: standard deviation of Gaussian noise, then clamped.
        cutout: side of a square set to zero, in pixels; it lies inside the image.

    Raises:
        InputError: a probability outside [0, 1], or a range that is reversed or impossible.
    """

    name: str
    scale: Range = (0.2, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.0
    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    saturation: Range = (1.0, 1.0)
    hue: Range = (0.0, 0.0)
    grayscale: float = 0.0
    shift: float = 0.0
    rotation: float = 0.0
    blur: float = 0.0
    sigma: Range = (1.0, 1.0)
    solarize: float = 0.0
    threshold: float = 0.5
    noise: float = 0.0
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in (entry.name for entry in fields(self) if entry.name != "name"):
            given = getattr(self, name)
            parts = given if isinstance(given, tuple) else (given,)
            numbers = all(isinstance(x, Real) and not isinstance(x, bool) for x in parts)
            _expect(self, name, "numbers", numbers)
        for field in ("flip", "jitter", "grayscale", "blur", "solarize"):
            _expect(self, field, "a probability in [0, 1]", 0 <= getattr(self, field) <= 1)
        limits = {"scale": (1e-6, 1.0), "ratio": (1e-3, 1e3), "hue": (-0.5, 0.5)}
        limits |= dict.fromkeys(("brightness", "contrast", "saturation"), (0.0, 1e3))
        limits |= {"sigma": (1e-2, 1e3)}
        for field, (least, most) in limits.items():
            ends = getattr(self, field)
            good = isinstance(ends, tuple) and len(ends) == 2
            good = good and least <= ends[0] <= ends[1] <= most
            _expect(self, field, f"a pair (low, high) within [{least:g}, {most:g}]", good)
        _expect(self, "shift", "a number in [-1, 1]", -1 <= self.shift <= 1)
        _expect(self, "rotation", "degrees in [0, 180]", 0 <= self.rotation <= 180)
        _expect(self, "threshold", "a value in [0, 1]", 0 <= self.threshold <= 1)
        _expect(self, "noise", "a standard deviation >= 0", 0 <= self.noise < math.inf)
        whole = isinstance(self.cutout, int) and self.cutout >= 0
        _expect(self, "cutout", "a whole number of pixels >= 0", whole)


def _expect(policy: Policy, field: str, expected: str, good: bool) -> None:
    if not good:
        got = getattr(policy, field)
        raise InputError(f"policy {policy.name!r}: {field} must be {expected}, got {got}")


_SIMCLR_JITTER: dict[str, Any] = {
    "brightness": (0.6, 1.4), "contrast": (0.6, 1.4), "saturation": (0.6, 1.4), "hue": (-0.1, 0.1),
}  # fmt: skip

POLICIES: tuple[Policy, ...] = (
    Policy("weak"),
    Policy("jitter-gray", jitter=0.8, grayscale=0.2, **_SIMCLR_JITTER),
    Policy("grayscale", grayscale=1.0),
    Policy("dark", shift=-0.3),
    Policy("contrast", jitter=1.0, contrast=(1.8, 1.8)),
    Policy("noise", noise=0.1),
    Policy("blur", blur=1.0),
    Policy("solarize", solarize=1.0),
    Policy("cutout", cutout=16),
    Policy("rotation", rotation=30.0),
)
"""The ten policies of the split experiments, one per subset; all crop and flip."""

DEFAULT_POLICY = POLICIES[1]
"""SimCLR's recipe as it is used on CIFAR-10 (no blur)."""

SHIFTED_POLICIES: tuple[Policy, ...] = tuple(
    replace(DEFAULT_POLICY, name=f"shift{shift:+.2f}", shift=shift)
    for shift in (round(0.06 * (k - 4.5), 2) for k in range(10))
)
"""Ten policies of equal strength: SimCLR's recipe, and a brightness of each policy's own."""

JITTERED_POLICIES: tuple[Policy, ...] = tuple(
    replace(
        policy,
        name=f"{policy.name}+jitter",
        jitter=DEFAULT_POLICY.jitter,
        grayscale=max(policy.grayscale, DEFAULT_POLICY.grayscale),
        **_SIMCLR_JITTER | ({"contrast": policy.contrast} if policy.jitter == 1.0 else {}),
    )
    for policy in POLICIES
)
"""`POLICIES`, all of them with the colour jitter and the grayscale of SimCLR's recipe as well.

The one recipe that has a jitter of its own (contrast 1.8) keeps that contrast.
"""


def policy_by_name(name: str) -> Policy:
    """The policy of `POLICIES` with this name. Raises `InputError` listing the names."""
    for policy in POLICIES:
        if policy.name == name:
            return policy
    raise unknown("policy", name, [policy.name for policy in POLICIES])
