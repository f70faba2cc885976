"""Records: what one run of one cell with one seed left behind.

A record is one small JSON file, validated when it is written and when it is read. Runs whose
features are shown in a figure have an ``.npz`` of the same name beside it. Both are written
atomically and read without pickles. ``results/README.md`` documents the fields.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write, load_arrays, save_arrays
from contrastive_tutorial.records.intervals import mean, mean_interval

SCHEMA_VERSION = 1
MAX_CURVE_POINTS = 200
MAX_TEXT = 200  # characters of a field that reports and pages show
MAX_NUMBER = 1e100  # squares and sums of what is smaller stay finite
MAX_RECORD_BYTES = 2_000_000
_NAME_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+=")


@dataclass(frozen=True)
class Record:
    """One run. Every number a figure or a sentence of the book shows comes from one of these.

    Attributes:
        cell, preset, seed, num_subsets: which run it was.
        data, data_hash: name and content hash of the training images.
        evaluation: the evaluation statistics behind ``metrics`` (see
            :func:`contrastive_tutorial.norm.evaluation_statistics`).
        metrics: headline metric values by name, fractions unless named otherwise.
        evaluations: the same checkpoint under other evaluation statistics.
        hyperparameters: everything that defines the run beyond the names above.
        loss_curve: ``(step, loss)`` pairs, at most 200.
        train_seconds, evaluate_seconds, images_per_second: wall time and throughput (images, two
            views each), warm-up excluded from the throughput.
        device, versions, package_version, git_commit: where it ran and which code ran.
        extra: metrics that only some cells have.
        knn_curve: ``(step, seconds of training, kNN accuracy with k = 10)`` during training, for
            presets that measure it; left out of the file where there is none.
        path: where it was loaded from; not part of the file.
    """

    cell: str
    preset: str
    seed: int
    num_subsets: int
    data: str
    data_hash: str
    evaluation: str
    metrics: dict[str, float]
    evaluations: dict[str, dict[str, float]] = field(default_factory=dict)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    loss_curve: list[tuple[int, float]] = field(default_factory=list)
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    images_per_second: float = 0.0
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=dict)
    package_version: str = ""
    git_commit: str | None = None
    extra: dict[str, float] = field(default_factory=dict)
    knn_curve: list[tuple[int, float, float]] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION
    path: Path | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        where = str(self.path) if self.path else "record"
        for name, kind in _FIELD_TYPES.items():
            _check_type(where, name, getattr(self, name), kind)
        if self.schema_version != SCHEMA_VERSION:
            raise InputError(
                f"{where}: schema_version: this package reads version {SCHEMA_VERSION}, got "
                f"{self.schema_version}; use the package version that wrote it"
            )
        for name in ("cell", "preset", "data"):
            value = getattr(self, name)
            if not value or not set(value) <= _NAME_CHARACTERS:
                raise InputError(
                    f"{where}: {name}: expected letters, digits and '-_.+=', got {value!r}"
                )
        for name in ("data_hash", "evaluation", "device", "package_version", "git_commit"):
            text = getattr(self, name)
            if text is not None and not (text.isprintable() and len(text) <= MAX_TEXT):
                raise InputError(
                    f"{where}: {name}: expected at most {MAX_TEXT} printable characters, got "
                    f"{text[:40]!r}"
                )
        if self.num_subsets < 1 or self.seed < 0:
            raise InputError(
                f"{where}: num_subsets and seed: expected >= 1 and >= 0, got "
                f"{self.num_subsets} and {self.seed}"
            )
        for group in ("metrics", "extra"):
            _check_numbers(where, group, getattr(self, group))
        for how, values in self.evaluations.items():
            _check_type(where, f"evaluations[{how!r}]", values, dict)
            _check_numbers(where, f"evaluations[{how!r}]", values)
        if len(self.loss_curve) > MAX_CURVE_POINTS:
            raise InputError(
                f"{where}: loss_curve: at most {MAX_CURVE_POINTS} points, got "
                f"{len(self.loss_curve)}"
            )
        for point in self.loss_curve:
            if len(point) != 2 or not all(_is_finite(number) for number in point):
                raise InputError(f"{where}: loss_curve: expected (step, loss), got {point!r}")
        if len(self.knn_curve) > MAX_CURVE_POINTS:
            raise InputError(
                f"{where}: knn_curve: at most {MAX_CURVE_POINTS} points, got {len(self.knn_curve)}"
            )
        for entry in self.knn_curve:
            if len(entry) != 3 or not all(_is_finite(number) for number in entry):
                raise InputError(
                    f"{where}: knn_curve: expected (step, seconds, accuracy), got {entry!r}"
                )

    @property
    def stem(self) -> str:
        """File name without suffix: ``<cell>-K<num_subsets>-s<seed>``."""
        return f"{self.cell}-K{self.num_subsets}-s{self.seed}"

    def file(self, results: str | Path) -> Path:
        """Where this record lives under the folder ``results``."""
        return record_file(results, self.data, self.preset, self.cell, self.num_subsets, self.seed)

    def to_json(self) -> str:
        """The record as JSON text, keys in field order."""
        content = dataclasses.asdict(self)
        del content["path"]
        if not self.knn_curve:
            del content["knn_curve"]
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def save(self, results: str | Path, arrays: dict[str, np.ndarray] | None = None) -> Path:
        """Write the record (and its arrays first, so that a record never lacks them)."""
        target = self.file(results)
        if arrays:
            save_arrays(target.with_suffix(".npz"), arrays)
        atomic_write(target, self.to_json().encode())
        return target

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays beside the record: ``<stem>.npz`` and the embeddings in ``<stem>.umap.npz``.

        Raises:
            InputError: if the record was not loaded from a file, or has no arrays.
        """
        if self.path is None:
            raise InputError(f"{self.stem}: was not loaded from a file, so it has no arrays")
        main = self.path.with_suffix(".npz")
        if not main.exists():
            raise InputError(
                f"{main}: no arrays were recorded for this run; re-run it with --arrays"
            )
        found = load_arrays(main)
        embedding = self.path.with_suffix(".umap.npz")
        if embedding.exists():
            found.update(load_arrays(embedding))
        return found

    def has_arrays(self) -> bool:
        """Whether features for figures were recorded with this run."""
        return self.path is not None and self.path.with_suffix(".npz").exists()


_FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    "cell": str,
    "preset": str,
    "seed": int,
    "num_subsets": int,
    "data": str,
    "data_hash": str,
    "evaluation": str,
    "metrics": dict,
    "evaluations": dict,
    "hyperparameters": dict,
    "loss_curve": list,
    "train_seconds": (int, float),
    "evaluate_seconds": (int, float),
    "images_per_second": (int, float),
    "device": str,
    "versions": dict,
    "package_version": str,
    "git_commit": (str, type(None)),
    "extra": dict,
    "knn_curve": list,
    "schema_version": int,
}


def _check_type(where: str, name: str, value: Any, kind: type | tuple[type, ...]) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        wanted = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(k.__name__ for k in wanted)
        raise InputError(f"{where}: {name}: expected {names}, got {type(value).__name__}")


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _check_numbers(where: str, group: str, values: dict[str, float]) -> None:
    for key, value in values.items():
        if not isinstance(key, str) or not _is_finite(value) or abs(value) > MAX_NUMBER:
            raise InputError(
                f"{where}: {group}[{key!r}]: expected a finite number, got {value!r:.40}"
            )


def record_file(
    results: str | Path, data: str, preset: str, cell: str, num_subsets: int, seed: int
) -> Path:
    """``results/<data>/<preset>/<cell>-K<num_subsets>-s<seed>.json``."""
    return Path(results) / data / preset / f"{cell}-K{num_subsets}-s{seed}.json"


def find_record(results: str | Path, preset: str, cell: str, num_subsets: int, seed: int) -> Path:
    """The file of one recorded run, whatever data set it was made on.

    Raises:
        InputError: if it is not there, or there for more than one data set.
    """
    if not Path(results).is_dir():
        raise _no_folder(Path(results))
    name = Path(preset, f"{cell}-K{num_subsets}-s{seed}.json")
    found = sorted(
        path for path in Path(results).rglob("*.json") if path.parts[-2:] == name.parts[-2:]
    )
    if not found:
        raise InputError(f"{results}: no record {name}; see `contrastive-tutorial report`")
    if len(found) > 1:
        raise InputError(
            f"{results}: {found[0].stem} is recorded for {len(found)} data sets; give one of "
            f"{', '.join(str(path.parents[1]) for path in found)} as --results"
        )
    return found[0]


def find_results() -> Path:
    """The folder of recorded runs: ``$CONTRASTIVE_TUTORIAL_RESULTS``, or ``results`` beside or
    above the working directory, or in the source tree that the package runs from.

    Raises:
        InputError: if there is none, saying how to get one.
    """
    named = os.environ.get("CONTRASTIVE_TUTORIAL_RESULTS")
    here = Path.cwd()
    source = Path(__file__).resolve().parents[1]
    candidates = [Path(named)] if named else [p / "results" for p in (here, *here.parents, source)]
    for folder in candidates:
        if folder.is_dir() and next(folder.rglob("*.json"), None) is not None:
            return folder
    raise InputError(
        f"no recorded runs found in {candidates[0]}; work inside a clone of the repository, or set "
        "CONTRASTIVE_TUTORIAL_RESULTS to its results folder"
    )


