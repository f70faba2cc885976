"""What faults are tried on: a small study, in a process of its own, and what must be left of it.

The study is real but small: two cells, eight steps each on images drawn by ``shapes``, with
checkpoints every second step. Scores are means of test features, which depend on every weight.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import io
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from contrastive_tutorial import cli, data
from contrastive_tutorial.records import load_records, provenance
from contrastive_tutorial.study import experiment, runner
from contrastive_tutorial.study.cells import PRESETS, Preset
from contrastive_tutorial.study.scoring import Scores, features
from contrastive_tutorial.train import devices

SMALL = Preset(
    "tiny", "two_conv_strided", steps=8, batch_size=40, bank=300, kmeans_restarts=1,
    menu_bank=300, checkpoint_every=2,
)  # fmt: skip
CELLS = ("B0", "S-P1")
SIZES = {"train": 600, "val": 60, "test": 200}
COMMAND = (
    "study", "--cells", *CELLS, "--seeds", "0", "--subsets", "5", "--preset", "tiny", "--quiet",
    "--device", "cpu",
)  # fmt: skip


@dataclass
class Outcome:
    """What became of one kind of fault."""

    kind: str
    what: str
    moments: int = 0
    tried: int = 0
    lost: list[str] = field(default_factory=list)

    def note(self, where: str, problem: str) -> None:
        """One more trial, and what was wrong with it; empty if nothing was."""
        self.tried += 1
        self.lost += [f"{where}: {problem}"] if problem else []


# -- the study -------------------------------------------------------------------------------------


def _scores(experiment: runner.Experiment, with_arrays: bool) -> Scores:
    """Stands in for the evaluation, which takes longer than everything that is tried here."""
    experiment.model.eval()
    h = features(experiment.model.encoder, experiment.test_set.images)
    time.sleep(0.05)  # so that some faults fall between training and the record
    arrays = {"features": h.numpy().astype(np.float16)} if with_arrays else {}
    values = {f"mean_{i}": float(value) for i, value in enumerate(h.double().mean(0)[:8])}
    return Scores("running", values, {}, {}, arrays)


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """The command line runs the small study on images that are drawn once."""
    torch.set_num_threads(1)
    drawn = tuple(data.load("shapes", split, num_images=n) for split, n in SIZES.items())
    with (
        mock.patch.dict(PRESETS, {"tiny": SMALL}),
        mock.patch.object(data, "load", return_value=drawn[0]),
        mock.patch.object(runner, "load_splits", return_value=drawn),
        mock.patch.object(experiment, "load_splits", return_value=drawn),
        mock.patch.object(runner.Experiment, "evaluate", _scores),
    ):
        _load_everything()
        yield


def _load_everything() -> None:
    """Import what a study imports late. No backward pass: its threads would not survive a fork."""
    for name in ("filelock", "torch._dynamo"):
        importlib.import_module(name)
    made = runner.Experiment("B0", preset="tiny", num_subsets=5, device="cpu")
    torch.optim.Adam(made.model.parameters(), fused=True).step()
    made.evaluate(True)
    provenance.git_commit(), provenance.versions()
    devices.device_name(torch.device("cpu"))


# -- a process of its own --------------------------------------------------------------------------


@dataclass
class Child:
    """A command in a process of its own."""

    pid: int
    output: Path
    errors: Path

    def wait(self, at_most: float = 120) -> int:
        """Exit status; minus the signal that ended it. One that hangs is killed: -1000."""
        end = time.monotonic() + at_most
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return -1000

    def said(self) -> list[str]:
        """The lines on standard error."""
        return [line for line in self.errors.read_text().splitlines() if line.strip()]

    def remarks(self) -> list[str]:
        """Them without notes."""
        return [line for line in self.said() if ": note: " not in line]


def split_off(work: Callable[[], int], around: Callable[[], object] | None = None) -> Child:
    """Split off a process that does some work and ends with what it returns.

    Args:
        work: what to do.
        around: called in the new process before it.
    """
    handle, name = tempfile.mkstemp(prefix="study-", dir=scratch())
    os.close(handle)
    output, errors = Path(name), Path(name + ".err")
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Child(pid, output, errors)
    status = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for stream, path in ((1, output), (2, errors)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.stdout, sys.stderr = (open(at, "w", closefd=False) for at in (1, 2))  # noqa: SIM115
        if around is not None:
            around()
        status = work()
    except BaseException:  # what a terminal would show
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)


_scratch: list[tempfile.TemporaryDirectory[str]] = []


def scratch() -> str:
    """A folder for everything that is written here; it goes when this process ends."""
    if not _scratch:
        _scratch.append(tempfile.TemporaryDirectory(prefix="faults-"))
    return _scratch[0].name


def start(folder: Path, around: Callable[[], object] | None = None, *options: str) -> Child:
    """Split off a process that runs the study. ``around`` is called in it first."""
    return split_off(lambda: cli.main([*COMMAND, "--results", str(folder), *options]), around)


def refused(child: Child, status: int, words: str = "") -> str:
    """What is wrong with how the command line took a fault; empty if nothing is."""
    said = child.remarks()
    if status != 2 or len(said) != 1 or words not in said[0]:
        return f"status {status}, said {said[-3:]}, expected status 2 and {words!r}"
    return ""


# -- what must hold --------------------------------------------------------------------------------


def results(folder: Path) -> list[object]:
    """The records without what may differ between two runs; raises if one is half-written."""
    timeless: dict[str, Any] = dict.fromkeys(
        ("train_seconds", "evaluate_seconds", "images_per_second"), 0.0
    )
    timeless["git_commit"] = None  # somebody may commit meanwhile
    found = load_records(folder) if folder.exists() else []
    for record in found:
        if record.has_arrays():
            record.arrays()
    return [dataclasses.replace(record, path=None, **timeless) for record in found]


def leftovers(folder: Path) -> list[str]:
    """Files that are neither records nor their arrays, nor empty locks."""
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in (".json", ".npz")
        and not (path.suffix == ".lock" and path.parent.name == ".locks")
    )


class Trial:
    """A folder for one fault, and what must hold after it.

    Args:
        expected: results of a study that nobody disturbed.
        begun: a folder to begin with a copy of.
    """

    def __init__(self, expected: list[object], begun: Path | None = None):
        self.expected = expected
        self.folder = Path(tempfile.mkdtemp(dir=scratch())) / "results"
        if begun is not None:
            shutil.copytree(begun, self.folder)

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder.parent, ignore_errors=True)  # a killed one may still tidy up

    def verdict(self, clean: bool = True) -> str:
        """Empty if nothing was lost; ends with the study run again.

        Args:
            clean: nothing but records and arrays may lie in the folder at the end. A process that
                is killed while it writes cannot take its temporary file away.
        """
        try:
            before = results(self.folder)
        except Exception as error:
            return f"a half-written file: {error}"
        if any(record not in self.expected for record in before):
            return "a record with other results"
        return self.goes_on(clean)

    def goes_on(self, clean: bool = True) -> str:
        """The same command ends with the same results."""
        child = start(self.folder)
        if (status := child.wait()) != 0:
            return f"the same command ended with {status}: {child.said()[-1:]}"
        if results(self.folder) != self.expected:
            return "the rerun has other results"
        left = [name for name in leftovers(self.folder) if clean or not name.endswith("~")]
        return f"left behind: {left}" if left else ""


@dataclass
class Plan:
    """What the faults share.

    Attributes:
        expected: results of the study.
        seconds: that it takes.
        moments: how many to try where moments are random.
        finished: its folder.
        begun: the folder of a study that was killed in the middle of its second cell.
    """

    expected: list[object]
    seconds: float
    moments: int
    finished: Path
    begun: Path

    def some(self, share: float, at_least: int = 2) -> int:
        """A share of the moments."""
        return max(at_least, round(self.moments * share))


def stopped(but: str = "") -> None:
    """From here on, this process is killed at the fifth step of a run; not of one cell."""
    real = runner.Experiment.loss

    def loss(self: Any, step: int, generator: torch.Generator) -> object:
        if step == 5 and self.cell.name != but:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, step, generator)

    runner.Experiment.loss = loss  # type: ignore[method-assign]


def undisturbed(moments: int) -> Plan:
    """Run the study twice, and once until its second cell has a checkpoint."""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    start(folder / "once").wait()
    began = time.monotonic()
    status = start(folder / "again").wait()
    seconds = time.monotonic() - began
    expected = results(folder / "once")
    assert status == 0
    assert len(expected) == len(CELLS)
    assert expected == results(folder / "again")

    assert start(folder / "begun", lambda: stopped(CELLS[0])).wait() == -signal.SIGKILL
    assert [path.stem for path in (folder / "begun").rglob("*.checkpoint")] == ["S-P1-K5-s0"]
    return Plan(expected, seconds, moments, folder / "once", folder / "begun")


# -- a file system that fails ----------------------------------------------------------------------


class FailingWrites:
    """From the n-th on, every call that makes, fills or renames a file fails.

    Args:
        first: which call fails first, counted from 0.
        number: the ``errno`` it fails with.
        only_once: the calls after it succeed again.
    """

    names: tuple[str, ...] = ("open", "fsync", "replace", "mkdir")

    def __init__(self, first: int, number: int = errno.ENOSPC, only_once: bool = False):
        self.first, self.number, self.only_once = first, number, only_once
        self.calls = 0

    def install(self) -> None:
        """For the rest of this process."""
        for name in self.names:
            setattr(os, name, self._wrap(name, getattr(os, name)))
        real = os.fdopen
        os.fdopen = lambda handle, *rest, **options: _Failing(real(handle, *rest, **options), self)

    def fails(self) -> bool:
        """Whether one more call that writes is to fail."""
        self.calls += 1
        over = self.calls > self.first
        return over and not (self.only_once and self.calls > self.first + 1)

    def fail(self) -> None:
        raise OSError(self.number, os.strerror(self.number))

    def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            flags = arguments[1] if name == "open" and len(arguments) > 1 else os.O_CREAT
            writes = int(flags) & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)  # type: ignore[call-overload]
            if writes and self.fails():
                self.fail()
            return real(*arguments, **options)

        return call


class DyingWrites(FailingWrites):
    """The process is killed just before the n-th call that makes, fills, renames or removes a
    file; where it fills one, in the middle of that."""

    names = (*FailingWrites.names, "unlink")

    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class _Failing:
    """A file whose ``write`` may fail half-way."""

    def __init__(self, file: io.BufferedWriter, failing: FailingWrites):
        self._file, self._failing = file, failing

    def __enter__(self) -> _Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, content: bytes) -> int:
        if self._failing.fails():
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            self._failing.fail()
        return self._file.write(content)
