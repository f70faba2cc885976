"""Run one cell, or a study of many: from images to a record.

A run is defined by ``(cell, data, preset, seed, num_subsets)`` and leaves one record. The same
command finds the record and does nothing, or finds a checkpoint and continues. Runs are
independent, so any number of processes may work on one results folder: each run is done once.
"""

from __future__ import annotations

import copy
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from contrastive_tutorial import __version__, augment, data, memory, metrics, norm
from contrastive_tutorial.cells import CELLS, PRESETS, THREE, Cell, Preset
from contrastive_tutorial.cells import cell as get_cell
from contrastive_tutorial.cells import preset as get_preset
from contrastive_tutorial.data import ImageSet
from contrastive_tutorial.diagnostics import EarlyAccuracy
from contrastive_tutorial.distributed import World
from contrastive_tutorial.encoders import ContrastiveModel, seeded
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.evaluation import (
    Evaluator,
    Scores,
    downstream,
    features,
    training_views,
)
from contrastive_tutorial.records import Record, load_record, record_file
from contrastive_tutorial.sharing import adapt_norms, settle, share
from contrastive_tutorial.storage import explained
from contrastive_tutorial.subsets import SubsetBatches, partition
from contrastive_tutorial.training import (
    History,
    TrainConfig,
    device_name,
    resolve_device,
    train,
)
from contrastive_tutorial.views import Layout, contrastive_loss, layout, make_views, project

if TYPE_CHECKING:
    from filelock import BaseFileLock

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
        share(
            layout(get_cell(self.cell), get_preset(self.preset).batch_size, self.num_subsets), world
        )


#: Steps whose image indices travel to a GPU together: 64 x 512 indices are 0.25 MB.
_STEPS_A_COPY = 64


