"""Checkers for exercises: one line that says whether an answer is right, and never an error.

They keep the solution to themselves. A wrong number learns which known mistake gives it, or on
which side of the solution it lies. Where the book is built there is no answer yet, and a reader
without a kernel gets a field in its place: ``static/exercise.js`` holds the same judge.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from contrastive_tutorial.errors import InputError, unknown
from contrastive_tutorial.files import in_book
from contrastive_tutorial.widgets import fields

_MAX_SHOWN = 80
_MAX_NUMBERS = 8  # of an array that is shown, and not only its shape
_CLOSE = 0.01  # relative distance below which a number may be a solution, rounded too far


def check_number(
    name: str,
    value: Any,
    expected: float,
    tol: float = 1e-3,
    mistakes: Mapping[float, str] | None = None,
) -> None:
    """Print whether a reader's number is within ``tol`` of ``expected``.

    Args:
        name: of the exercise, as the chapter calls it.
        value: the answer; ``None`` or ``...`` means that there is none yet. In the built book, a
            field for the number stands in its place.
        expected: the solution.
        tol: largest absolute difference that counts as correct.
        mistakes: numbers that a known mistake gives, and what to say to each.

    Raises:
        InputError: if a mistake lies within ``tol`` of the solution.

    >>> check_number("negatives per anchor", ..., 998)
    negatives per anchor: your turn
    >>> check_number("negatives per anchor", 1000, 998)
    negatives per anchor: not yet: 1000 is too large
    >>> check_number("negatives per anchor", 999, 998, mistakes={999: "the positive is none"})
    negatives per anchor: not yet: the positive is none
    >>> check_number("negatives per anchor", 998, 998)
    negatives per anchor: correct
    """
    known = [(float(wrong), hint) for wrong, hint in (mistakes or {}).items()]
    for wrong, _ in known:
        if abs(wrong - float(expected)) <= tol:
            raise InputError(
                f"mistakes: expected numbers that differ from the solution by more than {tol}, "
                f"got {wrong}"
            )
    if _is_missing(value) and in_book():
        numbers = [
            fields.sealed(float(expected)),
            tol,
            [[fields.sealed(w), hint] for w, hint in known],
        ]
        fields.show(fields.Field(name, {"kind": "number", "judge": numbers}))
    else:
        print(f"{name}: {_judge_number(value, float(expected), tol, known)}")


def check_choice(
    name: str,
    value: Any,
    expected: Any,
    choices: Mapping[Any, str],
    hints: Mapping[Any, str] | None = None,
) -> None:
    """Print whether a reader has chosen ``expected``.

    Args:
        name: of the exercise, as the chapter calls it.
        value: the answer, a key of ``choices``, in capitals or not; ``None`` or ``...`` means that
            there is none yet. In the built book, the choices stand in its place.
        expected: the right key.
        choices: what each key means, in words.
        hints: what to say to a wrong key.

    Raises:
        InputError: if ``expected`` or a hint is for a key that is not among the choices.

    >>> kinds = {"A": "their images", "B": "their labels"}
    >>> check_choice("what differs", "b", "A", kinds, {"B": "nobody has labels here"})
    what differs: not yet: nobody has labels here
    >>> check_choice("what differs", "A", "A", kinds)
    what differs: correct
    """
    hints = hints or {}
    for key in (expected, *hints):
        if key not in choices:
            raise unknown("choice", key, [str(key) for key in choices])
    if _is_missing(value) and in_book():
        keys = [[str(key), words, hints.get(key, "")] for key, words in choices.items()]
        state = {"kind": "choice", "judge": [str(expected), keys]}
        fields.show(fields.Field(name, state))
    else:
        print(f"{name}: {_judge_choice(value, expected, choices, hints)}")


def check_function(
    name: str,
    fn: Any,
    reference: Callable[..., Any],
    cases: Sequence[Any],
    tol: float = 1e-5,
    mistakes: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Print whether a reader's function agrees with ``reference`` on every case.

    With a single case the line never holds what was expected: that would be the solution.

    Args:
        name: of the exercise, as the chapter calls it.
        fn: the reader's function; ``None`` or ``...``, a function that returns ``None`` or
            ``...`` or raises ``NotImplementedError`` means that there is no attempt yet.
        reference: the solution.
        cases: inputs: a tuple of positional arguments, a dict of keyword arguments, or anything
            else as the only argument. Each call gets its own copy.
        tol: largest absolute or relative difference between numbers that counts as equal.
        mistakes: what to say to a function that agrees on every case with a known wrong one.

    >>> check_function("double", lambda x: x + x, lambda x: 2 * x, [0, 1, 2.5])
    double: correct (3 cases)
    >>> check_function("double", lambda x: x**2, lambda x: 2 * x, [0, 1, 2.5])
    double: not yet: for input 1 expected 2, got 1
    >>> squares = {"that is the square": lambda x: x * x}
    >>> check_function("double", lambda x: x**2, lambda x: 2 * x, [0, 1, 2.5], mistakes=squares)
    double: not yet: that is the square
    """
    print(f"{name}: {_judge_function(fn, reference, list(cases), tol, mistakes or {})}")


