"""A training step of several checkouts of this package, by turns.

    python benchmarks/revisions.py 49b2653=FOLDER now=. \
        "now, unchecked=.:unchecked" "now, bfloat16=.:precision=bfloat16" [--json FILE]
    python benchmarks/revisions.py 49b2653=FOLDER now=. --whole PATH_OF_IMAGES [--json FILE]

Each contestant is NAME=FOLDER, the folder of a checkout, and has a process of its own, in which
`Experiment.train` runs the preset as it always does: views, forward and backward pass, optimiser,
the loop's checks. After every few steps it stops until it is its turn again; only steps are timed,
the first two rounds are not counted. By default in processor time of one thread; with `--threads 2`
in seconds of the clock, which asks for a quiet machine. With `:unchecked` the loop does not look at
losses and weights, which shows what looking costs; with `:FIELD=VALUE` its preset is changed in
that field.

How often a step faults for pages differs from one process to the next, and it is an eighth of a
step and more: so all contestants are started several times. A ratio is that of the first
contestant's time to this one's, round by round: median and quartiles, and the least and the largest
median of a start. The loss of the last step tells whether bits changed.

With `--whole` each contestant runs `contrastive-tutorial run` by turns, from the start of Python to
the record, on as many threads as it likes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Table = dict[str, dict[str, Any]]


def work(folder: str, change: str, cell: str, preset: str, steps: int, threads: int) -> None:
    """The process of one contestant: a line in means `steps` steps, a line out says their cost."""
    sys.path.insert(0, folder)
    import torch

    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    from contrastive_tutorial import data

    try:
        from contrastive_tutorial.study import Experiment
    except ImportError:  # before the package had rooms
        from contrastive_tutorial.experiment import Experiment
    if change == "unchecked":
        from contrastive_tutorial.train import loop

        loop._Training.look = lambda *ignored: None  # type: ignore[method-assign]
    elif change:
        preset = f"{preset}+{change}"

    counts = {"train": 5_000, "val": 100, "test": 100}
    device = torch.device("cpu")
    sets = tuple(data.load("shapes", s, device, num_images=n) for s, n in counts.items())
    experiment = Experiment(cell, sets, preset, device=device)

    def usage() -> tuple[float, int]:
        return clock(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    before = [usage()]

    def on_step(step: int, loss: torch.Tensor) -> None:
        if (step + 1) % steps:
            return
        seconds, faults = (b - a for a, b in zip(before[0], usage(), strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(1e3 * seconds / steps, faults / steps, peak, float(loss), flush=True)
        if not sys.stdin.readline():
            sys.exit()
        before[0] = usage()

    print("ready", flush=True)
    sys.stdin.readline()
    before[0] = usage()
    experiment.train(progress=False, on_step=on_step)


class Contestant:
    """Its process; called, it takes its steps and returns milliseconds a step."""

    def __init__(self, where: str, *options: str) -> None:
        folder, _, change = where.partition(":")
        self.folder = str(Path(folder).resolve())
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", self.folder, change, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": options[-1]},
        )  # fmt: skip
        self.faults: list[float] = []
        self.peak = self.loss = 0.0
        self.read()

    def read(self) -> str:
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise SystemExit("a contestant's process has ended; its message is above")
        return line

    def __call__(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        milliseconds, faults, self.peak, self.loss = map(float, self.read().split())
        self.faults.append(faults)
        return milliseconds

    @property
    def commit(self) -> str:
        return commit(self.folder)


def commit(folder: str) -> str:
    command = ["git", "-C", folder, "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def figures(start: Callable[[], dict[str, Contestant]], starts: int, rounds: int) -> Table:
    """Milliseconds, ratios, page faults and memory of every contestant."""
    taken: dict[str, list[float]] = {}
    last: dict[str, Contestant] = {}
    faults: dict[str, list[float]] = {}
    for _ in range(starts):
        last = start()
        for turn in range(-2, rounds):
            for name, contestant in last.items():
                milliseconds = contestant()
                if turn >= 0:
                    taken.setdefault(name, []).append(milliseconds)
        for name, contestant in last.items():
            contestant.process.kill()
            faults.setdefault(name, []).append(statistics.median(contestant.faults[2:]))
    first, found = next(iter(taken.values())), {}
    for name, contestant in last.items():
        low, middle, high = statistics.quantiles(taken[name], n=4)
        ratios = [a / b for a, b in zip(first, taken[name], strict=True)]
        least, ratio, most = statistics.quantiles(ratios, n=4)
        each = [statistics.median(ratios[i : i + rounds]) for i in range(0, len(ratios), rounds)]
        found[name] = {
            "commit": contestant.commit, "ms a step": middle, "quartiles": [low, high],
            "times faster": ratio, "its quartiles": [least, most],
            "single starts": [min(each), max(each)],
            "page faults a step": [round(min(faults[name])), round(max(faults[name]))],
            "peak memory GB": contestant.peak, "last loss": f"{contestant.loss:.9g}",
        }  # fmt: skip
    return found


def whole(named: Mapping[str, str], cell: str, preset: str, images: str, rounds: int) -> Table:
    """Seconds and memory of `contrastive-tutorial run`, by turns."""
    taken: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for name, folder in named.items():
            with tempfile.TemporaryDirectory() as results:
                command = [sys.executable, "-m", "contrastive_tutorial", "run", cell, "--quiet"]
                command += ["--preset", preset, "--data", images, "--results", results]
                began = time.perf_counter()
                process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
                _, status, used = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - began
                if status:
                    raise SystemExit(f"{name}: the run failed")
                (record,) = Path(results).glob(f"*/*/{cell}-*.json")
                kept = json.loads(record.read_text())
            peak = used.ru_maxrss * 1024 / 1e9
            parts = seconds, kept["train_seconds"], kept["evaluate_seconds"], peak
            taken.setdefault(name, []).append(list(parts))
    middles = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in taken.items()
    }
    first, found = next(iter(middles.values())), {}
    for name, (seconds, training, evaluation, peak) in middles.items():
        found[name] = {
            "commit": commit(named[name]), "seconds": seconds, "training": training,
            "evaluation": evaluation, "peak memory GB": peak,
            "share of the first": seconds / first[0], "evaluation's share": evaluation / first[2],
        }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contestants", nargs="+", metavar="NAME=FOLDER[:CHANGE]")
    parser.add_argument("--cell", default="B0")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=4, help="steps a round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--starts", type=int, default=5, help="of all contestants")
    parser.add_argument("--whole", metavar="PATH", help="images for whole runs")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    import torch
    from common import write

    named = {name: where for name, _, where in (e.partition("=") for e in options.contestants)}
    settings = {"cell": options.cell, "preset": options.preset, "rounds": options.rounds}
    if options.whole:
        if any(":" in where for where in named.values()):
            parser.error("--whole takes folders without changes")
        title = f"A whole run of {options.cell} beside earlier builds"
        asked = options.cell, options.preset, str(Path(options.whole).resolve()), options.rounds
        settings["measured"] = "seconds of the clock; medians"
        write(title, whole(named, *asked), settings, torch.device("cpu"), options.json)
        return
    handed = options.cell, options.preset, str(options.steps), str(options.threads)

    def start() -> dict[str, Contestant]:
        return {name: Contestant(where, *handed) for name, where in named.items()}

    settings |= {
        "steps a round": options.steps, "starts": options.starts,
        "measured": "processor time of one thread" if options.threads == 1
        else f"seconds of the clock, {options.threads} threads",
    }  # fmt: skip
    title = f"A step of {options.cell} beside earlier builds"
    table = figures(start, options.starts, options.rounds)
    write(title, table, settings, torch.device("cpu"), options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:6], steps=int(sys.argv[6]), threads=int(sys.argv[7]))
    else:
        main()