class Experiment:
    """One cell made ready to train: images, subsets, batches, model.

    ``run`` is this class used from beginning to end; a chapter uses it piece by piece.

    Args:
        cell: name or :class:`~contrastive_tutorial.cells.Cell`.
        images: name or path of a data set, or the three image sets ``(train, val, test)``.
        preset: name or :class:`~contrastive_tutorial.cells.Preset`.
        seed: of weights, partition, batches and augmentation, all jointly.
        num_subsets: K.
        device: ``None`` for the best there is.
        world: the processes that train together; see :mod:`contrastive_tutorial.distributed`.
        batch_norm: with several processes, whether plain BN uses the statistics of all of them
            (``"sync"``) or of each alone (``"local"``).

    Raises:
        InputError: for unknown names, unreadable data, a batch that K does not divide, or
            processes that cannot share it.
    """

    def __init__(
        self,
        cell: str | Cell,
        images: str | Path | tuple[ImageSet, ...] = "shapes",
        preset: str | Preset = "live",
        seed: int = 0,
        num_subsets: int = 10,
        device: str | torch.device | None = None,
        world: World | None = None,
        batch_norm: str = "sync",
    ):
        self.cell = get_cell(cell) if isinstance(cell, str) else cell
        self.preset = get_preset(preset) if isinstance(preset, str) else preset
        if self.preset.grayscale is not None and self.cell.policy == "P0":
            self.cell = replace(self.cell, grayscale=self.preset.grayscale)
        if seed < 0:
            raise InputError(f"seed: expected 0 or more, got {seed}")
        if num_subsets < 1:
            raise InputError(f"num_subsets: expected 1 or more, got {num_subsets}")
        self.seed, self.num_subsets = seed, num_subsets
        self.device = resolve_device(device)
        sets = load_splits(images, self.device) if isinstance(images, (str, Path)) else images
        self.train_set, self.val_set, self.test_set = (part.to(self.device) for part in sets)
        subset_ids = partition(self.train_set.labels, num_subsets, seed)
        self.order: Layout = layout(self.cell, self.preset.batch_size, num_subsets)
        self.batches = SubsetBatches(
            subset_ids,
            self.preset.batch_size,
            seed,
            balanced=self.cell.balanced,
            only_subset=self.cell.only_subset,
        )
        self.subset_ids = subset_ids.to(self.device)
        self.model: ContrastiveModel = self._build_model()
        self.world, self.batch_norm = world or World(), batch_norm
        self.share = share(self.order, self.world, self.device)
        # What training moves: the model itself, or its like whose norms know of other processes.
        self.trained = self.model
        if self.world.size > 1:
            self.trained = adapt_norms(copy.deepcopy(self.model), self.share, batch_norm)  # type: ignore[assignment]
        self._forward: Callable = self.trained
        self._apply: Callable = augment.apply
        if self.preset.compile != "no" and self.device.type == "cuda":
            mode = None if self.preset.compile == "default" else self.preset.compile
            self._forward = torch.compile(self.trained, mode=mode)
            self._apply = torch.compile(augment.apply, mode=mode)
        self._index_block: tuple[int, torch.Tensor] | None = None
        self._evaluator_kept: Evaluator | None = None
        self.early: dict[str, float] = {}  # what was measured during training

    def _build_model(self) -> ContrastiveModel:
        model = seeded(self.seed, self.preset.encoder)
        if self.cell.norm == "ghost":
            # The order of the rows decides who shares a group: the layer must not deal them anew.
            model.encoder = norm.convert_norm(
                model.encoder, "ghost", self.order.groups, grouping="contiguous"
            )
        else:
            model.encoder = norm.convert_norm(model.encoder, self.cell.norm, self.num_subsets)
        memory_format = torch.channels_last
        return model.to(self.device, memory_format=memory_format)  # type: ignore[call-overload]

    @property
    def config(self) -> TrainConfig:
        """The preset as the training loop wants it."""
        preset = self.preset
        return TrainConfig(
            steps=preset.steps,
            lr=preset.lr,
            optimizer=preset.optimizer,
            weight_decay=preset.weight_decay,
            warmup=preset.warmup,
            seed=self.seed,
            checkpoint_every=preset.checkpoint_every,
        )

    def indices(self, step: int) -> torch.Tensor:
        """int64 ``(N,)`` images of a step, on the device: copied there for many steps at once."""
        if self.device.type == "cpu":
            return self.batches.indices(step)
        block, place = divmod(step, _STEPS_A_COPY)
        if self._index_block is None or self._index_block[0] != block:
            first = block * _STEPS_A_COPY
            steps = [self.batches.indices(first + i) for i in range(_STEPS_A_COPY)]
            table = torch.stack(steps).pin_memory().to(self.device, non_blocking=True)
            self._index_block = block, table
        return self._index_block[1][place]

    def views(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """Both views of every image of a step: float32 ``(2N, 3, 32, 32)``, rows in order.

        With several processes, this process's rows of them.
        """
        index = self.indices(step)
        views = make_views(
            self.train_set.images[index], self.subset_ids[index], self.cell, self.order, generator,
            self.share.rows, self._apply,
        )  # fmt: skip
        return views.contiguous(memory_format=torch.channels_last)

    def loss(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The contrastive loss of one step."""
        z = project(
            self._forward, self.views(step, generator), self.share.order, self.preset.passes
        )
        if self.world.size > 1:
            z = self.world.gather(z.float())
            z = z if self.share.back is None else z[self.share.back]
        return contrastive_loss(z, self.cell, self.order, self.preset.temperature)

    def knn(self) -> float:
        """kNN accuracy (k = 10, cosine) of clean test images, as the network stands.

        With the running statistics that training has gathered so far; a final evaluation measures
        them anew.
        """
        settle(self.trained, self.world)

        def score() -> float:
            if self.trained is not self.model:
                self.model.load_state_dict(self.trained.state_dict())
            if self._evaluator_kept is None:
                self._evaluator_kept = self._evaluator()
            return self._evaluator_kept.quick_knn(self.model)

        return self.world.from_first(score)

    def memory_need(self) -> memory.Need:
        """Bytes that a step takes; see :mod:`contrastive_tutorial.memory`."""
        bf16 = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        groups = self.order.groups
        return memory.measure(self.model, 4 * groups, self.preset.optimizer, bf16)

    def train(
        self,
        checkpoint: str | Path | None = None,
        progress: bool | str = True,
        on_step: Callable[[int, torch.Tensor], None] | None = None,
    ) -> History:
        """Train the model; see :func:`contrastive_tutorial.training.train`.

        Raises:
            InputError: also if a step does not fit the memory, naming a batch size that does.
        """
        each, groups = self.share.order.num_images, self.share.order.groups
        memory.require(self.memory_need(), each, self.device, groups)
        early = self._early_accuracy() if self.cell.early_steps else None
        if early is not None:
            self.model.early = early
        try:
            history = train(
                self.trained,
                self.loss,
                self.config,
                images_per_step=self.preset.batch_size,
                checkpoint=checkpoint,
                fingerprint=self.fingerprint(),
                progress=progress,
                on_step=_both(on_step, early and early.after_step),
                measure=self.knn if self.preset.knn_every else None,
                measure_every=self.preset.knn_every,
                world=self.world,
            )
        except (RuntimeError, MemoryError) as error:
            explained = memory.explain(error, self.memory_need, each, self.device, groups)
            if explained is None:
                raise
            raise explained from error
        finally:
            if early is not None:
                self.early = early.close()
                del self.model.early
        if self.trained is not self.model:
            settle(self.trained, self.world)
            self.model.load_state_dict(self.trained.state_dict())
        return history

    def _early_accuracy(self) -> EarlyAccuracy:
        evaluator = self._evaluator()
        return EarlyAccuracy(
            self.model.encoder,
            self.cell.early_steps,
            evaluator.quick_cluster_accuracy,
            evaluator.make_exact,
        )

    def fingerprint(self) -> dict[str, object]:
        """What defines the run: a checkpoint resumes only a run that agrees on all of it."""
        return {
            "cell": asdict(self.cell),
            "preset": asdict(self.preset),
            "num_subsets": self.num_subsets,
            "data_hash": self.train_set.content_hash,
            **self._processes(),
        }

    def _processes(self) -> dict[str, object]:
        if self.world.size == 1:
            return {}
        return {"processes": self.world.size, "batch_norm": self.batch_norm}

    def features(self, images: ImageSet, how: str | None = None) -> torch.Tensor:
        """h of clean images, float32 ``(N, feature_dim)``, under the headline statistics.

        The running statistics are measured anew (precise BN) on the cell's own training batches
        first, as everywhere in this package.

        Args:
            images: any image set.
            how: other evaluation statistics, by name.
        """
        norm.precise_bn(
            self.model.encoder,
            training_views(
                self.cell, self.order, self.batches, self.train_set.images, self.subset_ids,
                range(10_000, 10_010), self.seed + 1,
            ),
        )  # fmt: skip
        how = how or self.cell.headline_statistics
        with norm.evaluation_statistics(self.model.encoder, how) as forward:
            return features(forward, images.images.to(self.device))

    def evaluate(self, with_arrays: bool = False) -> Scores:
        """Every metric of the trained model; see :mod:`contrastive_tutorial.evaluation`."""
        scores = self._evaluator()(self.model, with_arrays)
        scores.extra.update(self.early)
        return scores

    def _evaluator(self) -> Evaluator:
        return Evaluator(
            self.cell,
            self.preset,
            self.train_set,
            self.val_set,
            self.test_set,
            self.subset_ids,
            self.num_subsets,
            self.batches,
            self.order,
            self.seed,
        )

    def record(self, history: History, scores: Scores, evaluate_seconds: float = 0.0) -> Record:
        """Everything about the finished run, ready to be saved."""
        return Record(
            cell=self.cell.name,
            preset=self.preset.name,
            seed=self.seed,
            num_subsets=self.num_subsets,
            data=self.train_set.name,
            data_hash=self.train_set.content_hash,
            evaluation=scores.evaluation,
            metrics=scores.metrics,
            evaluations=scores.evaluations,
            hyperparameters={
                "cell": asdict(self.cell) | {"early_steps": list(self.cell.early_steps)},
                "preset": asdict(self.preset),
                "train_images": len(self.train_set),
                "test_images": len(self.test_set),
                **self._processes(),
            },
            loss_curve=history.curve(),
            knn_curve=history.points,
            train_seconds=round(history.seconds, 3),
            evaluate_seconds=round(evaluate_seconds, 3),
            images_per_second=round(history.images_per_second, 1),
            device=device_name(self.device),
            versions=versions(),
            package_version=__version__,
            git_commit=git_commit(),
            extra=scores.extra,
        )


def _both(
    first: Callable[[int, torch.Tensor], None] | None,
    second: Callable[[int, torch.Tensor], None] | None,
) -> Callable[[int, torch.Tensor], None] | None:
    """Call both after a step, the second one last."""
    if first is None or second is None:
        return first or second

    def call(step: int, loss: torch.Tensor) -> None:
        first(step, loss)
        second(step, loss)

    return call


def load_splits(
    name_or_path: str | Path, device: torch.device | str = "cpu"
) -> tuple[ImageSet, ...]:
    """The train, validation and test image sets of one source."""
    return tuple(data.load(name_or_path, split, device) for split in ("train", "val", "test"))


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
    from filelock import FileLock, Timeout

    get_cell(cell), get_preset(preset)  # before loading any image
    where, world = resolve_device(device), world or World()
    if world.size > 1:
        return _run_together(
            cell, images, preset, seed, num_subsets, results, where, arrays, progress, again,
            world, batch_norm,
        )  # fmt: skip
    if isinstance(images, (str, Path)):
        images = load_splits(images, where)
    target = Run(cell, preset, seed, num_subsets).file(results, images[0].name)
    if target.exists() and not again:
        return load_record(target)
    _require_writable(target.parent)
    lock = FileLock(target.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)  # the system drops it when the process dies, however it dies
    except Timeout:
        return None
    except OSError as error:  # the file of the lock itself could not be made
        raise explained(target, error) from error
    try:
        if target.exists() and not again:
            return load_record(target)
        keep = arrays if arrays is not None else seed == 0
        record = _run(cell, images, preset, seed, num_subsets, target, where, keep, progress)
        assert record is not None  # there is but one process
        return replace(record, path=target)
    finally:
        _unlock(lock, target)


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
) -> Record | None:
    """:func:`run` on several processes: the first one decides, trains with all, and records."""
    from filelock import FileLock, Timeout

    if isinstance(images, (str, Path)):
        source = images
        world.from_first(lambda: len(load_splits(source)))  # decode once; all read the cache
        images = load_splits(images, device)
    target = Run(cell, preset, seed, num_subsets).file(results, images[0].name)
    lock = FileLock(target.with_suffix(".lock"))

    def claim() -> str:
        if target.exists() and not again:
            return "recorded"
        _require_writable(target.parent)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return "taken"
        except OSError as error:
            raise explained(target, error) from error
        return "ours"

    state = world.from_first(claim)
    try:
        if state == "ours":
            keep = arrays if arrays is not None else seed == 0
            _run(
                cell, images, preset, seed, num_subsets, target, device, keep, progress, world,
                batch_norm,
            )  # fmt: skip
        return load_record(target) if world.is_first and state != "taken" else None
    finally:
        if world.is_first and lock.is_locked:
            _unlock(lock, target)


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


def _unlock(lock: BaseFileLock, target: Path) -> None:
    """Remove the lock's file, then let go of it.

    The other way round, a second process could take the old file's lock just before it vanishes,
    and a third one a new file's: both would start the same run.
    """
    with suppress(OSError):  # Windows keeps files that are open
        target.with_suffix(".lock").unlink()
    lock.release()


def _require_writable(folder: Path) -> None:
    from contrastive_tutorial.storage import atomic_write

    probe = folder / ".writable"
    atomic_write(probe, b"")
    probe.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Versions of what can change a number."""
    found = {"python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "scipy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str | None:
    """Commit of the source tree the package runs from, with ``-dirty`` if the package differs."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                capture_output=True, text=True, timeout=10, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    # An installed wheel may lie in the tree of some other project: its commit means nothing.
    if not commit or git("ls-files", "--error-unmatch", "experiments.py") is None:
        return None
    return commit + ("-dirty" if git("status", "--porcelain", "--", ".") else "")


def missing_runs(runs: Sequence[Run], results: str | Path, data_name: str) -> list[Run]:
    """Those of ``runs`` that have no record yet, in order."""
    return [wanted for wanted in runs if not wanted.file(results, data_name).exists()]


def plan(
    cells: Sequence[str], seeds: Sequence[int], num_subsets: Sequence[int], preset: str
) -> list[Run]:
    """Every run of a study, seeds outermost: an interrupted study has complete seeds to compare."""
    for name in cells:
        get_cell(name)
    get_preset(preset)
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
    for wanted in missing_runs(runs[shard[0] :: shard[1]], results, sets[0].name):
        if budget is not None and time.monotonic() - started + longest > budget:
            return
        began = time.monotonic()
        record = run(
            wanted.cell, sets, preset, wanted.seed, wanted.num_subsets, results, device, arrays,
            progress,
        )  # fmt: skip
        longest = max(longest, time.monotonic() - began)
        if record is not None:
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
