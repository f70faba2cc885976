"""Faults of everything else that reads or writes files: images, embeddings, reports."""

from __future__ import annotations

import builtins
import errno
import functools
import io
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import images
import numpy as np
from fault_files import ways
from recorded import make_record
from trials import (
    Child,
    DyingWrites,
    FailingWrites,
    Outcome,
    Plan,
    refused,
    results,
    scratch,
    split_off,
)

from contrastive_tutorial import cli, data
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records

SOURCES = ("pets", "pets.zip", "pets.tar", "pets.tar.xz")


def folder() -> Path:
    return Path(tempfile.mkdtemp(dir=scratch()))


def line(work: Callable[[], object]) -> Callable[[], int]:
    """Bad input as the command line says it."""

    def attempt() -> int:
        try:
            work()
        except InputError as error:
            os.write(2, f"{error}\n".encode())
            return 2
        return 0

    return attempt


# -- images ----------------------------------------------------------------------------------------


def _hash(source: Path, cache: Path) -> str:
    """Of all three sets, as a child of this process finds it; or how the child ended."""
    child = _look(source, cache)
    status = child.wait()
    return child.output.read_text() if status == 0 else f"{status}: {child.said()[-1:]}"


def _look(source: Path, cache: Path, around: Callable[[], object] | None = None) -> Child:
    def look() -> None:
        found = data.load_splits(source, cache=cache)
        os.write(1, " ".join(part.content_hash for part in found).encode())

    return split_off(line(look), around)


class Reads:
    """Something happens at the n-th time that a file below a folder is read."""

    def __init__(self, below: Path, at: int, what: Callable[[], object]):
        self.below, self.at, self.what, self.calls = below, at, what, 0

    def install(self) -> None:
        """For the rest of this process."""
        real = builtins.open

        @functools.wraps(real)
        def tracked(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            file = real(path, mode, *rest, **options)
            ours = isinstance(path, (str, Path)) and Path(path).is_relative_to(self.below)
            return _Read(file, self) if ours and mode == "rb" else file

        builtins.open = io.open = tracked  # type: ignore[assignment]

    def once_more(self) -> None:
        self.calls += 1
        if self.calls == self.at + 1:
            self.what()


class _Read:
    """A file whose reads are counted."""

    def __init__(self, file: Any, reads: Reads):
        self._file, self._reads = file, reads

    def __enter__(self) -> _Read:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, *size: int) -> bytes:
        self._reads.once_more()
        return self._file.read(*size)

    def readinto(self, buffer: Any) -> int:
        self._reads.once_more()
        return self._file.readinto(buffer)


def _broken() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def read_errors(plan: Plan) -> Outcome:
    """A disk gives back an error at the n-th read, once."""
    found = Outcome("read errors", "EIO at the n-th read of images or records: one line; then read")
    for name in SOURCES:
        place = folder()
        source = images.write(place / name, images.split_files(6, 3))
        expected, at = _hash(source, place / "first"), 0
        while True:
            cache = place / f"cache-{at}"
            child = _look(source, cache, Reads(source, at, _broken).install)
            if (status := child.wait()) == 0:
                break  # there are no more reads than this
            problem = refused(child, status, "cannot be read")
            if not problem and cache.exists():
                problem = "something is in the cache"
            if not problem and _hash(source, cache) != expected:
                problem = "other images"
            found.note(f"{name}, read {at}", problem)
            at += 1 + at // plan.some(0.1)
    report = ["report", "--results", str(plan.finished)]
    for at in range(len(list(plan.finished.rglob("*.json")))):
        reads = Reads(plan.finished, at, _broken)
        child = split_off(lambda: cli.main(report), reads.install)
        found.note(f"record {at}", refused(child, child.wait(), "cannot be read"))
    return found


def changing(plan: Plan) -> Outcome:
    """Somebody writes to a source while it is read: a copy that goes on, a repacked archive."""
    found = Outcome("changing sources", "rewritten at the n-th read: refused, or one of the two")
    generator = random.Random(plan.moments)
    for name in SOURCES:
        before, after = images.split_files(6, 3), images.split_files(7, 3)
        for i in range(plan.some(0.2, 3)):
            place, at = folder(), generator.randrange(60 if name == "pets" else 12)
            source = images.write(place / name, before)
            new = images.write(place / "new" / name if name == "pets" else place / f"new-{name}",
                               after)  # fmt: skip
            known = {_hash(source, place / "one"), _hash(new, place / "two").replace("new-", "")}

            def change(source: Path = source, new: Path = new, i: int = i) -> None:
                if source.is_dir():
                    shutil.copytree(new, source, dirs_exist_ok=True)
                elif i % 2:
                    os.replace(shutil.copy(new, f"{new}.copy"), source)
                else:
                    source.write_bytes(new.read_bytes())

            cache = place / "cache"
            child = _look(source, cache, Reads(source, at, change).install)
            status = child.wait()
            problem = "" if status == 0 else refused(child, status)
            if status == 0 and child.output.read_text() not in known:
                problem = "neither the old images nor the new ones"
            for content in (None, before, after):  # what the cache says of each
                if content is not None:
                    shutil.rmtree(source) if source.is_dir() else source.unlink()
                    images.write(source, content)
                if not problem and _hash(source, cache) != _hash(source, folder() / "c"):
                    problem = "the cache has other images"
            found.note(f"{name}, read {at}", problem)
    return found


