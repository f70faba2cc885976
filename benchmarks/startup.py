"""How long an import takes, beside importing torch alone, side by side in fresh processes.

    python benchmarks/startup.py [--repeats 7]

Every round starts one process per row, in turn, so that a slow spell of the machine falls on all of
them. The figure of a row is the median over the rounds; the ratio is to ``import torch``.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

ROWS = {
    "torch": "import torch",
    "contrastive_tutorial": "import contrastive_tutorial",
    "... norm": "import contrastive_tutorial.norm",
    "... losses, norm, metrics": "from contrastive_tutorial import losses, norm, metrics",
    "... study, records": "from contrastive_tutorial import study, records",
    "... cli": "import contrastive_tutorial.cli",
    "every room": (
        "from contrastive_tutorial import augment, cli, data, errors, files, losses, metrics, "
        "norm, records, report, study, train, verdicts, widgets"
    ),
}
_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def seconds(statement: str) -> float:
    """Wall time of one import in a process of its own."""
    command = [sys.executable, "-c", _TIMED.format(statement)]
    return float(subprocess.check_output(command, text=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    for statement in ROWS.values():  # files come from the disk once
        seconds(statement)
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(repeats):
        for name, statement in ROWS.items():
            times[name].append(seconds(statement))
    base = statistics.median(times["torch"])
    print(f"{'import':28} {'seconds':>8} {'x torch':>8}   (median of {repeats})")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:28} {middle:8.3f} {middle / base:8.2f}")


if __name__ == "__main__":
    main()
