"""The record of one run: its fields, what they may hold, and the files it is kept in.

A record is one small JSON file, validated when it is made and when it is read. Runs whose
features are shown in a figure have an ``.npz`` of the same name beside it. Both are written
atomically and read without pickles. ``results/README.md`` documents the fields.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write, load_arrays, remove, save_arrays

SCHEMA_VERSION = 1
MAX_CURVE_POINTS = 200
MAX_TEXT = 200  # characters of a field that reports and pages show

MAX_NUMBER = 1e100  # squares and sums of what is smaller stay finite
MAX_THREADS = 1024
MAX_LEVELS = 20  # of lists and mappings within each other
_NO_NAME = set('/\\:*?"<>|')  # what some file system refuses in the name of a file
_DIGEST = "record"  # the array that says to which record its file belongs


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
        class_names: of the labels, in their order; left out of the file of an older run.
        path: where it was loaded from; not part of the file.

    Raises:
        InputError: naming the file and the field, what was expected and what was found.
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
    class_names: list[str] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION
    path: Path | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        where = str(self.path) if self.path else "record"
        for name, check in _CHECKS.items():
            check(f"{where}: {name}", getattr(self, name))
        for name in ("loss_curve", "knn_curve"):  # JSON has no tuples
            object.__setattr__(self, name, [tuple(point) for point in getattr(self, name)])
        object.__setattr__(self, "class_names", list(self.class_names))

    @classmethod
    def from_json(cls, content: Any, path: Path | None = None) -> Record:
        """From parsed JSON.

        Raises:
            InputError: naming ``path`` and the field that is unknown, missing or wrong.
        """
        where = str(path) if path else "record"
        if not isinstance(content, dict):
            raise InputError(f"{where}: expected a JSON object, got {type(content).__name__}")
        unknown = sorted(set(content) - set(_CHECKS))
        if unknown:
            raise InputError(f"{where}: unknown field {unknown[0]!r:.60}")
        for name in (*_REQUIRED, "schema_version"):
            if name not in content:
                raise InputError(f"{where}: field {name!r} is missing")
        return cls(**content, path=path)

    @property
    def stem(self) -> str:
        """File name without suffix: ``<cell>-K<num_subsets>-s<seed>``."""
        return f"{self.cell}-K{self.num_subsets}-s{self.seed}"

    @property
    def threads(self) -> int | None:
        """How many threads the device says that it used; ``None`` where it does not say."""
        found = _threads(self.device)
        return int(found) if found else None

    def file(self, results: str | Path) -> Path:
        """Where this record lives under the folder ``results``."""
        return record_file(results, self.data, self.preset, self.cell, self.num_subsets, self.seed)

    def to_json(self) -> str:
        """The record as JSON text, keys in field order."""
        content = dataclasses.asdict(self)
        del content["path"]
        for name in ("knn_curve", "class_names"):
            if not content[name]:
                del content[name]
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def save(self, results: str | Path, arrays: dict[str, np.ndarray] | None = None) -> Path:
        """Write the record, and its arrays first, so that a record never lacks them.

        Arrays and embeddings of an earlier run of the same name are removed.
        """
        target = self.file(results)
        if arrays:
            save_arrays(target.with_suffix(".npz"), {**arrays, _DIGEST: self._digest()})
        else:
            remove(target.with_suffix(".npz"))
        remove(target.with_suffix(".umap.npz"))
        atomic_write(target, self.to_json().encode())
        return target

    def save_embedding(self, arrays: dict[str, np.ndarray]) -> Path:
        """Write 2-D embeddings of the recorded features beside them, as ``<stem>.umap.npz``.

        Raises:
            InputError: if the record was not loaded from a file.
        """
        target = self._beside(".umap.npz")
        save_arrays(target, {**arrays, _DIGEST: self._digest()})
        return target

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays beside the record: ``<stem>.npz`` and the embeddings in ``<stem>.umap.npz``.

        Raises:
            InputError: if the record was not loaded from a file, has no arrays, or those of
                another run.
        """
        main = self._beside(".npz")
        if not main.exists():
            raise InputError(
                f"{main}: no arrays were recorded for this run; re-run it with --arrays"
            )
        found: dict[str, np.ndarray] = {}
        for path in (main, self._beside(".umap.npz")):
            if path.exists():
                held = load_arrays(path)
                digest = held.pop(_DIGEST, None)  # arrays made by older versions say nothing
                if digest is not None and not np.array_equal(digest, self._digest()):
                    raise InputError(
                        f"{path}: belongs to another run of {self.stem}; re-run it with --arrays"
                    )
                found |= held
        return found

    def has_arrays(self) -> bool:
        """Whether features for figures were recorded with this run."""
        return self.path is not None and self.path.with_suffix(".npz").exists()

    def _beside(self, suffix: str) -> Path:
        if self.path is None:
            raise InputError(f"{self.stem}: was not loaded from a file, so it has no arrays")
        return self.path.with_suffix(suffix)

    def _digest(self) -> np.ndarray:
        """Eight bytes that tell this run from another one of the same name."""
        content = json.dumps([self.data_hash, self.metrics, self.loss_curve]).encode()
        return np.frombuffer(hashlib.sha256(content).digest()[:8], dtype=np.uint8)


