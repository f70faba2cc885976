"""What a reader may choose: the arguments of ``widgets.interact`` as controls.

One reading of the arguments serves the live widget and the recorded player, so both offer the
same values in the same order.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from contrastive_tutorial.errors import InputError


@dataclass(frozen=True)
class Control:
    """One argument of the function and the values it may take.

    Attributes:
        name: of the argument.
        label: what the reader sees.
        kind: ``"range"`` for ordered numbers, ``"checkbox"`` for two truth values, else
            ``"select"``.
        values, labels: what the function receives and what the reader sees for it.
        index: of the value shown first.
    """

    name: str
    label: str
    kind: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]
    index: int


def read_choices(
    fn: Callable[..., Any], choices: Mapping[str, Any], labels: Mapping[str, str] | None = None
) -> list[Control]:
    """Controls for the arguments of ``fn``, in the order given.

    A list holds the values; a dict maps labels to values; ``range`` and ``(min, max)`` or
    ``(min, max, step)`` mean what they mean in ipywidgets (``max`` included for tuples); a truth
    value is a check box. A default in the signature of ``fn`` is shown first.

    Raises:
        InputError: naming the argument that is missing, unknown or has nothing to choose from.
    """
    defaults = _check_signature(fn, choices)
    labels = dict(labels or {})
    for name in labels:
        if name not in choices:
            raise InputError(f"labels: {name!r} is not one of the choices {sorted(choices)}")
    return [
        _control(name, choice, str(labels.get(name, name.replace("_", " "))), defaults)
        for name, choice in choices.items()
    ]


def _check_signature(fn: Callable[..., Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of ``fn`` by argument name; ``choices`` must be what it can be called with."""
    if not callable(fn):
        raise InputError(f"fn: expected a function, got {type(fn).__name__}")
    if not choices:
        raise InputError("interact: expected at least one choice, e.g. num_subsets=[1, 2, 5]")
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):  # some builtins have no signature; calling them will tell
        return {}
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in choices:
        if name not in named and not takes_any:
            raise InputError(f"{name}: the function has no such argument; it takes {sorted(named)}")
    for name, parameter in named.items():
        if name not in choices and parameter.default is parameter.empty:
            raise InputError(f"{name}: the function needs it, but no choice for it was given")
    return {
        name: parameter.default
        for name, parameter in named.items()
        if parameter.default is not parameter.empty
    }


def _control(name: str, choice: Any, label: str, defaults: Mapping[str, Any]) -> Control:
    values, texts, start = _values(name, choice)
    if not values:
        raise InputError(f"{name}: expected at least one value to choose from, got none")
    if name in defaults:
        for index, value in enumerate(values):
            if type(value) is type(defaults[name]) and _equal(value, defaults[name]):
                start = index
    if texts is None:
        texts = tuple(_text(value) for value in values)
        if len(set(texts)) < len(texts):  # 0.1 and 0.1000001 must not look alike
            texts = tuple(repr(value) for value in values)
    if len(values) == 2 and {*map(type, values)} == {bool} and values[0] != values[1]:
        kind = "checkbox"
    elif _is_ordered(values):
        kind = "range"
    else:
        kind = "select"
    return Control(name, label, kind, values, texts, start)


def _values(name: str, choice: Any) -> tuple[tuple[Any, ...], tuple[str, ...] | None, int]:
    if choice is bool or isinstance(choice, bool):
        return (False, True), None, int(choice is not bool and bool(choice))
    if isinstance(choice, Mapping):
        return tuple(choice.values()), tuple(str(key) for key in choice), 0
    if isinstance(choice, range):
        return tuple(choice), None, 0
    if isinstance(choice, tuple) and len(choice) in (2, 3) and all(map(_is_number, choice)):
        return _steps(name, choice)
    if isinstance(choice, (list, tuple)):
        return tuple(choice), None, 0
    raise InputError(
        f"{name}: expected a list of values, a dict of labels and values, a range, a truth value "
        f"or (min, max, step), got {type(choice).__name__}"
    )


def _steps(name: str, choice: tuple[Any, ...]) -> tuple[tuple[Any, ...], None, int]:
    low, high = choice[:2]
    whole = all(isinstance(number, int) for number in choice)
    step = choice[2] if len(choice) == 3 else (1 if whole else 0.1)
    if not 0 < step <= high - low < math.inf:
        raise InputError(
            f"{name}: a tuple of numbers means (min, max, step) with 0 < step <= max - min, got "
            f"{choice}; write a list for the values themselves: {list(choice)}"
        )
    steps = (high - low) / step  # infinite when the step is next to nothing
    if steps >= 10_000:
        raise InputError(f"{name}: {choice} makes 10,000 values or more; choose a larger step")
    count = math.floor(steps + 1e-9) + 1
    if whole:
        values: tuple[Any, ...] = tuple(low + i * step for i in range(count))
    else:
        values = tuple(float(f"{low + i * step:.12g}") for i in range(count))
    return values, None, (count - 1) // 2


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_ordered(values: tuple[Any, ...]) -> bool:
    if len(values) < 2 or not all(_is_number(value) for value in values):
        return False
    pairs = list(itertools.pairwise(values))
    return all(a < b for a, b in pairs) or all(a > b for a, b in pairs)


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except Exception:  # arrays have no single truth value
        return a is b


def _text(value: Any) -> str:
    if isinstance(value, Real) and not isinstance(value, (bool, int)):
        return f"{float(value):.6g}"
    if isinstance(value, type) or inspect.isroutine(value):
        return str(value.__name__)
    return str(value)
