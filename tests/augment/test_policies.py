"""`policies`: the ten recipes, their lookup, and recipes that make no sense."""

from dataclasses import replace

import pytest

from contrastive_tutorial.augment.policies import (
    DEFAULT_POLICY,
    JITTERED_POLICIES,
    POLICIES,
    SHIFTED_POLICIES,
    Policy,
    policy_by_name,
)
from contrastive_tutorial.errors import InputError


def test_the_ten_policies():
    names = "weak jitter-gray grayscale dark contrast noise blur solarize cutout rotation"
    assert [policy.name for policy in POLICIES] == names.split()
    assert POLICIES[1] is DEFAULT_POLICY
    assert all((p.scale, p.flip) == ((0.2, 1.0), 0.5) for p in POLICIES)


def test_shifted_policies_differ_in_brightness_alone():
    shifts = [policy.shift for policy in SHIFTED_POLICIES]
    assert shifts == pytest.approx([-0.27 + 0.06 * k for k in range(10)])
    assert shifts == [-shift for shift in reversed(shifts)]  # no darker than brighter as a whole
    assert len({policy.name for policy in SHIFTED_POLICIES}) == 10
    for policy in SHIFTED_POLICIES:
        assert replace(policy, name=DEFAULT_POLICY.name, shift=0.0) == DEFAULT_POLICY


def test_jittered_policies_are_the_ten_and_the_colours_of_simclr():
    colours = ("brightness", "saturation", "hue", "jitter")
    for plain, policy in zip(POLICIES, JITTERED_POLICIES, strict=True):
        assert policy.name == f"{plain.name}+jitter"
        assert all(getattr(policy, f) == getattr(DEFAULT_POLICY, f) for f in colours)
        assert policy.grayscale == max(plain.grayscale, 0.2)
        own = (1.8, 1.8) if plain.name == "contrast" else DEFAULT_POLICY.contrast
        assert policy.contrast == own
        taken = {f: getattr(policy, f) for f in (*colours, "name", "contrast", "grayscale")}
        assert replace(plain, **taken) == policy  # and everything else is as it was


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flip": 1.5}, r"flip must be a probability in \[0, 1\], got 1.5"),
        ({"grayscale": float("nan")}, "grayscale must be a probability"),
        ({"scale": (0.8, 0.2)}, "scale must be a pair"),
        ({"scale": (0.0, 1.0)}, "scale must be a pair"),
        ({"ratio": (0.0, 1.0)}, "ratio must be a pair"),
        ({"brightness": 0.4}, "brightness must be a pair"),
        ({"contrast": (-1.0, 1.0)}, "contrast must be a pair"),
        ({"hue": (-0.6, 0.0)}, r"hue must be a pair \(low, high\) within \[-0.5, 0.5\]"),
        ({"sigma": (0.0, 1.0)}, "sigma must be a pair"),
        ({"shift": -1.5}, "shift must be a number"),
        ({"rotation": -30}, "rotation must be degrees"),
        ({"threshold": 128}, "threshold must be a value"),
        ({"noise": -0.1}, "noise must be a standard deviation"),
        ({"cutout": 2.5}, "cutout must be a whole number"),
    ],
)
def test_bad_policies(fields, message):
    with pytest.raises(InputError, match=f"policy 'bad': {message}"):
        Policy("bad", **fields)


def test_unknown_policy_lists_the_names():
    with pytest.raises(InputError, match=r"unknown policy 'strong'.*weak, jitter-gray"):
        policy_by_name("strong")


@pytest.mark.parametrize(
    ("field", "value"), [("flip", "a"), ("scale", ("a", "b")), ("cutout", True), ("noise", None)]
)
def test_what_is_no_number_is_named(field, value):
    with pytest.raises(InputError, match=f"policy 'mine': {field} must be numbers"):
        Policy("mine", **{field: value})
