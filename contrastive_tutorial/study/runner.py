"""Carry out requests: one run, or a study of many, from images to records.

A run is defined by its request and its images, and leaves one record. The same command finds the
record and does nothing, or finds a checkpoint and continues. Runs are independent, so any number of
processes may work on one results folder: each run is done once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from contrastive_tutorial.data import ImageSet, load_splits, require_seed
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import exclusive, remove, shown
from contrastive_tutorial.records import USUAL, WORDS, Record, load_record, said
from contrastive_tutorial.study.cells import DEFINITION, resolved
from contrastive_tutorial.study.experiment import Experiment, definition
from contrastive_tutorial.study.norms import Setting, Trial
from contrastive_tutorial.study.request import NORM_PRESET, Request
from contrastive_tutorial.study.scoring import Scores, reference_scores, require_scorable
from contrastive_tutorial.study.views import layout, require_one_pass
from contrastive_tutorial.train import History, ProcessGroup, resolve_device, shard

Images = str | Path | ImageSet | Sequence[ImageSet]


class Outcome(NamedTuple):
    """What became of a request.

    Attributes:
        record: ``None`` if another process is working on this very run, and in all but the first
            of several processes.
        is_new: made by this call, and not found.
    """

    record: Record | None
    is_new: bool


def check(request: Request, group: ProcessGroup) -> None:
    """Refuse, before any image is read, what cannot be carried out.

    Raises:
        InputError: for unknown names, for a batch that cannot be divided as asked, and for a seed
            that some library does not take.
    """
    require_seed(request.seed)
    if request.preset == NORM_PRESET:
        Setting.of(request)
        if group.size > 1:
            raise InputError("torchrun: a run of the normalisation study takes one process")
        return
    cell, preset = resolved(request.cell, request.preset)
    if request.num_subsets < 1:
        raise InputError(f"num_subsets: expected 1 or more, got {request.num_subsets}")
    require_one_pass(cell, preset.passes)
    shard(layout(cell, preset.batch_size, request.num_subsets), group)


def run(request: Request, images: Images = "shapes", group: ProcessGroup | None = None) -> Outcome:
    """Carry out one request, or find its record.

    Args:
        request: which run, and how.
        images: whatever :func:`contrastive_tutorial.data.load_splits` takes: data set name, path,
            an image set, or three of them.
        group: the processes that train this one run together; the first of them keeps the record.

    Raises:
        InputError: for bad input of any kind; nothing is left half-written.
    """
    group = group or ProcessGroup()
    check(request, group)
    where = resolve_device(request.device)
    if group.size > 1:
        group.from_first(lambda: len(load_splits(images)))  # decode once; all read the cache
    sets = load_splits(images, where)
    target = request.file(sets[0].name)
    with ExitStack() as held:

        def claim() -> str:
            if target.exists() and not request.again:
                return "recorded"
            if not held.enter_context(exclusive(target)):
                return "taken"
            if target.exists() and not request.again:  # made by another one a moment ago
                return "recorded"
            _drop_finished(target)
            return "ours"

        state = group.from_first(claim)
        if state == "ours":
            _finish(request, sets, target, group)
        if state == "taken" or not group.is_first:
            return Outcome(None, False)
        return Outcome(_found(request, sets[0], sets[-1], group.size > 1), state == "ours")


def _finish(
    request: Request, images: Sequence[ImageSet], target: Path, group: ProcessGroup
) -> None:
    """Train, score and record: the whole of a run, from wherever its checkpoint stands."""
    label = str(request) if request.progress and group.is_first else False
    if request.preset == NORM_PRESET:
        trial = Trial(Setting.of(request), images[0], images[-1], device=request.device)
        trial.record(label).save(request.results)
        return
    checkpoint = target.with_suffix(".checkpoint")
    experiment = Experiment(request, tuple(images), group=group)
    require_scorable(experiment.cell, experiment.preset, *images)
    reference = experiment.cell.reference
    # What a record refuses, such as an odd name, must be refused before a step is taken.
    experiment.record(History(), Scores("none", {}, {}, {}, {}))
    history = experiment.train(checkpoint, label) if reference is None else History()
    if not group.is_first:
        return
    started = time.perf_counter()
    if reference in ("raw-pixels", "pca"):
        scores = reference_scores(
            reference, experiment.train_set, experiment.test_set, experiment.preset, request.seed
        )
    else:
        scores = experiment.evaluate(request.keeps_arrays)
    record = experiment.record(history, scores, time.perf_counter() - started)
    weights = target.with_suffix(".safetensors")
    remove(weights)  # of an earlier run
    if request.keep_weights and reference not in ("raw-pixels", "pca"):
        experiment.save_encoder(weights)
    record.save(request.results, scores.arrays)
    remove(checkpoint)


def _found(
    request: Request, train_set: ImageSet, test_set: ImageSet | None, several: bool = False
) -> Record:
    """The record of a request, in one process or ``several``; refused if it is none of this run."""
    record = load_record(request.file(train_set.name))
    tested = record.hyperparameters.get("test_hash")  # younger than the first records
    if record.data_hash != train_set.content_hash or (
        test_set is not None and tested not in (None, test_set.content_hash)
    ):
        raise InputError(
            f"{record.path}: was recorded on other images named {train_set.name!r}; choose another "
            "folder with --results, or rename the data"
        )
    require_definition(record, "use --again or another folder with --results")
    remedy = "move it away, use --again, or choose another folder with --results"
    require_settings(record, request, train_set.name, remedy, several)
    _sweep(request.file(train_set.name))
    return record


def require_settings(
    record: Record, request: Request, data: str, remedy: str, several: bool = False
) -> None:
    """Refuse a record that lies where another one belongs, or of other settings of these names.

    Settings that an older package did not know are not in its records, and not compared.

    Raises:
        InputError: naming the setting, what it should be and is, and ``remedy``.
    """
    wanted: dict[str, Any] = {"data": data, "preset": request.preset_name}
    found: dict[str, Any] = {name: getattr(record, name) for name in wanted}
    # No request asks for a network of one's own; one process has no statistics but its own.
    wanted |= {"encoder": USUAL["encoder"]}
    wanted |= {"batch_norm": request.batch_norm if several else USUAL["batch_norm"]}
    found |= {name: said(record, name) for name in ("encoder", "batch_norm")}
    if request.preset != NORM_PRESET:
        settings = definition(*resolved(request.cell, request.preset))
        for part in ("cell", "preset", "policies"):
            ours, theirs = settings[part], record.hyperparameters.get(part)
            if theirs is None:  # older than the field
                continue
            if not isinstance(ours, dict) or not isinstance(theirs, dict):
                wanted, found = wanted | {part: ours}, found | {part: theirs}
                continue
            both = (ours.keys() & theirs.keys()) - {*WORDS}
            wanted |= {f"{part} {name}": ours[name] for name in both}
            found |= {f"{part} {name}": theirs[name] for name in both}
    for name in sorted(wanted):
        if found[name] != wanted[name]:
            what = " (hash of the table that the cell draws from)" if name == "policies" else ""
            raise InputError(
                f"{record.path}: {name}{what}: expected {wanted[name]!r:.60}, "
                f"got {found[name]!r:.60}: "
                f"it is the record of another run; {remedy}"
            )


def _drop_finished(target: Path) -> None:
    """Remove a checkpoint that is older than the record: its run has ended, and must not pass for
    the one that is to be run again."""
    checkpoint = target.with_suffix(".checkpoint")
    with suppress(OSError):
        if checkpoint.stat().st_mtime_ns <= target.stat().st_mtime_ns:
            checkpoint.unlink()


def _sweep(target: Path) -> None:
    """Remove the checkpoint of a process that was killed right after it wrote its record; a younger
    one is that of ``--again``, which the same command continues."""
    if target.with_suffix(".checkpoint").exists():
        with suppress(InputError), exclusive(target) as ours:  # or somebody runs it again
            if ours:
                _drop_finished(target)


def require_definition(record: Record, remedy: str) -> None:
    """Refuse a record of another definition of the cells than that of this package."""
    found = record.hyperparameters.get("definition", 1)
    if found != DEFINITION:
        raise InputError(
            f"{record.path}: was recorded by definition {shown(found)} of the cells (package "
            f"{record.package_version}, commit {(record.git_commit or 'unknown')[:12]}), this "
            f"package computes definition {DEFINITION}; {remedy}"
        )


def missing(
    requests: Sequence[Request], train_set: ImageSet, test_set: ImageSet | None = None
) -> list[Request]:
    """Those that have no record yet, in order.

    Args:
        requests: of :func:`plan`.
        train_set: what they train on.
        test_set: what they are scored on; records of other test images are refused if it is given.

    Raises:
        InputError: for a record that is damaged, that was made on other images of that name, or by
            another definition of the cells.
    """
    files = [(request, request.file(train_set.name)) for request in requests]
    for request, file in files:
        if file.exists():
            _found(request, train_set, test_set)
    return [request for request, file in files if not file.exists()]


def plan(
    cells: Sequence[str], seeds: Sequence[int], num_subsets: Sequence[int] = (10,), **how: Any
) -> list[Request]:
    """Every run of a study, seeds outermost: an interrupted study has complete seeds to compare.

    Args:
        cells, seeds, num_subsets: the grid.
        how: the other fields of :class:`Request`.

    Raises:
        InputError: for unknown names, and for a batch that some K does not divide: before the first
            run, not hours later when its turn comes.
    """
    for seed in seeds:
        require_seed(seed)
    for k in num_subsets:
        for cell in cells:
            check(Request(cell, num_subsets=k, **how), ProcessGroup())
    return [Request(cell, seed=s, num_subsets=k, **how)
            for s in seeds for k in num_subsets for cell in cells]  # fmt: skip


class Workers(Protocol):
    """Who carries out the requests of a study: ``slots`` of them at a time."""

    slots: int

    def start(self, request: Request) -> Any:
        """Begin; returns a handle."""

    def next(self, handles: list[Any]) -> tuple[Any, Outcome]:
        """Wait for one of several to end; returns its handle and what became of it."""


class Here:
    """This process: one request after the other, each done when it is started."""

    slots = 1

    def __init__(self, images: Sequence[ImageSet]) -> None:
        self._images = images

    def start(self, request: Request) -> str:
        self._outcome = run(request, self._images)
        return str(request)

    def next(self, handles: list[str]) -> tuple[str, Outcome]:
        return handles[0], self._outcome


def study(
    requests: Sequence[Request],
    images: Images = "shapes",
    budget: float | None = None,
    workers: AbstractContextManager[Workers] | None = None,
) -> Iterator[Record]:
    """Carry out every request that has no record yet, and yield each new record.

    Any number of studies may work on one folder: what another one does, or did since this one
    began, is left to it and not yielded here.

    Args:
        requests: of :func:`plan` or :func:`contrastive_tutorial.study.norms.plan`, in order. For
            several hosts give each a part of them: ``requests[i::n]``.
        images: as in :func:`run`.
        budget: seconds; no run is started that would not end in time, judging by the longest run
            so far.
        workers: ``None`` for this process; see :mod:`contrastive_tutorial.study.ray`.
    """
    if not requests:
        return
    started, longest = time.monotonic(), 0.0
    sets = load_splits(images, resolve_device(requests[0].device))
    left = missing(requests, sets[0], sets[-1])
    if not left:
        return
    running: dict[Any, float] = {}
    with workers or nullcontext(Here(sets)) as pool:
        while left or running:
            # As many as there is room for: a budget must be able to stop what has not begun.
            while left and len(running) < pool.slots:
                began = time.monotonic()
                if budget is not None and began - started + longest > budget:
                    left = []
                    break
                running[pool.start(left.pop(0))] = began
            if running:
                handle, outcome = pool.next(list(running))
                longest = max(longest, time.monotonic() - running.pop(handle))
                if outcome.record is not None and outcome.is_new:
                    yield outcome.record


def parse_budget(text: str) -> float:
    """Seconds from ``"25m"``, ``"1.5h"``, ``"90s"`` or ``"90"``.

    Raises:
        InputError: if it is none of these.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip())
    if not match:
        raise InputError(f"budget: expected a time such as 90s, 25m or 1.5h, got {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
