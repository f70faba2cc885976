"""Time to a kNN accuracy, read off the records of whole runs.

    contrastive-tutorial run B0 --preset resnet-200 --data PATH --seed 0 --quiet   (and 1, and 2)
    python benchmarks/time_to_knn.py [--results results] [--json FILE]

For every device, preset and cell whose records hold a curve of kNN accuracy (k = 10, cosine, clean
official test images): when it reached 88, 89 and 90%, in seconds of *training* (the clock stands
still while accuracy is measured; compilation counts), mean over seeds. A mean is given only where
every seed got there, beside how many did. *Train* is the whole training, *train and evaluate* adds
the final evaluation with every metric.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import write

from contrastive_tutorial.records import Record, load_records


def first_time(record: Record, accuracy: float) -> float | None:
    """Seconds of training at the first measurement of at least ``accuracy``."""
    return next((seconds for _, seconds, found in record.knn_curve if found >= accuracy), None)


def rows(records: Sequence[Record], accuracies: Sequence[float]) -> list[dict[str, Any]]:
    """One row for each device, data set, preset and cell."""
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        if record.knn_curve:
            groups[record.device, record.data, record.preset, record.cell].append(record)
    table = []
    for (device, data, preset, cell), members in sorted(groups.items()):
        row: dict[str, Any] = {
            "device": device, "data": data, "preset": preset, "cell": cell, "seeds": len(members),
        }  # fmt: skip
        for accuracy in accuracies:
            times = [first_time(record, accuracy) for record in members]
            reached = [seconds for seconds in times if seconds is not None]
            row[f"seconds_to_{accuracy:g}"] = (
                statistics.mean(reached)
                if len(reached) == len(members)
                else f"{len(reached)} of {len(members)} seeds"
            )
        row["best_knn"] = statistics.mean(max(f for _, _, f in r.knn_curve) for r in members)
        row["train_seconds"] = statistics.mean(r.train_seconds for r in members)
        row["train_and_evaluate_seconds"] = statistics.mean(
            r.train_seconds + r.evaluate_seconds for r in members
        )
        row["images_per_second"] = statistics.mean(r.images_per_second for r in members)
        table.append(row)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="results", help="folder of records")
    parser.add_argument("--accuracy", nargs="+", type=float, default=[0.88, 0.89, 0.90])
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    found = rows(load_records(options.results), options.accuracy)
    if not found:
        parser.exit(
            2,
            f"{options.results}: no record holds a curve of kNN accuracy; "
            "run a preset that measures it, such as resnet-100\n",
        )
    figures = {str(number): row for number, row in enumerate(found, 1)}
    write("Time to a kNN accuracy", figures, {}, torch.device("cpu"), options.json)


if __name__ == "__main__":
    main()
