"""What a row of the field guide is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Seen = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One thing that a library does at an edge.

    `observe` runs it and returns what came out, by name: numbers, strings, booleans or None, so
    that a run can be kept as JSON. `happens` is a sentence with those names in braces. `holds`
    says whether the sentence is still true of what came out. In all texts, `[[norm.convert_norm]]`
    links a function of ours, `[words](page.html)` a page, and backticks mean code.
    """

    key: str
    table: str
    ask: str
    libraries: tuple[str, ...]
    expect: str
    happens: str
    cost: str
    instead: str
    observe: Callable[[], Seen]
    holds: Callable[[Seen], bool]
    slow: bool


ROWS: dict[str, Row] = {}


def row(
    table: str,
    ask: str,
    *,
    libraries: str,
    expect: str,
    happens: str,
    cost: str,
    instead: str,
    holds: Callable[[Seen], bool],
    slow: bool = False,
) -> Callable[[Callable[[], Seen]], Callable[[], Seen]]:
    """Make a function the row that has its name, with dashes, as its address in the page.

    `libraries` names distributions, with spaces between them. A `slow` row takes more than two
    seconds, or a tool of its own: the page shows it as recorded.
    """

    def add(observe: Callable[[], Seen]) -> Callable[[], Seen]:
        key = observe.__name__.replace("_", "-")
        if key in ROWS:
            raise ValueError(f"two rows are called {key}: rename one of them")
        ROWS[key] = Row(
            key, table, ask, tuple(libraries.split()), expect, happens, cost, instead,
            observe, holds, slow,
        )  # fmt: skip
        return observe

    return add


def error_of(work: Callable[[], Any]) -> str:
    """The name of the error that a call raises, or "no error"."""
    try:
        work()
    except Exception as error:
        return type(error).__name__
    return "no error"