# -- embeddings and reports ------------------------------------------------------------------------


def _files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _disturbed(
    found: Outcome, plan: Plan, begun: Path, work: Callable[[Path], int], share: float
) -> Outcome:
    """Kill a command, or give it a full disk, at each call that changes a file.

    Args:
        found: the trials are noted here.
        plan: of this run.
        begun: the folder it starts from.
        work: the command on a copy of that folder.
        share: of the moments; so many calls of each kind are tried.
    """
    expected: dict[str, bytes] = {}
    for kind in (DyingWrites, FailingWrites):
        undisturbed = folder() / "x"
        shutil.copytree(begun, undisturbed)
        counted = folder() / "calls"
        faulty = kind(1 << 30)

        def count(faulty: FailingWrites = faulty, counted: Path = counted,
                  undisturbed: Path = undisturbed) -> int:  # fmt: skip
            status = work(undisturbed)
            counted.write_text(str(faulty.calls))
            return status

        child = split_off(count, faulty.install)
        assert child.wait() == 0, child.said()
        assert not expected or expected == _files(undisturbed), "it gives other files every time"
        expected = _files(undisturbed)
        calls = int(counted.read_text())
        for at in range(0, calls, max(1, calls // plan.some(share, 4))):
            place = folder() / "x"
            shutil.copytree(begun, place)
            child = split_off(lambda place=place: work(place), kind(at).install)
            status = child.wait()
            problem = "" if status == -9 else refused(child, status, "disk is full")
            half = {name: content for name, content in _files(place).items() if name[-1] != "~"}
            if any(expected.get(name) != content for name, content in half.items()):
                problem = problem or "a file that is half-written, or another one's"
            for path in place.rglob("*~"):
                os.utime(path, (1e9, 1e9))  # what is left goes after a day
            child = split_off(lambda place=place: work(place))
            if (status := child.wait()) != 0:
                problem = problem or f"the next try ended with {status}: {child.said()[-1:]}"
            if not problem and _files(place) != expected:
                problem = f"other files: {sorted(set(_files(place)) ^ set(expected))}"
            found.note(f"{kind.__name__} at call {at}", problem)
    return found


def embeddings(plan: Plan) -> Outcome:
    """``embed`` is killed, has no space, or finds arrays that are damaged."""
    from contrastive_tutorial.study import embedding

    def quickly(run: np.ndarray, start: np.ndarray, *_: object) -> np.ndarray:
        """Stands in for UMAP, which starts threads."""
        return start

    real, embedding._umap = embedding._umap, quickly
    try:
        found = Outcome("embed", "killed or out of space at the n-th call; arrays damaged")
        command = ("embed", "--results")
        _disturbed(found, plan, plan.finished, lambda f: cli.main([*command, str(f)]), 0.3)
        for name, spoil in ways(plan.some(0.1), 6):
            place = folder() / "x"
            shutil.copytree(plan.finished, place)
            (path,) = place.rglob("B0*.npz")
            spoil(path)
            child = split_off(lambda place=place: cli.main([*command, str(place)]))
            status = child.wait()
            problem = "" if status == 0 else refused(child, status, "B0-K5-s0.npz")
            if path.is_file():
                path.unlink()
            if not problem and not path.exists() and results(place) != plan.expected:
                problem = "other records"
            found.note(f"arrays {name}", problem)
        return found
    finally:
        embedding._umap = real


def reports(plan: Plan) -> Outcome:
    """``report --output`` is killed or has no space."""
    from contrastive_tutorial.report import written

    begun = folder() / "results"
    for cell in ("B0", "S-P1", "M-P1", "untrained"):
        for seed in (0, 1):
            curve = [] if cell == "untrained" else [(0, 6.9), (10, 5.5)]
            scores = {"cluster_accuracy": 0.25 + seed / 50}
            make_record(cell, seed, scores, loss_curve=curve).save(begun)
    drawn = written.all_figures(load_records(begun), {})
    real = written.all_figures, written.studies_of
    # Drawn once, and no verdicts, which write no file of their own and take half a minute.
    written.all_figures, written.studies_of = lambda *_, **__: drawn, lambda _: []
    try:
        found = Outcome("report", "killed or out of space at the n-th call that changes a file")

        def work(place: Path) -> int:
            return cli.main(["report", "--results", str(begun), "--output", str(place)])

        return _disturbed(found, plan, folder(), work, 0.4)
    finally:
        written.all_figures, written.studies_of = real


FAULTS = {
    "read-errors": read_errors,
    "changing": changing,
    "embed": embeddings,
    "report": reports,
}
