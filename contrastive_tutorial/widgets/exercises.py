"""Checkers for exercises: one line that says whether an answer is right, and never an error.

They keep the solution to themselves until there is an attempt, and a wrong number only learns on
which side of the solution it lies.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from contrastive_tutorial.errors import InputError

_MAX_SHOWN = 80


def check_number(name: str, value: Any, expected: float, tol: float = 1e-3) -> None:
    """Print whether a reader's number is within ``tol`` of ``expected``.

    Args:
        name: of the exercise, as the chapter calls it.
        value: the answer; ``None`` or ``...`` means that there is none yet.
        expected: the solution.
        tol: largest absolute difference that counts as correct.

    >>> check_number("negatives per anchor", ..., 998)
    negatives per anchor: your turn
    >>> check_number("negatives per anchor", 999, 998)
    negatives per anchor: not yet: 999 is too large
    >>> check_number("negatives per anchor", 998, 998)
    negatives per anchor: correct
    """
    print(f"{name}: {_judge_number(value, float(expected), tol)}")


def check_function(
    name: str,
    fn: Any,
    reference: Callable[..., Any],
    cases: Sequence[Any],
    tol: float = 1e-5,
) -> None:
    """Print whether a reader's function agrees with ``reference`` on every case.

    Args:
        name: of the exercise, as the chapter calls it.
        fn: the reader's function; ``None`` or ``...``, a function that returns ``None`` or
            ``...`` or raises ``NotImplementedError`` means that there is no attempt yet.
        reference: the solution.
        cases: inputs: a tuple of positional arguments, a dict of keyword arguments, or anything
            else as the only argument. Each call gets its own copy.
        tol: largest absolute or relative difference between numbers that counts as equal.

    >>> check_function("double", lambda x: x + x, lambda x: 2 * x, [0, 1, 2.5])
    double: correct (3 cases)
    >>> check_function("double", lambda x: x**2, lambda x: 2 * x, [0, 1, 2.5])
    double: not yet: for input 1 expected 2, got 1
    """
    print(f"{name}: {_judge_function(fn, reference, list(cases), tol)}")


def _is_missing(value: Any) -> bool:
    return value is None or value is Ellipsis


def _judge_number(value: Any, expected: float, tol: float) -> str:
    if _is_missing(value):
        return "your turn"
    try:
        if isinstance(value, (bool, str, bytes)):
            raise TypeError
        number = float(value)
    except Exception:  # anything a reader may have typed
        return f"not yet: a number is asked for, got {_short(value)}"
    if abs(number - expected) <= tol or number == expected:
        return "correct"
    if math.isnan(number):
        return "not yet: the number is nan"
    return f"not yet: {_short(value)} is too {'small' if number < expected else 'large'}"


def _judge_function(fn: Any, reference: Callable[..., Any], cases: list[Any], tol: float) -> str:
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
        try:
            verdict = _difference(got, expected, tol)
        except Exception:  # a reader may return anything, also what cannot be compared
            verdict = f"expected {_short(expected)}, got {_short(got)}"
        if verdict:
            return f"not yet: for input {_short(case)} {verdict}"
    return f"correct ({len(cases)} cases)" if len(cases) > 1 else "correct"


def _call(fn: Callable[..., Any], case: Any) -> Any:
    case = copy.deepcopy(case)
    if isinstance(case, tuple):
        return fn(*case)
    if isinstance(case, Mapping):
        return fn(**case)
    return fn(case)


def _difference(got: Any, expected: Any, tol: float) -> str:
    """What is wrong with ``got``; empty if nothing is."""
    wrong = f"expected {_short(expected)}, got {_short(got)}"
    if isinstance(expected, (tuple, list)) and isinstance(got, (tuple, list)):
        same = len(got) == len(expected) and not any(
            _difference(a, b, tol) for a, b in zip(got, expected, strict=True)
        )
        return "" if same else wrong
    a, b = _array(got), _array(expected)
    if a is None or b is None:
        return "" if a is b is None and bool(got == expected) else wrong
    if a.shape != b.shape:
        return f"expected shape {b.shape}, got {a.shape}"
    return "" if np.allclose(a, b, rtol=tol, atol=tol, equal_nan=True) else wrong


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
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu().tolist()
        text = repr(value) if quoted else str(value)
        if isinstance(value, float):
            text = f"{value:.6g}"
    except Exception:  # a broken __repr__ is the reader's, not ours
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
