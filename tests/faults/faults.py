"""What is done to a running study, and what must be left of it: the faults behind ``FAULTS.md``.

    OMP_NUM_THREADS=1 python tests/faults/faults.py [--moments 50] [KIND ...]

Every fault is tried in a process of its own, split off one that has loaded everything, so that a
``kill -9`` is a real one and costs little. After each, two things must hold: no record is lost or
half-written, and the same command run again ends with the results of a study that nobody disturbed.

The study is real but small: two cells, eight steps each on images drawn by ``shapes``, with
checkpoints every second step. Scores are means of test features, which depend on every weight.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import importlib
import io
import json
import os
import random
import resource
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
    "study",
    "--cells",
    *CELLS,
    "--seeds",
    "0",
    "--subsets",
    "5",
    "--preset",
    "tiny",
    "--quiet",
    "--device",
    "cpu",
)


@dataclass
class Outcome:
    """What became of one kind of fault."""

    kind: str
    what: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)

    @property
    def survived(self) -> int:
        return self.tried - len(self.lost)


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


def study(folder: Path, *options: str) -> int:
    """Run the study as the command line does; returns the exit status."""
    return cli.main([*COMMAND, "--results", str(folder), *options])


@dataclass
class Child:
    """A study in a process of its own."""

    pid: int
    output: Path
    errors: Path

    def wait(self, at_most: float = 120) -> int:
        """Exit status; minus the signal that ended it. A study that hangs is killed: -1000."""
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


def start(folder: Path, around: Callable[[], object] | None = None, *options: str) -> Child:
    """Split off a process that runs the study. ``around`` is called in it first."""
    handle, name = tempfile.mkstemp(prefix="study-")
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
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115 - until the end
        if around is not None:
            around()
        status = study(folder, *options)
    except BaseException:  # what a terminal would show
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)


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
    """A folder for one fault, and what must hold after it."""

    def __init__(self, expected: list[object]):
        self.expected = expected
        self.folder = Path(tempfile.mkdtemp(prefix="faults-")) / "results"

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder.parent)

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
        child = start(self.folder)
        if (status := child.wait()) != 0:
            return f"the same command ended with {status}: {child.said()[-1:]}"
        if results(self.folder) != self.expected:
            return "the rerun has other results"
        left = [name for name in leftovers(self.folder) if clean or not name.endswith("~")]
        return f"left behind: {left}" if left else ""


def undisturbed() -> tuple[list[object], float]:
    """The results of the study, and the seconds that it takes."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    start(folder).wait()
    began = time.monotonic()
    status = start(folder / "again").wait()
    seconds = time.monotonic() - began
    expected = results(folder)
    assert status == 0
    assert len(expected) == len(CELLS) * 2  # both
    assert expected[: len(CELLS)] == expected[len(CELLS) :]
    shutil.rmtree(folder)
    return expected[: len(CELLS)], seconds


# -- the faults ------------------------------------------------------------------------------------


def killed(expected: list[object], seconds: float, moments: int) -> Outcome:
    """``kill -9`` at random moments of the study."""
    found = Outcome("kill -9", "at random moments of a study; then the same command")
    generator = random.Random(moments)
    for _ in range(moments):
        moment = generator.uniform(0, seconds)
        with Trial(expected) as trial:
            child = start(trial.folder)
            time.sleep(moment)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            problem = trial.verdict(clean=False)
        found.tried += 1
        found.lost += [f"after {moment:.3f} s: {problem}"] if problem else []
    return found


def interrupted(expected: list[object], seconds: float, moments: int) -> Outcome:
    """Ctrl-C at random moments: exit status 130, one line, and the same command continues."""
    found = Outcome("SIGINT", "Ctrl-C at random moments: status 130 and one line; then go on")
    generator = random.Random(-moments)
    for _ in range(moments):
        moment = generator.uniform(0.02, 0.9 * seconds)
        with Trial(expected) as trial:
            child = start(trial.folder)
            time.sleep(moment)
            os.kill(child.pid, signal.SIGINT)
            status, said = child.wait(), child.said()
            problem = trial.verdict()
            if status not in (130, 0):  # 0: the study was faster
                problem = f"status {status}: {said}"
            elif status == 130 and (len(said) != 1 or "same command continues" not in said[0]):
                problem = f"said {said}"
        found.tried += 1
        found.lost += [f"after {moment:.3f} s: {problem}"] if problem else []
    return found


