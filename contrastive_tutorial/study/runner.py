"""Run one cell, or a study of many: from images to a record.

A run is defined by ``(cell, data, preset, seed, num_subsets)`` and leaves one record. The same
command finds the record and does nothing, or finds a checkpoint and continues. Runs are
independent, so any number of processes may work on one results folder: each run is done once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from contrastive_tutorial import metrics
from contrastive_tutorial.data import ImageSet, load_splits
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import exclusive
from contrastive_tutorial.records import Record, load_record, record_file
from contrastive_tutorial.study.cells import CELLS, PRESETS, THREE
from contrastive_tutorial.study.cells import cell as get_cell
from contrastive_tutorial.study.cells import preset as get_preset
from contrastive_tutorial.study.experiment import Experiment
from contrastive_tutorial.study.scoring import Scores, downstream, require_scorable
from contrastive_tutorial.study.views import layout
from contrastive_tutorial.train import History, World, resolve_device, share

__all__ = [
    "CELLS",
    "PRESETS",
    "THREE",
    "Experiment",
    "Run",
    "missing_runs",
    "parse_budget",
    "plan",
    "run",
    "study",
]


@dataclass(frozen=True)
class Run:
    """Which run: a cell with one seed and one number of subsets, under a preset."""

    cell: str
    preset: str
    seed: int
    num_subsets: int

    def file(self, results: str | Path, data_name: str) -> Path:
        """Its record's path."""
        return record_file(results, data_name, self.preset, self.cell, self.num_subsets, self.seed)

    def check(self, world: World) -> None:
        """Whether its batch can be divided at all, and among these processes.

        Raises:
            InputError: for unknown names, and where it cannot.
        """
        if self.num_subsets < 1:
            raise InputError(f"num_subsets: expected 1 or more, got {self.num_subsets}")
        share(
            layout(get_cell(self.cell), get_preset(self.preset).batch_size, self.num_subsets), world
        )


def run(
    cell: str,
    images: str | Path | tuple[ImageSet, ...] = "shapes",
    preset: str = "cpu",
    seed: int = 0,
    num_subsets: int = 10,
    results: str | Path = "results",
    device: str | None = None,
    arrays: bool | None = None,
    progress: bool = True,
    again: bool = False,
    world: World | None = None,
    batch_norm: str = "sync",
) -> Record | None:
    """Run one cell with one seed and write its record, or load the record if it is there.

    Args:
        cell: name of a registered cell.
        images: data set name, path, or ``(train, val, test)`` image sets.
        preset: name of a registered preset.
        seed, num_subsets: which run.
        results: folder of records; a checkpoint lies beside the record while the run lasts.
        device: ``None`` for the best there is.
        arrays: keep compact features of 2,000 test images for figures (``None``: for seed 0).
        progress: draw a progress bar.
        again: run even if a record is there, and replace it.
        world: the processes that train this one run together; the first of them keeps the record.
        batch_norm: as in :class:`Experiment`.

    Returns:
        The record; ``None`` if another process is working on this very run, and in all but the
        first of several processes.

    Raises:
        InputError: for bad input of any kind; nothing is left half-written.
    """
    record, _ = run_or_load(
        cell, images, preset, seed, num_subsets, results, device, arrays, progress, again, world,
        batch_norm,
    )  # fmt: skip
    return record


def run_or_load(
    cell: str,
    images: str | Path | tuple[ImageSet, ...],
    preset: str,
    seed: int,
    num_subsets: int,
    results: str | Path,
    device: str | None = None,
    arrays: bool | None = None,
    progress: bool = True,
    again: bool = False,
    world: World | None = None,
    batch_norm: str = "sync",
) -> tuple[Record | None, bool]:
    """:func:`run`, and whether the record is new: made by this call, not found."""
    get_cell(cell), get_preset(preset)  # before loading any image
    where, world = resolve_device(device), world or World()
    if world.size > 1:
        return _run_together(
            cell, images, preset, seed, num_subsets, results, where, arrays, progress, again,
            world, batch_norm,
        )  # fmt: skip
    images = load_splits(images, where)
    target = Run(cell, preset, seed, num_subsets).file(results, images[0].name)
    if target.exists() and not again:
        return _found(target, images[0]), False
    with exclusive(target) as ours:
        if not ours:
            return None, False
        if target.exists() and not again:  # another process made it a moment ago
            return _found(target, images[0]), False
        keep = arrays if arrays is not None else seed == 0
        record = _run(cell, images, preset, seed, num_subsets, target, where, keep, progress)
        assert record is not None  # there is but one process
        return replace(record, path=target), True


def _run_together(
    cell: str,
    images: str | Path | tuple[ImageSet, ...],
    preset: str,
    seed: int,
    num_subsets: int,
    results: str | Path,
    device: torch.device,
    arrays: bool | None,
    progress: bool,
    again: bool,
    world: World,
    batch_norm: str,
) -> tuple[Record | None, bool]:
    """:func:`run` on several processes: the first one decides, trains with all, and records."""
    if isinstance(images, (str, Path)):
        source = images
        world.from_first(lambda: len(load_splits(source)))  # decode once; all read the cache
        images = load_splits(images, device)
    target = Run(cell, preset, seed, num_subsets).file(results, images[0].name)
    with ExitStack() as held:

        def claim() -> str:
            if target.exists() and not again:
                return "recorded"
            if not held.enter_context(exclusive(target)):
                return "taken"
            return "recorded" if target.exists() and not again else "ours"

        state = world.from_first(claim)
        if state == "ours":
            keep = arrays if arrays is not None else seed == 0
            _run(
                cell, images, preset, seed, num_subsets, target, device, keep, progress, world,
                batch_norm,
            )  # fmt: skip
        found = world.is_first and state != "taken"
        record = _found(target, images[0]) if found else None
        return record, state == "ours"


