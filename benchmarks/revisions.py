"""A training step of several checkouts of this package, by turns, in processor time of one thread.

    python benchmarks/revisions.py 49b2653=FOLDER now=. \
        "now, unchecked=.:unchecked" "now, bfloat16=.:precision=bfloat16" [--json FILE]

Each contestant is NAME=FOLDER, the folder of a checkout, and has a process of its own, in which
`Experiment.train` runs the preset as it always does: views, forward and backward pass, optimiser,
the loop's checks. After every few steps it stops until it is its turn again; only steps are timed,
the first two rounds are not counted. With `:unchecked` the loop does not look at losses and
weights, which shows what looking costs; with `:FIELD=VALUE` its preset is changed in that field.

Processor time holds the page faults of a step, and on a busy machine these cost more: compare
ratios within one table. A ratio is that of the first contestant's time to this one's, round by
round: median and quartiles. The loss of the last step tells whether bits changed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def work(folder: str, change: str, cell: str, preset: str, steps: int) -> None:
    """The process of one contestant: a line in means `steps` steps, a line out says their cost."""
    sys.path.insert(0, folder)
    import torch

    torch.set_num_threads(1)
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
        return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    before = [usage()]

    def on_step(step: int, loss: torch.Tensor) -> None:
        if (step + 1) % steps:
            return
        seconds, faults = (b - a for a, b in zip(before[0], usage(), strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
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
            env={**os.environ, "OMP_NUM_THREADS": "1"},
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
        command = ["git", "-C", self.folder, "rev-parse", "--short=10", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def figures(contestants: dict[str, Contestant], rounds: int) -> dict[str, dict[str, Any]]:
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(-2, rounds):
        for name, contestant in contestants.items():
            milliseconds = contestant()
            if turn >= 0:
                taken[name].append(milliseconds)
    first, found = next(iter(taken.values())), {}
    for name, contestant in contestants.items():
        low, middle, high = statistics.quantiles(taken[name], n=4)
        ratios = [a / b for a, b in zip(first, taken[name], strict=True)]
        least, ratio, most = statistics.quantiles(ratios, n=4)
        found[name] = {
            "commit": contestant.commit, "ms a step": middle, "quartiles": [low, high],
            "times faster": ratio, "its quartiles": [least, most],
            "page faults a step": round(statistics.median(contestant.faults[2:])),
            "peak memory GB": contestant.peak, "last loss": f"{contestant.loss:.9g}",
        }  # fmt: skip
        contestant.process.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contestants", nargs="+", metavar="NAME=FOLDER[:CHANGE]")
    parser.add_argument("--cell", default="B0")
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=4, help="steps a round")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    import torch
    from common import write

    named = (entry.partition("=") for entry in options.contestants)
    handed = options.cell, options.preset, str(options.steps)
    contestants = {name: Contestant(where, *handed) for name, _, where in named}
    settings = {
        "cell": options.cell, "preset": options.preset, "rounds": options.rounds,
        "steps a round": options.steps, "measured": "processor time of one thread",
    }  # fmt: skip
    title = f"A step of {options.cell} beside earlier builds"
    write(title, figures(contestants, options.rounds), settings, torch.device("cpu"), options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:4], *sys.argv[4:6], steps=int(sys.argv[6]))
    else:
        main()
