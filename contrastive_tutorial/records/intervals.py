"""Intervals and tests on one number per seed; the statistics themselves are scipy's.

The unit is always the seed: k-means restarts, test images or branches are averaged *inside* a seed
first, because the spread between runs is what a claim about a method has to survive (Bouthillier
et al. 2021, arXiv 2103.03098).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contrastive_tutorial.errors import InputError

#: From this many seeds on intervals are BCa bootstrap intervals. Below it the bootstrap has too few
#: distinct resamples and covers less than it says, so Student's t takes over.
BCA_FROM = 20
_EXACT_FLIPS = 2**20


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval of a mean.

    Attributes:
        low, high: its ends, in the unit of the values.
        confidence: e.g. 0.95.
        method: ``"t"`` or ``"BCa"``.
    """

    low: float
    high: float
    confidence: float
    method: str

    def __str__(self) -> str:
        return f"{self.confidence:.0%} interval {self.low:+.4f} to {self.high:+.4f} ({self.method})"


def mean(values: Sequence[float]) -> float:
    """Mean, summed without rounding so that the order of the values cannot matter.

    Raises:
        InputError: for no values, or values that are not finite numbers.
    """
    _check(values, at_least=1)
    return math.fsum(values) / len(values)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Interval of the mean of independent ``values``: Student's t, or BCa from 20 values on.

    The BCa interval (Efron 1987) is :func:`scipy.stats.bootstrap`'s, with a fixed random state.

    Raises:
        InputError: for fewer than two values, or values that are not finite.

    >>> mean_interval([1.0, 2.0, 3.0]).high
    4.484...
    """
    from scipy import stats

    _check(values, at_least=2)
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected between 0 and 1, got {confidence}")
    # Sorted, because the bootstrap draws positions: seeds in another order are the same sample.
    sample = np.sort(np.asarray(values, dtype=np.float64))
    method = "t" if len(values) < BCA_FROM else "BCa"
    center, error = mean(list(sample)), float(stats.sem(sample))
    if sample[0] == sample[-1] or error == 0:  # no spread, or none that float64 can square
        return Interval(center, center, confidence, method)
    if method == "t":
        low, high = stats.t.interval(confidence, len(sample) - 1, loc=center, scale=error)
    else:
        low, high = stats.bootstrap(
            (sample,), np.mean, confidence_level=confidence, method="BCa", n_resamples=9_999,
            random_state=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        if not math.isfinite(low):  # no spread but that of rounding
            low = high = center
    return Interval(float(low), float(high), confidence, method)


def sign_flip_p(deltas: Sequence[float]) -> float:
    """Two-sided p of the sign-flip permutation test that paired differences centre on zero.

    Exact, over all 2^n sign patterns, up to 20 differences; beyond, over 2^20 random ones. The
    smallest p that n differences can reach is 2^(1-n): see :func:`seeds_needed`.

    Raises:
        InputError: for no differences, or differences that are not finite.
    """
    from scipy import stats

    _check(deltas, at_least=1)
    sample = np.asarray(deltas, dtype=np.float64)
    largest = np.abs(sample).max()
    if len(sample) == 1 or largest == 0:
        return 1.0  # all signs are equally extreme; scipy wants two observations

    def center(values: np.ndarray, axis: int) -> Any:
        # Rounded: sign patterns with the same mean must tie, also where that mean is zero.
        return np.round(np.mean(values, axis), 12)

    # scipy flips the signs of a single sample under permutation_type="samples".
    result = stats.permutation_test(
        (sample / largest,), center, permutation_type="samples", vectorized=True,
        n_resamples=_EXACT_FLIPS, batch=2**14, alternative="two-sided",
        random_state=np.random.default_rng(0),
    )  # fmt: skip
    return float(result.pvalue)


def seeds_needed(comparisons: int = 1) -> int:
    """Fewest seeds with which the exact sign-flip test can reach p < 0.05.

    With ``comparisons`` > 1: so that the smallest p of a Holm family of that size can.

    >>> seeds_needed(), seeds_needed(comparisons=4)
    (6, 8)

    Raises:
        InputError: for fewer than one comparison.
    """
    if comparisons < 1:
        raise InputError(f"seeds_needed: expected at least 1 comparison, got {comparisons}")
    return 1 + math.ceil(math.log2(comparisons / 0.05))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p-values, by name.

    Those of ``statsmodels``, whose function collects the garbage of the whole process at each call.

    Raises:
        InputError: for an empty family or p-values outside [0, 1].
    """
    if not p_values:
        raise InputError("holm: expected at least one p-value, got none")
    for name, p in p_values.items():
        if not 0 <= p <= 1:
            raise InputError(f"holm: p of {name}: expected 0 to 1, got {p}")
    raw = np.array(list(p_values.values()), dtype=np.float64)
    order = raw.argsort()
    adjusted = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)).clip(max=1)
    return dict(zip(p_values, adjusted[order.argsort()].tolist(), strict=True))


def _check(values: Sequence[float], at_least: int) -> None:
    if len(values) < at_least:
        raise InputError(f"values: expected at least {at_least}, one per seed, got {len(values)}")
    for value in values:
        if not math.isfinite(value):
            raise InputError(f"values: expected finite numbers, got {value}")