def load_record(path: str | Path) -> Record:
    """Read and validate one record.

    Raises:
        InputError: naming the file, the field, what was expected and what was found.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            raise InputError(f"{path}: expected a file; remove it")
        if status.st_size > MAX_RECORD_BYTES:
            raise InputError(f"{path}: {status.st_size} bytes is too large for a record")
        content = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: not a valid record ({type(error).__name__}: damaged JSON); delete it and "
            "run that cell again"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(content).__name__}")
    known = set(_FIELD_TYPES)
    unknown = sorted(set(content) - known)
    if unknown:
        raise InputError(f"{path}: unknown field {unknown[0]!r}")
    required = [
        f.name
        for f in dataclasses.fields(Record)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ] + ["schema_version"]
    for name in required:
        if name not in content:
            raise InputError(f"{path}: field {name!r} is missing")
    curve = content.get("loss_curve", [])
    if not isinstance(curve, list) or not all(isinstance(point, list) for point in curve):
        raise InputError(f"{path}: loss_curve: expected a list of [step, loss] pairs")
    content["loss_curve"] = [tuple(point) for point in curve]
    points = content.get("knn_curve", [])
    if not isinstance(points, list) or not all(isinstance(point, list) for point in points):
        raise InputError(f"{path}: knn_curve: expected a list of [step, seconds, accuracy]")
    content["knn_curve"] = [tuple(point) for point in points]
    return Record(**content, path=path)


def _no_folder(path: Path) -> InputError:
    return InputError(f"{path}: no such folder of records; run a cell first, or pass --results")


def load_records(path: str | Path = "results", **wanted: Any) -> list[Record]:
    """Every record under a folder (or the one in a file), sorted by file name.

    Args:
        path: a folder, searched with its subfolders, or one ``.json`` file.
        wanted: keep records whose attributes equal these, e.g. ``preset="cpu", cell="B0"``; a
            tuple or list means "one of".

    Raises:
        InputError: if the path does not exist, or a record is damaged (naming file and field).
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.rglob("*.json"))
    elif path.exists():
        files = [path]
    else:
        raise _no_folder(path)
    records = [load_record(file) for file in files]
    for name, value in wanted.items():
        if name not in _FIELD_TYPES:
            raise InputError(f"load_records: {name!r} is not a field of a record")
        options = value if isinstance(value, (tuple, list, set, range)) else (value,)
        records = [record for record in records if getattr(record, name) in options]
    return records


@dataclass(frozen=True)
class Summary:
    """Mean over seeds of one metric with its 95% interval (``None`` for a single seed)."""

    mean: float
    interval: tuple[float, float] | None
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary:
        """Of independent values, one for each seed.

        Raises:
            InputError: for no values, or values that are not finite.

        >>> Summary.of([1.0, 2.0, 3.0]).interval
        (-0.484..., 4.484...)
        """
        numbers = tuple(float(value) for value in values)
        if len(numbers) < 2:
            return cls(mean(numbers), None, numbers)
        interval = mean_interval(numbers)
        return cls(mean(numbers), (interval.low, interval.high), numbers)

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.mean:.3f} (n=1)"
        half = (self.interval[1] - self.interval[0]) / 2
        return f"{self.mean:.3f} ± {half:.3f} (n={self.n})"


def summarize(
    records: Sequence[Record], metric: str, by: Sequence[str] = ("cell", "num_subsets")
) -> dict[tuple[Any, ...], Summary]:
    """Mean over seeds of ``metric`` with a 95% t interval, for every combination of ``by``.

    Records of one group must differ only in their seed: mixed data, presets or duplicate seeds
    are refused, never averaged over.

    Raises:
        InputError: naming the record without the metric, or what is mixed.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(getattr(record, name) for name in by), []).append(record)
    summaries = {}
    for key, members in groups.items():
        for name in ("data_hash", "preset", "cell", "num_subsets", "evaluation"):
            values = {getattr(record, name) for record in members}
            if len(values) > 1 and name not in by:
                raise InputError(
                    f"summarize: records of {key} mix {name}: {sorted(map(str, values))}; "
                    "select one first"
                )
        seeds = [record.seed for record in members]
        if len(set(seeds)) < len(seeds):
            raise InputError(f"summarize: {key} holds two records of one seed: {sorted(seeds)}")
        for record in members:
            if metric not in record.metrics:
                raise InputError(
                    f"summarize: {record.path or record.stem} has no metric {metric!r}; it has "
                    f"{sorted(record.metrics)}"
                )
        summaries[key] = Summary.of(record.metrics[metric] for record in members)
    return summaries