def _run(
    cell: str,
    images: tuple[ImageSet, ...],
    preset: str,
    seed: int,
    num_subsets: int,
    target: Path,
    device: torch.device,
    arrays: bool,
    progress: bool,
    world: World | None = None,
    batch_norm: str = "sync",
) -> Record | None:
    world = world or World()
    checkpoint = target.with_suffix(".checkpoint")
    experiment = Experiment(cell, images, preset, seed, num_subsets, device, world, batch_norm)
    require_scorable(experiment.cell, experiment.preset, *images)
    reference = experiment.cell.reference
    label: bool | str = False
    if progress and world.is_first:
        label = f"{cell} K={num_subsets} seed {seed}"
    history = experiment.train(checkpoint, label) if reference is None else History()
    if not world.is_first:
        return None
    started = time.perf_counter()
    if reference in ("raw-pixels", "pca"):
        scores = _reference_scores(reference, experiment)
    else:
        scores = experiment.evaluate(arrays)
    record = experiment.record(history, scores, time.perf_counter() - started)
    record.save(target.parents[2], scores.arrays)
    checkpoint.unlink(missing_ok=True)
    return record


def _reference_scores(kind: str, experiment: Experiment) -> Scores:
    """Class metrics of features that no contrastive training made."""
    train_set, test_set = experiment.train_set, experiment.test_set
    bank = metrics.raw_pixel_features(train_set.images)
    test = metrics.raw_pixel_features(test_set.images)
    # The linear probe and the neighbours of raw pixels are those of their leading components;
    # 3,072 dimensions would only make them slow.
    if kind == "pca":
        bank, test = metrics.pca_features(bank, test, 128)
    preset = experiment.preset
    found = downstream(
        torch.as_tensor(bank),
        train_set.labels,
        torch.as_tensor(test),
        test_set.labels,
        len(test_set.class_names),
        experiment.seed,
        preset.kmeans_restarts,
    )
    return Scores("none", found, {}, {}, {})


def _found(target: Path, train_set: ImageSet) -> Record:
    """A record that is there; refused if other images of the same name made it."""
    record = load_record(target)
    if record.data_hash != train_set.content_hash:
        raise InputError(
            f"{target}: was recorded on other images named {train_set.name!r}; choose another "
            "folder with --results, or rename the data"
        )
    return record


def missing_runs(runs: Sequence[Run], results: str | Path, train_set: ImageSet) -> list[Run]:
    """Those of ``runs`` that have no record yet, in order.

    Raises:
        InputError: for a record that is damaged, or that was made on other images of that name.
    """
    files = {wanted: wanted.file(results, train_set.name) for wanted in runs}
    for file in files.values():
        if file.exists():
            _found(file, train_set)
    return [wanted for wanted, file in files.items() if not file.exists()]


def plan(
    cells: Sequence[str], seeds: Sequence[int], num_subsets: Sequence[int], preset: str
) -> list[Run]:
    """Every run of a study, seeds outermost: an interrupted study has complete seeds to compare.

    Raises:
        InputError: for unknown names, and for a batch that some K does not divide: before the first
            run, not hours later when its turn comes.
    """
    for cell in cells:
        for k in num_subsets:
            Run(cell, preset, 0, k).check(World())
    return [Run(cell, preset, seed, k) for seed in seeds for k in num_subsets for cell in cells]


def study(
    cells: Sequence[str],
    seeds: Sequence[int],
    images: str | Path = "shapes",
    preset: str = "cpu",
    num_subsets: Sequence[int] = (10,),
    results: str | Path = "results",
    device: str | None = None,
    budget: float | None = None,
    shard: tuple[int, int] = (0, 1),
    progress: bool = True,
    arrays: bool | None = None,
) -> Iterator[Record]:
    """Run every cell x seed x K that has no record yet, and yield each new record.

    Any number of studies may work on one folder: what another one does, or did since this one
    began, is left to it and not yielded here.

    Args:
        cells, seeds, num_subsets: the grid.
        images, preset, results, device, progress, arrays: as in :func:`run`.
        budget: seconds; no run is started that would not end in time, judging by the longest run
            so far.
        shard: ``(i, n)`` takes every n-th run, starting at the i-th, for several hosts.
    """
    started = time.monotonic()
    runs = plan(cells, seeds, num_subsets, preset)
    where = resolve_device(device)
    sets = load_splits(images, where)
    longest = 0.0
    # Shares of the whole plan, not of what is missing now: hosts that start late agree on them.
    for wanted in missing_runs(runs[shard[0] :: shard[1]], results, sets[0]):
        if budget is not None and time.monotonic() - started + longest > budget:
            return
        began = time.monotonic()
        record, is_new = run_or_load(
            wanted.cell, sets, preset, wanted.seed, wanted.num_subsets, results, device, arrays,
            progress,
        )  # fmt: skip
        longest = max(longest, time.monotonic() - began)
        if record is not None and is_new:
            yield record


def parse_budget(text: str) -> float:
    """Seconds from ``"25m"``, ``"1.5h"``, ``"90s"`` or ``"90"``.

    Raises:
        InputError: if it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match:
        raise InputError(f"budget: expected a time such as 90s, 25m or 1.5h, got {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
