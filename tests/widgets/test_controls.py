"""Arguments of ``interact`` as controls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.widgets.controls import read_choices


def read(choice, fn=lambda x: x, **options):
    (control,) = read_choices(fn, {"x": choice}, **options)
    return control


@pytest.mark.parametrize(
    ("choice", "kind", "values", "labels"),
    [
        ([1, 2, 5], "range", (1, 2, 5), ("1", "2", "5")),
        ([5, 2, 1], "range", (5, 2, 1), ("5", "2", "1")),
        ([1, 5, 2], "select", (1, 5, 2), ("1", "5", "2")),
        ([0.1, 0.25], "range", (0.1, 0.25), ("0.1", "0.25")),
        (("bn", "split"), "select", ("bn", "split"), ("bn", "split")),
        ({"one": 1, "two": 2}, "range", (1, 2), ("one", "two")),
        ({"BN": "bn", "none": None}, "select", ("bn", None), ("BN", "none")),
        (range(2, 8, 2), "range", (2, 4, 6), ("2", "4", "6")),
        ((0, 3), "range", (0, 1, 2, 3), ("0", "1", "2", "3")),
        ((0, 10, 5), "range", (0, 5, 10), ("0", "5", "10")),
        ((0.0, 0.3), "range", (0.0, 0.1, 0.2, 0.3), ("0", "0.1", "0.2", "0.3")),
        ((0.1, 1.0, 0.45), "range", (0.1, 0.55, 1.0), ("0.1", "0.55", "1")),
        (True, "checkbox", (False, True), ("False", "True")),
        (bool, "checkbox", (False, True), ("False", "True")),
        ([True, False], "checkbox", (True, False), ("True", "False")),
        ([7], "select", (7,), ("7",)),
        ([None, 1], "select", (None, 1), ("None", "1")),
        ([max, min], "select", (max, min), ("max", "min")),
        ([0.1, 0.1000000001], "range", (0.1, 0.1000000001), ("0.1", "0.1000000001")),
    ],
)
def test_every_way_to_offer_a_choice(choice, kind, values, labels):
    control = read(choice)
    assert (control.kind, control.values, control.labels) == (kind, values, labels)


def test_what_is_shown_first():
    assert read([1, 2, 5]).index == 0
    assert read((0, 10, 5)).index == 1  # the middle, as in ipywidgets
    assert read(True).index == 1
    assert read(False).index == 0
    assert read([1, 2, 5], fn=lambda x=5: x).index == 2  # the function's own default
    assert read([True, False], fn=lambda x=False: x).index == 1
    assert read([1, 2], fn=lambda x=True: x).index == 0  # True == 1, but is another choice


def test_values_without_a_single_truth_value_are_welcome():
    ones = np.ones(3)
    arrays = {"zeros": np.zeros(3), "ones": np.ones(3)}
    control = read(arrays, fn=lambda x=ones: x)
    assert control.kind == "select"
    assert control.labels == ("zeros", "ones")


def test_labels_name_the_arguments():
    assert read([1, 2], labels={"x": "subsets K"}).label == "subsets K"
    (control,) = read_choices(lambda batch_size: 0, {"batch_size": [1, 2]})
    assert control.label == "batch size"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "at least one choice"),
        ({"x": []}, "x: expected at least one value"),
        ({"x": {}}, "x: expected at least one value"),
        ({"x": 3}, "x: expected a list of values.* got int"),
        ({"x": "abc"}, "x: expected a list of values.* got str"),
        ({"x": (1, 2, 5)}, r"x: .*write a list for the values themselves: \[1, 2, 5\]"),
        ({"x": (3, 1)}, "x: a tuple of numbers means"),
        ({"x": (0.0, 1.0, 0.0)}, "x: a tuple of numbers means"),
        ({"x": (0.0, float("nan"))}, "x: a tuple of numbers means"),
        ({"x": (0, 10**9)}, "x: .* 10,000 values or more"),
        ({"y": [1]}, "y: the function has no such argument"),
    ],
)
def test_bad_choices_are_named(choices, message):
    with pytest.raises(InputError, match=message):
        read_choices(lambda x: x, choices)


def test_bad_functions_and_labels_are_named():
    with pytest.raises(InputError, match="fn: expected a function, got int"):
        read_choices(3, {"x": [1]})
    with pytest.raises(InputError, match="scale: the function needs it"):
        read_choices(lambda x, scale: x, {"x": [1]})
    with pytest.raises(InputError, match="labels: 'y' is not one of the choices"):
        read([1], labels={"y": "why"})


def test_any_keyword_function_takes_any_choice():
    assert len(read_choices(lambda **rest: 0, {"x": [1], "y": [2]})) == 2


def test_a_step_next_to_nothing_is_refused_not_an_overflow():
    for step in (5e-324, 1e-300, 1e-6):
        with pytest.raises(InputError, match="choose a larger step"):
            read((0.0, 50.0, step))


numbers = st.integers(-50, 50) | st.floats(-50, 50, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(low=numbers, high=numbers, step=numbers)
def test_steps_stay_within_their_bounds(low, high, step):
    try:
        control = read((low, high, step))
    except InputError:
        return
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in control.values)
    assert control.values[0] == pytest.approx(low, abs=1e-9)
    assert high - control.values[-1] < step + 1e-9
    assert 0 <= control.index < len(control.values)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(anything)
def test_anything_becomes_a_control_or_a_clear_error(choice):
    try:
        control = read(choice)
    except InputError:
        with pytest.raises(InputError, match=r"^x: "):
            read(choice)
        return
    assert control.kind in ("range", "select", "checkbox")
    assert len(control.values) == len(control.labels) > control.index >= 0
