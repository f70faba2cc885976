"""What lies in the folder of a study when it starts: damaged, swapped, foreign or left behind.

A file that is not what it should be is refused in one line, or does no harm. Once it has been taken
away, the same command ends with the same results.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from trials import COMMAND, Outcome, Plan, Trial, refused, results, split_off, start, stopped

from contrastive_tutorial import cli
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records

Damage = tuple[str, Callable[[Path], object]]
NAMES = ("B0-K5-s0", "S-P1-K5-s0")


def ways(moments: int, seed: int) -> Iterator[Damage]:
    """What becomes of a file when a disk, a copy or a power cut goes wrong."""
    generator = random.Random(seed)

    def cut(share: float) -> Callable[[Path], None]:
        return lambda path: os.truncate(path, int(share * path.stat().st_size))

    def flipped(share: float, bit: int) -> Callable[[Path], None]:
        def flip(path: Path) -> None:
            content = bytearray(path.read_bytes())
            content[int(share * len(content))] ^= 1 << bit
            path.write_bytes(content)

        return flip

    def tail(share: float) -> Callable[[Path], None]:
        def zero(path: Path) -> None:
            content = path.read_bytes()
            kept = int(share * len(content))
            path.write_bytes(content[:kept] + bytes(len(content) - kept))

        return zero

    yield "empty", cut(0)
    yield "all zeros", tail(0)
    yield "a folder", lambda path: (path.unlink(), path.mkdir())
    yield "a pipe", lambda path: (path.unlink(), os.mkfifo(path))
    yield "a link to itself", lambda path: (path.unlink(), path.symlink_to(path.name))
    for _ in range(moments):
        share = generator.random()
        yield f"cut at {share:.3f}", cut(share)
        yield f"zeros from {share:.3f}", tail(share)
        share, bit = generator.random(), generator.randrange(8)
        yield f"bit {bit} flipped at {share:.3f}", flipped(share, bit)


def take_away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _file(folder: Path, name: str) -> Path:
    """The one file of this name in a folder of results, or where it would be."""
    (parent,) = {path.parent for path in folder.rglob("*.json")}
    return parent / name


def _edited(**changes: Any) -> Callable[[Path], None]:
    """A record with other values, and the name of the file as it was."""

    def edit(path: Path) -> None:
        content = json.loads(path.read_text())
        content["hyperparameters"] |= changes.pop("hyperparameters", {})
        path.write_text(json.dumps(content | changes))

    return edit


def _of_the_other(path: Path) -> None:
    """The record or arrays of the other cell, in the place of these."""
    shutil.copy(path.with_name(NAMES[1] + path.suffix), path)


def records(plan: Plan) -> Outcome:
    """A record is damaged, or is that of another run."""
    found = Outcome(
        "records", "cut, zeroed, or another run's: refused by study and report, or whole"
    )
    preset = {"name": "tiny", "steps": 9}
    others: list[Damage] = [
        ("another cell's", _of_the_other),
        ("another seed's", _edited(seed=1)),
        ("another K's", _edited(num_subsets=10)),
        ("another preset's", _edited(preset="cpu")),
        ("other images'", _edited(data_hash="0" * 64)),
        ("other data's", _edited(data="cifar10")),
        ("an older definition's", _edited(hyperparameters={"definition": 1})),
        ("a newer definition's", _edited(hyperparameters={"definition": 99})),
        ("another preset's of this name", _edited(hyperparameters={"preset": preset})),
        ("other policies'", _edited(hyperparameters={"policies": "0" * 12})),
        (
            "another cell's of this name",
            _edited(hyperparameters={"cell": {"name": "B0", "policy": "P1"}}),
        ),
        ("a newer package's", _edited(schema_version=2)),
        ("with a strange field", _edited(colour="red")),
        ("without its metrics", _edited(metrics=None)),
        ("with NaN", _edited(metrics={"mean_0": float("nan")})),
    ]
    damaged = [way for way in ways(plan.some(0.2), 1) if "flipped" not in way[0]]
    for name, spoil in [*damaged, *others]:
        with Trial(plan.expected, plan.finished) as trial:
            path = _file(trial.folder, f"{NAMES[0]}.json")
            spoil(path)
            child = start(trial.folder)
            problem = refused(child, child.wait(), NAMES[0])
            # A link to itself is no file to the system: the run is done anew, its record put there.
            if name == "a link to itself" and results(trial.folder) == plan.expected:
                problem = ""
            child = split_off(lambda folder=trial.folder: _report(folder))
            status = child.wait()
            # A record of other settings is a record: report says so where it takes means.
            if not problem and status != 0:
                problem = refused(child, status)
            take_away(path)
            found.note(name, problem or trial.goes_on())
    return found


def _report(folder: Path) -> int:
    return cli.main(["report", "--results", str(folder)])


def arrays(plan: Plan) -> Outcome:
    """The arrays beside a record are damaged, or those of another run."""
    found = Outcome("arrays", "cut, changed or another run's: read as they were, or refused")
    (record,) = load_records(plan.finished, cell="B0")
    before = record.arrays()
    others: list[Damage] = [
        ("another cell's", _of_the_other),
        ("missing", Path.unlink),
    ]
    for name, spoil in [*ways(plan.some(0.2), 2), *others]:
        with Trial(plan.expected, plan.finished) as trial:
            path = _file(trial.folder, f"{NAMES[0]}.npz")
            spoil(path)
            problem = _other_arrays(trial.folder, before)
            take_away(path)
            found.note(name, problem or _again(trial))
    return found


def _other_arrays(folder: Path, before: dict[str, np.ndarray]) -> str:
    """Whether the arrays are read as something else than they were."""

    def read() -> int:
        (record,) = load_records(folder, cell="B0")
        if not record.has_arrays():
            return 3
        try:
            now = record.arrays()
        except InputError:
            return 2
        same = now.keys() == before.keys() and all(
            np.array_equal(now[name], before[name], equal_nan=True) for name in before
        )
        return 0 if same else 1

    child = split_off(read)
    status = child.wait(30)
    return "" if status in (0, 2, 3) else f"status {status}: {child.said()[-1:]}"


def _again(trial: Trial) -> str:
    """``run --again`` puts everything back."""
    command = [word for word in COMMAND if word not in ("study", "--cells", *NAMES, "B0", "S-P1")]
    command[command.index("--seeds")] = "--seed"
    options = ["--results", str(trial.folder), "--again"]
    child = split_off(lambda: cli.main(["run", "B0", *command, *options]))
    if (status := child.wait()) != 0:
        return f"run --again ended with {status}: {child.said()[-1:]}"
    if not _file(trial.folder, f"{NAMES[0]}.npz").is_file():
        return "run --again left no arrays"
    return trial.goes_on()


def checkpoints(plan: Plan) -> Outcome:
    """The checkpoint of an interrupted run is damaged, or that of another run."""
    found = Outcome("checkpoints", "cut, changed or another run's: the same results, or refused")

    def of_run(cell: str, *options: str) -> Callable[[Path], object]:
        def make(path: Path) -> None:
            shutil.copy(other[cell, *options], path)

        return make

    other: dict[tuple[str, ...], Path] = {}
    with Trial(plan.expected, plan.begun) as source:
        for cell, options in (("B0", ()), ("S-P1", ("--seeds", "1")), ("S-P1", ("--subsets", "4"))):
            folder = source.folder.with_name("-".join(("other", cell, *options)))
            child = start(folder, stopped, "--cells", cell, *options)
            assert child.wait() == -9, child.said()
            (other[cell, *options],) = folder.rglob("*.checkpoint")
        others: list[Damage] = [
            ("another cell's", of_run("B0")),
            ("another seed's", of_run("S-P1", "--seeds", "1")),
            ("another K's", of_run("S-P1", "--subsets", "4")),
            ("missing", Path.unlink),
        ]
        for name, spoil in [*ways(plan.some(0.2), 3), *others]:
            with Trial(plan.expected, plan.begun) as trial:
                path = _file(trial.folder, f"{NAMES[1]}.checkpoint")
                spoil(path)
                child = start(trial.folder)
                status = child.wait(60)
                problem = "" if status == 0 else refused(child, status, "checkpoint")
                if status != 0:
                    take_away(path)
                found.note(name, problem or trial.verdict())
    return found


def left_behind(plan: Plan) -> Outcome:
    """What killed processes, other programs and people leave beside the records."""
    found = Outcome("left behind", "old locks, temporary files and copies beside the records")
    (where,) = {path.parent.relative_to(plan.finished) for path in plan.finished.rglob("*.json")}

    def put(name: str, content: bytes = b"x" * 1000, age: float = 0) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            path = folder / where / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (time.time() - age,) * 2)

        return write

    def copied(name: str, source: str) -> Callable[[Path], None]:
        return lambda folder: put(name, (plan.finished / where / source).read_bytes())(folder)

    def finished_checkpoint(folder: Path) -> None:
        """Killed after the record was written and before the checkpoint was removed."""
        shutil.copytree(plan.finished, folder, dirs_exist_ok=True)
        written = (plan.begun / where / f"{NAMES[1]}.checkpoint").read_bytes()
        put(f"{NAMES[1]}.checkpoint", written, 4e7)(folder)  # before the record

    # Locks and temporary files go by themselves; what somebody put there stays, and does no harm.
    gone: list[Damage] = [
        ("a lock with content", put(f".locks/{NAMES[0]}.json.lock", b"12345")),
        ("a lock from last year", put(f".locks/{NAMES[0]}.json.lock", b"", 4e7)),
        ("a checkpoint half written", put(f".{NAMES[0]}.checkpoint.0a1b2c3d~")),
        ("three of them", lambda f: [put(f".{NAMES[0]}.checkpoint.{i}~")(f) for i in range(3)]),
        ("a record half written", put(f".{NAMES[0]}.json.0a1b2c3d~")),
        ("a probe", put(f".{NAMES[1]}.probe~", b"")),
        ("arrays without a record", copied(f"{NAMES[0]}.npz", f"{NAMES[1]}.npz")),
        ("an embedding without a record", copied(f"{NAMES[0]}.umap.npz", f"{NAMES[0]}.npz")),
        ("weights without a record", put(f"{NAMES[0]}.safetensors")),
        ("a finished run's checkpoint", finished_checkpoint),
    ]
    harmless: list[Damage] = [
        ("an editor's copy", put(f".{NAMES[0]}.json.swp")),
        ("a notebook's copy", put(".ipynb_checkpoints/B0-K5-s0-checkpoint.json", b"{}")),
        ("a note", put("README.txt")),
        ("a desktop's file", put(".DS_Store")),
    ]
    refusing: list[Damage] = [
        ("a lock that is a folder", lambda f: (f / where / f".locks/{NAMES[0]}.json.lock").mkdir(
            parents=True)),
        ("a file in place of the locks", put(".locks")),
        ("a file in place of the preset", lambda f: _file_at(f / where)),
    ]  # fmt: skip
    for name, leave in (*gone, *harmless):
        with Trial(plan.expected) as trial:
            leave(trial.folder)
            child = start(trial.folder)
            problem = "" if child.wait() == 0 else f"said {child.said()}"
            verdict = trial.verdict() if (name, leave) in gone else _kept(trial)
            found.note(name, problem or verdict)
    for name, leave in refusing:
        with Trial(plan.expected) as trial:
            leave(trial.folder)
            child = start(trial.folder)
            problem = refused(child, child.wait())
            shutil.rmtree(trial.folder)
            found.note(name, problem or trial.verdict())
    return found


def _kept(trial: Trial) -> str:
    """The verdict on a folder in which somebody put a file of their own; it must still be there."""
    theirs = [path for path in trial.folder.rglob("*") if path.is_file() and _foreign(path)]
    for path in theirs:
        path.rename(trial.folder.parent / path.name)
    return trial.verdict() if theirs else "somebody's own file is gone"


def _foreign(path: Path) -> bool:
    return path.suffix not in (".json", ".npz", ".lock") or path.parent.name == ".ipynb_checkpoints"


def _file_at(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("x")


FAULTS = {
    "records": records,
    "arrays": arrays,
    "checkpoints": checkpoints,
    "left-behind": left_behind,
}
