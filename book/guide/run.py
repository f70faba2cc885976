"""Run a row, or take what was recorded of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .row import Row, Seen

RECORDED = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Outcome:
    """What a row saw, with which versions, and whether that was now; `changed` says what differs
    from the row's sentence, and is empty where the sentence is true."""

    seen: Seen
    versions: dict[str, str]
    live: bool
    changed: str


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """Row -> `seen` and `versions` of the run that was kept."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def installed(row: Row) -> dict[str, str] | None:
    """The versions of the row's libraries, or None where one is missing."""
    try:
        return {name: version(name) for name in row.libraries}
    except PackageNotFoundError:
        return None


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nothing on standard error or output, from Python or below: a page must not show it."""
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        nowhere = stack.enter_context(open(os.devnull, "w"))
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 2)
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield


def observe(row: Row) -> Seen:
    """Run a row: fixed seeds, one thread, nothing printed."""
    threads = torch.get_num_threads()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries that are shown draw from it
    torch.manual_seed(0)
    try:
        torch.set_num_threads(1)
        with silence():
            return row.observe()
    finally:
        torch.set_num_threads(threads)


def outcome(row: Row, slow: bool = False) -> Outcome:
    """Run the row where its libraries are installed, else take what was recorded.

    A slow row is run only on request. An error of a library is an outcome too: the row changed.
    """
    versions = installed(row)
    if versions is None or (row.slow and not slow):
        kept = recorded()[row.key]
        return Outcome(kept["seen"], kept["versions"], live=False, changed="")
    try:
        seen = observe(row)
        changed = "" if row.holds(seen) else f"now {describe(seen)}"
    except Exception as error:
        seen, changed = {}, f"now {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return Outcome(seen, versions, live=True, changed=changed)


def describe(seen: Seen) -> str:
    shown = (f"{k} = {v:.4g}" if isinstance(v, float) else f"{k} = {v}" for k, v in seen.items())
    return ", ".join(shown)


def main(rows: dict[str, Row], arguments: list[str]) -> int:
    """Run the named rows, or every row that can be run here; 1 if a row has changed."""
    named = [word for word in arguments if word != "--record"]
    if unknown := [word for word in named if word not in rows]:
        print(f"no row {', '.join(unknown)}; rows are:", *rows, sep="\n  ", file=sys.stderr)
        return 2
    keep = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}
    bad = 0
    for row in [rows[key] for key in named] or rows.values():
        if installed(row) is None:
            print(f"missing  {row.key}: needs {', '.join(row.libraries)}")
            continue
        done = outcome(row, slow=True)
        bad += bool(done.changed)
        used = ", ".join(f"{name} {number}" for name, number in done.versions.items())
        print(f"{'CHANGED' if done.changed else 'holds':8} {row.key} ({used}) {done.changed}")
        sys.stdout.flush()
        if not done.changed:
            keep[row.key] = {"seen": done.seen, "versions": done.versions}
    if "--record" in arguments:
        kept = {key: keep[key] for key in rows if key in keep}
        RECORDED.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return int(bad > 0)
