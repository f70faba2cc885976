"""Run a recorded run again and compare: the same bits on the same machine, near it elsewhere.

A CPU run is deterministic for one CPU model, number of threads and set of versions. On another
machine rounding differs, and training amplifies rounding; then a rerun can only be expected to lie
where another seed might have: within the spread of the recorded seeds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from contrastive_tutorial.data import load_splits
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import shown
from contrastive_tutorial.metrics import METRICS
from contrastive_tutorial.records import (
    Record,
    load_record,
    load_records,
    require_alike,
    require_one_cell,
)
from contrastive_tutorial.study.embedding import threads_kept
from contrastive_tutorial.study.request import Request
from contrastive_tutorial.study.runner import require_definition, require_settings, run

#: What a rerun reads of ``hyperparameters``.
_READ = {
    "definition": int, "test_hash": str, "encoder": str, "batch_norm": str, "policies": str,
    "cell": dict, "preset": dict,
}  # fmt: skip
_KINDS = {int: "a whole number", str: "text", dict: "a mapping"}


@dataclass(frozen=True)
class Difference:
    """One metric of the rerun beside the record.

    Attributes:
        metric: its name.
        recorded, found: the two values.
        low, high: smallest and largest recorded value over seeds, widened by their distance, or
            ``None`` with fewer than two seeds.
    """

    metric: str
    recorded: float
    found: float
    low: float | None
    high: float | None

    @property
    def within(self) -> bool | None:
        """Whether the rerun lies where a recorded seed might have; ``None``: too few seeds."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.found <= self.high


@dataclass(frozen=True)
class Reproduction:
    """What came out of a rerun.

    Attributes:
        record, rerun: both, in full.
        identical: every recorded number is equal to the last bit.
        same_setting: device, versions and thread count are those of the record.
        differences: of the headline metrics.
        seeds: how many recorded seeds the spread comes from.
    """

    record: Record
    rerun: Record
    identical: bool
    same_setting: bool
    differences: tuple[Difference, ...]
    seeds: int

    @property
    def holds(self) -> bool:
        """Identical, or no headline metric outside the spread over seeds."""
        return self.identical or all(d.within is not False for d in self.differences)

    def __str__(self) -> str:
        where = "a device of the same name and versions" if self.same_setting else "another machine"
        if self.identical:
            return f"{self.record.stem}: bit-identical, on {where}"
        lines = [f"{self.record.stem}: not bit-identical, on {where}"]
        for d in self.differences:
            line = f"  {d.metric:17} recorded {d.recorded:.4f}, now {d.found:.4f}"
            if d.low is not None and d.high is not None:
                word = "within" if d.within else "OUTSIDE"
                line += f", {word} [{d.low:.4f}, {d.high:.4f}] of {self.seeds} seeds"
            lines.append(line)
        if self.same_setting:
            lines.append("  processors of one name can differ, and add numbers up in another order")
        if self.differences and self.differences[0].within is None:
            lines.append("  too few recorded seeds to say how far a rerun may lie from its record")
        return "\n".join(lines)


def reproduce(
    path: str | Path,
    images: str | Path,
    device: str | None = None,
    progress: bool = True,
) -> Reproduction:
    """Run a record's run again, in a temporary folder, and compare.

    Args:
        path: of the record; runs of the same cell beside it give the spread over seeds.
        images: the data set it was made on.
        device: ``None`` for the best there is.
        progress: draw a progress bar.

    Raises:
        InputError: for a record that cannot be read, or is of another definition of the cells or
            of other settings than its names stand for, or data with another content.
    """
    record = load_record(path)
    for name, kind in _READ.items():
        found = record.hyperparameters.get(name)  # older records lack some
        if found is not None and type(found) is not kind:
            raise InputError(
                f"{record.path}: hyperparameters[{name!r}]: expected {_KINDS[kind]}, got "
                f"{found!r:.60}; delete the record and run that cell again"
            )
    require_definition(record, "reproduce it with that commit")
    sets = load_splits(images)
    tested = record.hyperparameters.get("test_hash") or sets[-1].content_hash
    for part, wanted in ((sets[0], record.data_hash), (sets[-1], tested)):
        if part.content_hash != wanted:
            raise InputError(
                f"{images}: its {part.split} images are not those of the record ({record.data}, "
                f"content {shown(wanted[:12])}; found {part.content_hash[:12]}); give the data set "
                f"that {record.stem} was recorded on"
            )
    with tempfile.TemporaryDirectory() as folder, threads_kept():
        # As many threads as the record's device says: sums are split among them, and rounded so.
        if record.threads:
            torch.set_num_threads(record.threads)
        request = Request(
            record.cell, record.preset, record.seed, record.num_subsets, folder, device,
            arrays=False, progress=progress,
        )  # fmt: skip
        require_settings(record, request, record.data, "make it again as it was made then")
        again, _ = run(request, sets)
    assert again is not None  # nobody else writes into that folder
    family = load_records(
        Path(path).parent, cell=record.cell, preset=record.preset, num_subsets=record.num_subsets
    )
    return compare(record, again, family)


def compare(record: Record, again: Record, family: Sequence[Record]) -> Reproduction:
    """Compare a rerun with its record; ``family`` are the recorded runs of the same cell."""
    peers = [r for r in family if _is_peer(record, r)]
    differences = []
    for metric, registered in METRICS.items():
        if not registered.reported or not {metric} <= set(record.metrics) & set(again.metrics):
            continue
        values = [r.metrics[metric] for r in peers if metric in r.metrics]
        low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
        if low is not None and high is not None:
            low, high = low - (high - low), high + (high - low)
        found = Difference(metric, record.metrics[metric], again.metrics[metric], low, high)
        differences.append(found)
    fields = ("metrics", "evaluations", "extra", "loss_curve")
    return Reproduction(
        record=record,
        rerun=again,
        identical=all(getattr(record, name) == getattr(again, name) for name in fields),
        same_setting=(record.device, record.versions) == (again.device, again.versions),
        differences=tuple(differences),
        seeds=len(peers),
    )


def _is_peer(record: Record, other: Record) -> bool:
    """Whether two records differ in their seed alone."""
    try:
        require_alike((record, other), record.cell)
        require_one_cell((record, other), record.cell)
    except InputError:
        return False
    return True