def record_file(
    results: str | Path, data: str, preset: str, cell: str, num_subsets: int, seed: int
) -> Path:
    """``results/<data>/<preset>/<cell>-K<num_subsets>-s<seed>.json``."""
    return Path(results) / data / preset / f"{cell}-K{num_subsets}-s{seed}.json"


# -- what a field may hold --------------------------------------------------------------------

Check = Callable[[str, Any], None]


def _is(expected: str, holds: Callable[[Any], bool]) -> Check:
    def check(where: str, value: Any) -> None:
        if not holds(value):
            raise InputError(f"{where}: expected {expected}, got {_shown(value)}")

    return check


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except (ValueError, RecursionError):  # too many digits, or too deep
        return type(value).__name__


def _each(key: Check, check: Check) -> Check:
    """A mapping whose keys and values pass."""

    def every(where: str, value: Any) -> None:
        if type(value) is not dict:
            raise InputError(f"{where}: expected a mapping, got {type(value).__name__}")
        for name, found in value.items():
            key(f"{where}: a name", name)
            check(f"{where}[{name!r}]", found)

    return every


def _list(expected: str, holds: Callable[[Any], bool], most: int) -> Check:
    every = _is(f"at most {most} {expected}", lambda v: type(v) is list and len(v) <= most)
    one = _is(expected, holds)

    def check(where: str, value: Any) -> None:
        every(where, value)
        for item in value:
            one(where, item)

    return check


def _number(value: Any) -> bool:
    return type(value) in (int, float) and -MAX_NUMBER <= value <= MAX_NUMBER


def _whole(low: int) -> Check:
    return _is(f"a whole number from {low} on", lambda v: type(v) is int and v >= low)


def _printable(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= MAX_TEXT


def _threads(device: str) -> str | None:
    found = re.search(r"\((\d+) threads?\)", device, re.ASCII)
    return found[1] if found else None


def _possible_threads(device: str) -> bool:
    found = _threads(device)
    return found is None or (len(found) <= 4 and 1 <= int(found) <= MAX_THREADS)


def _json(where: str, value: Any, levels: int = MAX_LEVELS) -> None:
    """What a file of JSON gives back as it was."""
    if isinstance(value, (dict, list, tuple)):
        if levels == 0:
            raise InputError(f"{where}: expected at most {MAX_LEVELS} levels of lists and mappings")
        for name in value if isinstance(value, dict) else ():
            _encodable(f"{where}: a name", name)
        for found in value.values() if isinstance(value, dict) else value:
            _json(where, found, levels - 1)
    elif isinstance(value, str):
        _encodable(where, value)
    else:
        _plain(where, value)


def _points(*names: str) -> Check:
    return _list(
        f"points ({', '.join(names)}) of finite numbers",
        lambda p: isinstance(p, (list, tuple)) and len(p) == len(names) and all(map(_number, p)),
        MAX_CURVE_POINTS,
    )


_text = _is(f"at most {MAX_TEXT} printable characters", _printable)
_name = _is(
    f"a name of 1 to {MAX_TEXT} printable characters without {' '.join(sorted(_NO_NAME))}, "
    "that starts with no dot or space",
    lambda v: _printable(v) and v[:1] not in ("", ".", " ") and not set(v) & _NO_NAME,
)
_statistics = _is(
    "evaluation statistics such as 'running' or 'branch:0'",
    lambda v: (
        isinstance(v, str) and bool(re.fullmatch(r"[\w.+-]{1,40}|branch:\d{1,4}", v, re.ASCII))
    ),
)
_encodable = _is(
    "text without half a character (a lone surrogate)",
    lambda v: isinstance(v, str) and not re.search(r"[\ud800-\udfff]", v),
)
_plain = _is(
    "text, finite numbers, true, false, null, lists or mappings",
    lambda v: v is None or (isinstance(v, (int, float)) and abs(v) <= sys.float_info.max),
)
_finite = _is("a finite number", _number)
_numbers = _each(_text, _finite)

_CHECKS: dict[str, Check] = {
    "cell": _name,
    "preset": _name,
    "seed": _whole(0),
    "num_subsets": _whole(1),
    "data": _name,
    "data_hash": _text,
    "evaluation": _statistics,
    "metrics": _numbers,
    "evaluations": _each(_statistics, _numbers),
    "hyperparameters": _each(_text, _json),
    "loss_curve": _points("step", "loss"),
    "train_seconds": _finite,
    "evaluate_seconds": _finite,
    "images_per_second": _finite,
    "device": _is(
        f"at most {MAX_TEXT} printable characters with 1 to {MAX_THREADS} threads",
        lambda v: _printable(v) and _possible_threads(v),
    ),
    "versions": _each(_text, _text),
    "package_version": _text,
    "git_commit": _is(
        f"at most {MAX_TEXT} printable characters or null", lambda v: v is None or _printable(v)
    ),
    "extra": _numbers,
    "knn_curve": _points("step", "seconds", "accuracy"),
    "class_names": _list(
        f"names of at most {MAX_TEXT} printable characters", _printable, most=100_000
    ),
    "schema_version": _is(
        f"version {SCHEMA_VERSION}, or the package that wrote it", lambda v: v == SCHEMA_VERSION
    ),
}
_REQUIRED = [
    f.name
    for f in dataclasses.fields(Record)
    if f.default is MISSING and f.default_factory is MISSING
]