class FailingWrites:
    """From the n-th on, every call that makes, fills or renames a file fails.

    Args:
        first: which call fails first, counted from 0.
        number: the ``errno`` it fails with.
        only_once: the calls after it succeed again.
    """

    def __init__(self, first: int, number: int = errno.ENOSPC, only_once: bool = False):
        self.first, self.number, self.only_once = first, number, only_once
        self.calls = 0

    def install(self) -> None:
        """For the rest of this process."""
        for name in ("open", "fsync", "replace", "mkdir"):
            setattr(os, name, self._wrap(name, getattr(os, name)))
        real = os.fdopen
        os.fdopen = lambda handle, *rest, **options: _Failing(real(handle, *rest, **options), self)

    def spend(self) -> None:
        """One more call that writes."""
        self.calls += 1
        over = self.calls > self.first
        if over and not (self.only_once and self.calls > self.first + 1):
            raise OSError(self.number, os.strerror(self.number))

    def _wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            flags = arguments[1] if name == "open" and len(arguments) > 1 else os.O_CREAT
            if int(flags) & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
                self.spend()
            return real(*arguments, **options)

        return call


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
        try:
            self._failing.spend()
        except OSError:
            self._file.write(content[: len(content) // 2])
            raise
        return self._file.write(content)


def _refused(child: Child, status: int, words: str) -> str:
    """What is wrong with how the command line took a fault; empty if nothing is."""
    said = child.said()
    if status != 2 or len(said) != 1 or words not in said[0]:
        return f"status {status}, said {said[-3:]}, expected status 2 and {words!r}"
    return ""


def disk_full(expected: list[object], every: int) -> Outcome:
    """Each call that writes fails in turn, for good or only once, with one error or another.

    Args:
        every: try every n-th call.
    """
    found = Outcome("disk", "full, over quota, broken or read-only from the n-th write on, or once")
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
    words = ("disk is full", "disk is full", "cannot be written", "cannot be written")
    end = 1 << 30
    for only_once in (False, True):
        first = 0
        while first < end:
            which = (first // every) % len(numbers)
            failing = FailingWrites(first, numbers[which], only_once)
            with Trial(expected) as trial:
                child = start(trial.folder, failing.install)
                status = child.wait()
                if status == 0 and not only_once:
                    break  # there are no more calls than this
                problem = "" if status == 0 else _refused(child, status, words[which])
                problem = problem or trial.verdict()
            found.tried += 1
            kind = errno.errorcode[numbers[which]]
            found.lost += [f"{kind} at write {first}: {problem}"] if problem else []
            first += every
        end = min(end, first)
    return found


def file_limit(expected: list[object], moments: int) -> Outcome:
    """The kernel itself cuts files short: a limit of the size of files, as a quota would."""
    found = Outcome("cut short", "the kernel cuts every file at a size, in the middle of a write")
    generator = random.Random(7 * moments)
    for _ in range(moments):
        size = int(10 ** generator.uniform(3, 5))  # what it prints must fit
        with Trial(expected) as trial:
            child = start(
                trial.folder,
                lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size,) * 2),
            )
            problem = _refused(child, child.wait(), "cannot be written") or trial.verdict()
        found.tried += 1
        found.lost += [f"at {size} bytes: {problem}"] if problem else []
    return found


def out_of_memory(expected: list[object], steps: int) -> Outcome:
    """Memory runs out in a training step: the last checkpoint stays, and the rerun uses it."""
    found = Outcome("memory", "runs out in a training step: one line, the last checkpoint stays")
    errors = (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    )
    real = runner.Experiment.loss
    for step in range(1, 8, max(1, 7 // steps)):
        error = errors[step % len(errors)]

        def loss(
            self: object, now: int, generator: torch.Generator, at=step, error=error
        ) -> object:
            if now == at:
                raise error
            return real(self, now, generator)

        with Trial(expected) as trial:
            child = start(trial.folder, lambda loss=loss: setattr(runner.Experiment, "loss", loss))
            problem = _refused(child, child.wait(), "memory")
            if not problem and not any(trial.folder.rglob("*.checkpoint")):
                problem = "the checkpoint is gone"
            problem = problem or trial.verdict()
        found.tried += 1
        found.lost += [f"at step {step}: {problem}"] if problem else []
    return found


def clock(expected: list[object], seconds: float, moments: int) -> Outcome:
    """The clock goes backwards, and files come from tomorrow."""
    found = Outcome("clock", "runs backwards, and an interrupted study's files are from the future")

    def backwards() -> None:
        now = [time.time()]

        def earlier() -> float:
            now[0] -= 3600
            return now[0]

        time.time = earlier
        time.time_ns = lambda: int(earlier() * 1e9)

    generator = random.Random(moments)
    for _ in range(moments):
        with Trial(expected) as trial:
            child = start(trial.folder, backwards, "--budget", "1h")
            time.sleep(generator.uniform(0.2, 0.9) * seconds)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            ahead = time.time() + generator.choice([-1e9, 1e6])
            for path in trial.folder.rglob("*"):
                os.utime(path, (ahead, ahead))
            child = start(trial.folder, backwards)
            problem = "" if child.wait() == 0 else f"said {child.said()}"
            problem = problem or trial.verdict(clean=False)
            if not problem and any(
                min(r.train_seconds, r.evaluate_seconds) < 0 for r in load_records(trial.folder)
            ):
                problem = "a negative duration"
        found.tried += 1
        found.lost += [problem] if problem else []
    return found


def at_once(expected: list[object], times: int) -> Outcome:
    """Several studies write to one folder at once: each run is done once."""
    found = Outcome("at once", "three studies write to one folder: each run is done once")
    generator = random.Random(times)
    for _ in range(times):
        with Trial(expected) as trial:
            children = []
            for _ in range(3):
                children.append(start(trial.folder))
                time.sleep(generator.uniform(0, 0.05))
            problem = "".join(str(c.said()) for c in children if c.wait() != 0)
            ran = [
                line.split(":")[0]
                for child in children
                for line in child.output.read_text().splitlines()
                if " seed " in line
            ]
            if not problem and sorted(ran) != [f"{cell} K=5 seed 0" for cell in CELLS]:
                problem = f"ran {ran}"
            problem = problem or trial.verdict()
        found.tried += 1
        found.lost += [problem] if problem else []
    return found


def try_all(moments: int, kinds: list[str] | None = None) -> list[Outcome]:
    """Every fault, ``moments`` times where moments are random."""
    with prepared():
        expected, seconds = undisturbed()
        every = max(1, 50 // moments)
        faults: dict[str, Callable[[], Outcome]] = {
            "killed": lambda: killed(expected, seconds, moments),
            "interrupted": lambda: interrupted(expected, seconds, moments),
            "disk": lambda: disk_full(expected, every),
            "limit": lambda: file_limit(expected, max(2, moments // 2)),
            "memory": lambda: out_of_memory(expected, max(3, moments // 5)),
            "clock": lambda: clock(expected, seconds, max(2, moments // 5)),
            "at-once": lambda: at_once(expected, max(2, moments // 5)),
        }
        return [fault() for name, fault in faults.items() if not kinds or name in kinds]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all")
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    found = try_all(options.moments, options.kinds)
    if options.json:
        print(json.dumps([dataclasses.asdict(outcome) for outcome in found]))
    else:
        for outcome in found:
            print(f"{outcome.kind}: {outcome.survived} of {outcome.tried} survived")
            print(*(f"  lost: {line}" for line in outcome.lost), sep="\n")
    return int(any(outcome.lost for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
