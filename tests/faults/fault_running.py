"""Faults of a running study: signals, memory, clocks, disks, and other studies beside it."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable

import torch
import trials
from trials import CELLS, DyingWrites, FailingWrites, Outcome, Plan, Trial, refused, start

from contrastive_tutorial.records import load_records
from contrastive_tutorial.study import runner


def _ended(found: Outcome, plan: Plan, share: float, *kinds: signal.Signals) -> Outcome:
    """A signal at random moments of the study, SIGINT twice; for a share of the moments."""
    generator = random.Random(plan.moments)
    for i in range(plan.some(share, len(kinds))):
        moment, sent = generator.uniform(0.02, plan.seconds), kinds[i % len(kinds)]
        with Trial(plan.expected) as trial:
            child = start(trial.folder)
            time.sleep(moment)
            for _ in range(2 if sent == signal.SIGINT else 1):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, sent)
                time.sleep(generator.uniform(0, 0.004))
            hangs = child.wait() == -1000
            problem = trial.verdict(clean=False)
            found.note(f"{sent.name} after {moment:.3f} s", "did not end" if hangs else problem)
    return found


def killed(plan: Plan) -> Outcome:
    """``kill -9``."""
    found = Outcome("kill -9", "at random moments of a study; then the same command")
    return _ended(found, plan, 1, signal.SIGKILL)


def told_to_end(plan: Plan) -> Outcome:
    """What batch systems, containers and closed terminals send; Ctrl-C twice in a row, too."""
    found = Outcome("other signals", "SIGTERM, SIGHUP, SIGXCPU, or SIGINT twice, at random moments")
    kinds = (signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU, signal.SIGINT)
    return _ended(found, plan, 0.8, *kinds)


def killed_writing(plan: Plan) -> Outcome:
    """``kill -9`` at each call that changes a file: every state that the folder goes through."""
    found = Outcome("kill -9, writing", "at the n-th call that changes a file, or in its middle")
    first = 0
    while True:
        with Trial(plan.expected) as trial:
            child = start(trial.folder, DyingWrites(first).install)
            if child.wait() == 0:
                return found  # there are no more calls than this
            found.note(f"at call {first}", trial.verdict(clean=False))
        first += max(1, 50 // plan.moments)


def interrupted(plan: Plan) -> Outcome:
    """Ctrl-C at random moments: exit status 130, one line, and the same command continues."""
    found = Outcome("SIGINT", "Ctrl-C at random moments: status 130 and one line; then go on")
    generator = random.Random(-plan.moments)
    for _ in range(plan.moments):
        moment = generator.uniform(0.02, 0.9 * plan.seconds)
        with Trial(plan.expected) as trial:
            child = start(trial.folder)
            time.sleep(moment)
            os.kill(child.pid, signal.SIGINT)
            status, said = child.wait(), child.said()
            problem = trial.verdict()
            if status not in (130, 0):  # 0: the study was faster
                problem = f"status {status}: {said}"
            elif status == 130 and (len(said) != 1 or "same command continues" not in said[0]):
                problem = f"said {said}"
            found.note(f"after {moment:.3f} s", problem)
    return found


def suspended(plan: Plan) -> Outcome:
    """A study sleeps with its machine; another one works on the folder; then it wakes."""
    found = Outcome("suspended", "one study sleeps while another one works on the same folder")
    generator = random.Random(5 * plan.moments)
    for _ in range(plan.some(0.3)):
        moment = generator.uniform(0.05, 0.9) * plan.seconds
        with Trial(plan.expected) as trial:
            child = start(trial.folder)
            time.sleep(moment)
            os.kill(child.pid, signal.SIGSTOP)
            other = start(trial.folder)
            status = other.wait()
            problem = "" if status == 0 else f"the other one ended with {status}: {other.said()}"
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGCONT)
            if child.wait() != 0:
                problem = f"after its sleep: {child.said()}"
            ran = sorted(line for each in (child, other) for line in _ran(each))
            if not problem and ran != [f"{cell} K=5 seed 0" for cell in CELLS]:
                problem = f"ran {ran}"
            found.note(f"after {moment:.3f} s", problem or trial.verdict())
    return found


def _ran(child: trials.Child) -> list[str]:
    """The runs that a study says it has done."""
    lines = child.output.read_text().splitlines()
    return [line.split(":")[0] for line in lines if " seed " in line]


def disk_full(plan: Plan) -> Outcome:
    """Each call that writes fails in turn, for good or only once, with one error or another."""
    found = Outcome("disk", "full, over quota, broken or read-only from the n-th write on, or once")
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
    words = ("disk is full", "disk is full", "cannot be written", "cannot be written")
    every, end = max(1, 50 // plan.moments), 1 << 30
    for only_once in (False, True):
        first = 0
        while first < end:
            which = (first // every) % len(numbers)
            failing = FailingWrites(first, numbers[which], only_once)
            with Trial(plan.expected) as trial:
                child = start(trial.folder, failing.install)
                status = child.wait()
                if status == 0 and not only_once:
                    break  # there are no more calls than this
                problem = "" if status == 0 else refused(child, status, words[which])
                kind = errno.errorcode[numbers[which]]
                found.note(f"{kind} at write {first}", problem or trial.verdict())
            first += every
        end = min(end, first)
    return found


def file_limit(plan: Plan) -> Outcome:
    """The kernel itself cuts files short: a limit of the size of files, as a quota would."""
    found = Outcome("cut short", "the kernel cuts every file at a size, in the middle of a write")
    moments = plan.some(0.5)
    generator = random.Random(7 * moments)
    for _ in range(moments):
        size = int(10 ** generator.uniform(3, 5))  # what it prints must fit
        with Trial(plan.expected) as trial:
            child = start(
                trial.folder,
                lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size,) * 2),
            )
            problem = refused(child, child.wait(), "cannot be written") or trial.verdict()
            found.note(f"at {size} bytes", problem)
    return found


def few_files(plan: Plan) -> Outcome:
    """The kernel gives no more open files, as where something else has lost count of its own."""
    found = Outcome("open files", "the process may hold only n of them open")

    def limit(spare: int) -> Callable[[], None]:
        def at_most() -> None:
            used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (used - 1 + spare, used + 999))

        return at_most

    for spare in range(min(plan.some(0.2, 3), 10)):
        with Trial(plan.expected) as trial:
            child = start(trial.folder, limit(spare))
            status = child.wait()
            problem = "" if status == 0 else refused(child, status, "Too many open files")
            found.note(f"{spare} to spare", problem or trial.verdict())
    return found


def out_of_memory(plan: Plan) -> Outcome:
    """Memory runs out in a training step: the last checkpoint stays, and the rerun uses it."""
    found = Outcome("memory", "runs out in a training step: one line, the last checkpoint stays")
    errors = (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    )
    real = runner.Experiment.loss
    for step in range(1, 8, max(1, 7 // plan.some(0.2, 3))):
        error = errors[step % len(errors)]

        def loss(
            self: object, now: int, generator: torch.Generator, at=step, error=error
        ) -> object:
            if now == at:
                raise error
            return real(self, now, generator)

        with Trial(plan.expected) as trial:
            child = start(trial.folder, lambda loss=loss: setattr(runner.Experiment, "loss", loss))
            problem = refused(child, child.wait(), "memory")
            if not problem and not any(trial.folder.rglob("*.checkpoint")):
                problem = "the checkpoint is gone"
            found.note(f"at step {step}", problem or trial.verdict())
    return found


def clock(plan: Plan) -> Outcome:
    """The clock goes backwards, and files come from tomorrow."""
    found = Outcome("clock", "runs backwards, and an interrupted study's files are from the future")

    def backwards() -> None:
        now = [time.time()]

        def earlier() -> float:
            now[0] -= 3600
            return now[0]

        time.time = earlier
        time.time_ns = lambda: int(earlier() * 1e9)

    generator = random.Random(plan.some(0.2))
    for i in range(plan.some(0.2)):
        with Trial(plan.expected) as trial:
            child = start(trial.folder, backwards, "--budget", "1h")
            time.sleep(generator.uniform(0.2, 0.9) * plan.seconds)
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
            found.note(f"the {i}th time", problem)
    return found


def at_once(plan: Plan) -> Outcome:
    """Several studies write to one folder at once: each run is done once."""
    found = Outcome("at once", "three studies write to one folder: each run is done once")
    generator = random.Random(plan.some(0.2))
    for i in range(plan.some(0.2)):
        with Trial(plan.expected) as trial:
            children = []
            for _ in range(3):
                children.append(start(trial.folder))
                time.sleep(generator.uniform(0, 0.05))
            problem = "".join(str(c.said()) for c in children if c.wait() != 0)
            ran = [line for child in children for line in _ran(child)]
            if not problem and sorted(ran) != [f"{cell} K=5 seed 0" for cell in CELLS]:
                problem = f"ran {ran}"
            found.note(f"the {i}th time", problem or trial.verdict())
    return found


def moved_away(plan: Plan) -> Outcome:
    """Somebody moves or removes the folder, or puts a file in its place, while the study runs."""
    found = Outcome("folder gone", "the folder is moved, removed or replaced by a file meanwhile")
    generator = random.Random(11 * plan.moments)
    for i in range(plan.some(0.3, 3)):
        moment = generator.uniform(0.1, 0.9) * plan.seconds
        with Trial(plan.expected) as trial:
            child = start(trial.folder)
            time.sleep(moment)
            aside = trial.folder.with_name("aside")
            with contextlib.suppress(FileNotFoundError):
                trial.folder.rename(aside)
            if i % 3 == 1:
                shutil.rmtree(aside, ignore_errors=True)
            if i % 3 == 2:
                with contextlib.suppress(OSError):  # the study was faster
                    trial.folder.touch(exist_ok=False)
            status = child.wait()
            problem = "" if status in (0, 2) and len(child.said()) <= 1 else f"said {child.said()}"
            if trial.folder.is_file():
                trial.folder.unlink()
            if not problem and aside.exists():  # what lies there is whole
                moved = Trial(plan.expected, aside)
                with moved:
                    problem = moved.verdict(clean=False)
            found.note(f"after {moment:.3f} s", problem or trial.verdict(clean=False))
    return found


FAULTS = {
    "killed": killed,
    "killed-writing": killed_writing,
    "interrupted": interrupted,
    "signals": told_to_end,
    "suspended": suspended,
    "disk": disk_full,
    "limit": file_limit,
    "open-files": few_files,
    "memory": out_of_memory,
    "clock": clock,
    "at-once": at_once,
    "folder-gone": moved_away,
}
