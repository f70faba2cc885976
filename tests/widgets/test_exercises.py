"""Checkers judge, never raise, and keep the solution until there is an attempt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.widgets.exercises import check_function, check_number


class Broken:
    def __repr__(self):
        raise RuntimeError("no words")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (None, "your turn"),
        (..., "your turn"),
        (6.907, "correct"),
        (torch.tensor(6.9078), "correct"),
        (np.float32(6.907), "correct"),
        (6.9, "not yet: 6.9 is too small"),
        (7, "not yet: 7 is too large"),
        (float("nan"), "not yet: the number is nan"),
        (float("inf"), "not yet: inf is too large"),
        ("6.907", "not yet: a number is asked for, got '6.907'"),
        (True, "not yet: a number is asked for, got True"),
        ([1, 2], "not yet: a number is asked for, got [1, 2]"),
        (np.zeros(3), "not yet: a number is asked for, got array([0., 0., 0.])"),
        (Broken(), "not yet: a number is asked for, got a Broken"),
    ],
)
def test_numbers(value, verdict, capsys):
    check_number("loss floor", value, np.log(1000), tol=1e-2 / 10)
    assert capsys.readouterr().out == f"loss floor: {verdict}\n"


def test_an_infinite_solution_can_be_met(capsys):
    check_number("divergence", float("inf"), float("inf"))
    assert capsys.readouterr().out == "divergence: correct\n"


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    ("fn", "verdict"),
    [
        (None, "your turn"),
        (..., "your turn"),
        (lambda x: None, "your turn"),
        (lambda x: ..., "your turn"),
        (lambda x: x + x, "correct (2 cases)"),
        (lambda x: 2 * x + 1e-9, "correct (2 cases)"),
        (lambda x: x, "not yet: for input 3 expected 6, got 3"),
        (lambda x: "six", "not yet: for input 3 expected 6, got 'six'"),
        (lambda x: [6], "not yet: for input 3 expected shape (), got (1,)"),
        (lambda x: 1 / 0, "not yet: for input 3 it fails with ZeroDivisionError: division by zero"),
        (lambda: 1, "not yet: for input 3 it fails with TypeError: "),
        (lambda x: Broken(), "not yet: for input 3 expected 6, got a Broken"),
        (7, "not yet: a function is asked for, got 7"),
    ],
)
def test_functions(fn, verdict, capsys):
    check_function("double", fn, double, [3, -1.5])
    printed = capsys.readouterr().out
    assert printed.startswith(f"double: {verdict}")
    assert printed.count("\n") == 1


def test_an_empty_body_is_no_attempt(capsys):
    def mine(x):
        raise NotImplementedError

    check_function("double", mine, double, [3])
    assert capsys.readouterr().out == "double: your turn\n"


def test_tensors_tuples_and_keywords(capsys):
    def spread(values, scale=1.0):
        return values.mean(), scale * values.std()

    cases = [(torch.arange(4.0),), {"values": torch.ones(3, dtype=torch.float64), "scale": 2.0}]
    check_function("spread", spread, spread, cases)
    check_function("spread", lambda values, scale=1.0: (values.mean(), 0.0), spread, cases)
    check_function("spread", lambda values, scale=1.0: (values.mean(),), spread, cases)
    right, wrong, short = capsys.readouterr().out.splitlines()
    assert right == "spread: correct (2 cases)"
    assert wrong.startswith("spread: not yet: for input [0.0, 1.0, 2.0, 3.0] expected (tensor(")
    assert short.startswith("spread: not yet: ")


def test_shapes_are_compared_before_values(capsys):
    check_function("norm", lambda x: x.sum(), lambda x: x, [(torch.ones(2, 3),)])
    assert "expected shape (2, 3), got ()" in capsys.readouterr().out


def test_a_reader_cannot_spoil_the_cases(capsys):
    def in_place(x):
        x *= 2
        return x

    cases = [(np.ones(3),)]
    check_function("double", in_place, double, cases)
    assert capsys.readouterr().out == "double: correct\n"
    assert cases[0][0].tolist() == [1, 1, 1]


def test_long_inputs_stay_on_one_line(capsys):
    check_function("sum", lambda x: 0.0, lambda x: 1.0, [np.arange(1000).reshape(10, 100)])
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert len(printed) < 200


def test_an_exercise_without_cases_is_the_authors_mistake():
    with pytest.raises(InputError, match="cases: expected at least one"):
        check_function("nothing", double, double, [])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(...),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(answer=anything, solution=anything)
def test_any_answer_gets_one_line(answer, solution):
    check_number("number", answer, 1.0)
    check_function("function", lambda x: answer, lambda x: solution, [0])
