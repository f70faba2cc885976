import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records.intervals import (
    BCA_FROM,
    holm,
    mean,
    mean_interval,
    seeds_needed,
    sign_flip_p,
)

# Integers in units of 1e-3: as in results, ties between sign patterns are real ties then.
deltas = st.lists(st.integers(-200, 200), min_size=2, max_size=9).map(
    lambda values: [value / 1000 for value in values]
)


def enumerated_p(values):
    """Share of all 2^n sign patterns at least as extreme, in exact integer arithmetic."""
    whole = [round(value * 1000) for value in values]
    observed = abs(sum(whole))
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, whole, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(whole))
    ]
    return sum(total >= observed for total in sums) / len(sums)


@given(deltas)
@settings(max_examples=60, deadline=None)
def test_sign_flip_p_equals_enumeration_of_all_sign_patterns(values):
    assert sign_flip_p(values) == pytest.approx(enumerated_p(values), abs=1e-12)


@pytest.mark.parametrize(("n", "smallest"), [(5, 0.0625), (6, 0.03125), (8, 2**-7), (10, 2**-9)])
def test_the_smallest_p_of_n_seeds_is_known(n, smallest):
    values = [0.01 * (i + 1) for i in range(n)]
    assert sign_flip_p(values) == pytest.approx(smallest)
    assert sign_flip_p([-value for value in values]) == pytest.approx(smallest)


def test_six_seeds_suffice_for_one_test_and_eight_for_a_holm_family_of_four():
    assert seeds_needed() == 6
    assert seeds_needed(comparisons=4) == 8
    for n, reachable in ((7, False), (8, True)):
        best = dict.fromkeys("abcd", sign_flip_p([1.0] * n))
        assert (min(holm(best).values()) < 0.05) is reachable


@pytest.mark.parametrize("comparisons", [0, -1])
def test_a_family_without_comparisons_needs_no_seeds_and_says_so(comparisons):
    with pytest.raises(InputError, match="at least 1 comparison"):
        seeds_needed(comparisons)


def test_no_difference_at_all_is_no_evidence():
    assert sign_flip_p([0.0] * 8) == 1.0
    assert sign_flip_p([0.7]) == 1.0


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e300])
def test_a_mean_that_is_zero_but_for_rounding_is_no_evidence(scale):
    values = [0.01, 0.07, 0.01, -0.01, -0.07, -0.01]
    assert math.fsum(values) == 0 != sum(values)
    assert sign_flip_p([value * scale for value in values]) == 1.0
    rng = np.random.default_rng(0)
    for _ in range(3):
        half = [round(value, 3) for value in rng.normal(0, 0.05, 5)]
        zero = rng.permutation([*half, *(-value for value in half)])
        assert sign_flip_p(list(zero * scale)) == 1.0


def test_t_interval_matches_hand_computation():
    # mean 2, sd 1, n 3: half width t(0.975, 2) / sqrt(3) = 4.302653 / 1.732051
    interval = mean_interval([1.0, 2.0, 3.0])
    assert (interval.low, interval.high) == pytest.approx((2 - 2.4841377, 2 + 2.4841377))
    assert interval.method == "t"


@given(deltas, st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_t_interval_matches_statsmodels(values, confidence):
    interval = mean_interval(values, confidence)
    if min(values) == max(values):
        assert interval.low == interval.high == pytest.approx(values[0])
    else:
        expected = DescrStatsW(np.array(values)).tconfint_mean(1 - confidence)
        assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)


def test_bca_takes_over_from_twenty_seeds_and_follows_the_skew():
    rng = np.random.default_rng(0)
    skewed = list(rng.exponential(size=BCA_FROM))
    assert mean_interval(skewed[:-1]).method == "t"
    interval = mean_interval(skewed)
    assert interval.method == "BCa"
    center = mean(skewed)
    assert interval.high - center > center - interval.low > 0
    assert mean_interval(skewed) == interval


def test_a_spread_of_rounding_alone_is_no_spread():
    values = [0.5] * (BCA_FROM + 4) + [0.5 + 2**-53 * 2]
    assert values[-1] > 0.5
    interval = mean_interval(values)
    assert (interval.low, interval.high) == pytest.approx((0.5, 0.5), abs=1e-15)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=25), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_seeds_never_matters(values, random):
    shuffled = random.sample(values, len(values))
    assert mean(shuffled) == mean(values)
    assert mean_interval(shuffled) == mean_interval(values)


def test_holm_by_hand():
    # sorted .01 .02 .03 .04, times 4 3 2 1: .04 .06 .06 .04, then a running maximum
    adjusted = holm({"d": 0.04, "a": 0.01, "c": 0.03, "b": 0.02})
    assert adjusted == pytest.approx({"d": 0.06, "a": 0.04, "c": 0.06, "b": 0.06})


@pytest.mark.parametrize("count", [1, 4, 9])
def test_holm_is_that_of_statsmodels_to_the_bit(count):
    values = [0.0, 0.02, 0.02, 1.0, *np.random.default_rng(0).random(5)][-count:]
    adjusted = holm({str(place): p for place, p in enumerate(values)})
    assert list(adjusted.values()) == multipletests(values, method="holm")[1].tolist()


def test_bad_input_is_refused_with_what_was_got():
    with pytest.raises(InputError, match=r"at least 2.*got 1"):
        mean_interval([0.1])
    with pytest.raises(InputError, match="finite numbers, got nan"):
        sign_flip_p([0.1, math.nan])
    with pytest.raises(InputError, match=r"at least 1.*got 0"):
        sign_flip_p([])
    with pytest.raises(InputError, match="confidence"):
        mean_interval([0.1, 0.2], confidence=95)
    with pytest.raises(InputError, match="p of a: expected 0 to 1"):
        holm({"a": 1.5})
    with pytest.raises(InputError, match="at least one p-value"):
        holm({})