def _is_missing(value: Any) -> bool:
    return value is None or value is Ellipsis


def _judge_number(
    value: Any, expected: float, tol: float, mistakes: Sequence[tuple[float, str]]
) -> str:
    if _is_missing(value):
        return "your turn"
    try:
        if isinstance(value, (bool, str, bytes)):
            raise TypeError
        number = float(value)
    except Exception:  # anything a reader may have typed
        return f"not yet: a number is asked for, got {_short(value)}"
    return _verdict(number, _short(value), expected, tol, mistakes)


def _verdict(
    number: float, shown: str, expected: float, tol: float, mistakes: Sequence[tuple[float, str]]
) -> str:
    """The judge of a number; ``verdict`` in ``static/exercise.js`` is its twin."""
    if abs(number - expected) <= tol or number == expected:
        return "correct"
    if math.isnan(number):
        return "not yet: the number is nan"
    for wrong, hint in mistakes:
        if abs(number - wrong) <= tol or number == wrong:
            return f"not yet: {hint}"
    if _is_rounded(number, expected):
        return f"not yet: {shown} may be rounded too far: give more decimals"
    return f"not yet: {shown} is too {'small' if number < expected else 'large'}"


def _is_rounded(number: float, expected: float) -> bool:
    """Whether ``number`` has few decimals and is what ``expected`` becomes with as few."""
    if not abs(number - expected) <= _CLOSE * abs(expected):
        return False
    for decimals in range(7):
        scale = 10.0**decimals
        if (
            abs(number - expected) <= 0.5 / scale
            and abs(number * scale - math.floor(number * scale + 0.5)) < 1e-9
        ):
            return True
    return False


def _judge_choice(
    value: Any, expected: Any, choices: Mapping[Any, str], hints: Mapping[Any, str]
) -> str:
    if _is_missing(value):
        return "your turn: " + "; ".join(f"{key}: {words}" for key, words in choices.items())
    written = _plain(_short(value, quoted=False))
    for key in choices:
        if _plain(str(key)) == written:
            if key == expected:
                return "correct"
            return f"not yet: {hints[key]}" if key in hints else f"not yet: {key} is not it"
    return f"not yet: one of {', '.join(map(str, choices))} is asked for, got {_short(value)}"


def _plain(key: str) -> str:
    """As it is compared: ``Semi hard`` is ``semi-hard``, and -1 is not 1."""
    return re.sub(r"(?<=\w)[-_ ](?=\w)", "", key.strip().lower())


def _judge_function(
    fn: Any,
    reference: Callable[..., Any],
    cases: list[Any],
    tol: float,
    mistakes: Mapping[str, Callable[..., Any]],
) -> str:
    if not cases:
        raise InputError("cases: expected at least one input to compare on, got none")
    if _is_missing(fn):
        return "your turn"
    if not callable(fn):
        return f"not yet: a function is asked for, got {_short(fn)}"
    for number, case in enumerate(cases):
        expected = _call(reference, case)
        try:
            got = _call(fn, case)
        except NotImplementedError:
            return "your turn"
        except Exception as error:
            message = _short(f"{type(error).__name__}: {error}", quoted=False)
            return f"not yet: for input {_short(case)} it fails with {message}"
        if _is_missing(got) and number == 0 and not _is_missing(expected):
            return "your turn"
        verdict = _differs(got, expected, tol, hidden=len(cases) == 1)
        if verdict:
            alone = isinstance(case, tuple) and not case
            where = "" if alone else f"for input {_short(case)} "
            for hint, wrong in mistakes.items():
                if _agree(fn, wrong, cases, tol):
                    return f"not yet: {hint}"
            return f"not yet: {where}{verdict}"
    return f"correct ({len(cases)} cases)" if len(cases) > 1 else "correct"


def _call(fn: Callable[..., Any], case: Any) -> Any:
    case = copy.deepcopy(case)
    if isinstance(case, tuple):
        return fn(*case)
    if isinstance(case, Mapping):
        return fn(**case)
    return fn(case)


def _agree(fn: Any, other: Callable[..., Any], cases: list[Any], tol: float) -> bool:
    try:
        return not any(_differs(_call(fn, case), _call(other, case), tol) for case in cases)
    except Exception:  # the reader's function may fail on a later case
        return False


def _differs(got: Any, expected: Any, tol: float, hidden: bool = False) -> str:
    try:
        return _difference(got, expected, tol, hidden)
    except Exception:  # a reader may return anything, also what cannot be compared
        return _wrong(got, expected, hidden)


def _wrong(got: Any, expected: Any, hidden: bool) -> str:
    return (
        f"{_short(got)} is not it" if hidden else f"expected {_short(expected)}, got {_short(got)}"
    )


def _difference(got: Any, expected: Any, tol: float, hidden: bool) -> str:
    """What is wrong with ``got``; empty if nothing is."""
    wrong = _wrong(got, expected, hidden)
    if isinstance(expected, (tuple, list)) and isinstance(got, (tuple, list)):
        if len(got) != len(expected):
            return f"{len(expected)} values are asked for, got {len(got)}"
        for place, (a, b) in enumerate(zip(got, expected, strict=True), start=1):
            if why := _difference(a, b, tol, hidden):
                return f"number {place} of {len(expected)} is wrong: {why}"
        return ""
    a, b = _array(got), _array(expected)
    if a is None or b is None:
        return "" if a is b is None and bool(got == expected) else wrong
    if a.shape != b.shape:
        return f"expected shape {b.shape}, got {a.shape}"
    if np.allclose(a, b, rtol=tol, atol=tol, equal_nan=True):
        return ""
    return _off(a, b, tol) if b.size > 1 else _side(a, b) if hidden else wrong


def _side(a: np.ndarray, b: np.ndarray) -> str:
    got, expected = a.item(), b.item()
    if isinstance(expected, bool) or not (got < expected or got > expected):
        return f"{_short(got)} is not it"
    return f"{_short(got)} is too {'small' if got < expected else 'large'}"


def _off(a: np.ndarray, b: np.ndarray, tol: float) -> str:
    """How far two arrays of one shape are from each other."""
    wrong = ~np.isclose(a, b, rtol=tol, atol=tol, equal_nan=True)
    said = f"{wrong.sum()} of {b.size} numbers are wrong"
    if b.dtype.kind == "b":
        return said
    said += f", by up to {np.abs(a - b)[wrong].max():.3g}"
    with np.errstate(all="ignore"):
        ratio = (a / b)[np.abs(b) > tol]
    if ratio.size and np.ptp(ratio) <= 10 * tol * abs(ratio.mean()):
        said += f"; they are {ratio.mean():.4g} times the right ones"
    return said


def _array(value: Any) -> np.ndarray | None:
    """Numbers as an array, anything else as ``None``."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value
    if isinstance(value, (str, bytes)) or _is_missing(value):
        return None
    array = np.asarray(value)
    return array if array.dtype.kind in "biufc" else None


def _short(value: Any, quoted: bool = True) -> str:
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, tuple):
        return _cut(f"({', '.join(_short(each) for each in value)})")
    try:
        if hasattr(value, "shape") and math.prod(value.shape) > _MAX_NUMBERS:
            return f"an array of shape {tuple(value.shape)}"
        if hasattr(value, "detach"):
            value = value.detach().cpu().tolist()
        text = repr(value) if quoted else str(value)
        if isinstance(value, float):
            text = f"{value:.6g}"
        elif isinstance(value, np.generic):
            text = repr(value.item())
    except Exception:  # a broken __repr__ is the reader's, not ours
        text = f"a {type(value).__name__}"
    return _cut(text)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
