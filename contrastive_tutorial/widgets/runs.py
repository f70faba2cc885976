"""Runs that the explorer shows, of a record or of a dict: read, checked, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contrastive_tutorial import report
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import Summary, require_alike, require_one_cell
from contrastive_tutorial.study import CELLS, THREE
from contrastive_tutorial.widgets import fragment

MAX_VALUES = 256  # of a label or subset: one byte a point


@dataclass
class Run:
    """One run, whether it comes from a record or was trained a moment ago."""

    cell: str
    num_subsets: int
    seed: int
    data: str
    preset: str
    evaluation: str
    metrics: dict[str, float]
    class_names: tuple[str, ...] = ()
    data_hash: str | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def setting(self) -> tuple[str, str]:
        return self.data, self.preset

    def __str__(self) -> str:
        return f"{self.cell} at K = {self.num_subsets}, seed {self.seed}"


def ignores_subsets(cell: str) -> bool:
    known = CELLS.get(cell)
    return (
        known is not None
        and not known.balanced
        and known.policy == "P0"
        and known.only_subset is None
    )


def read(record: Any, number: int) -> Run:
    """One run of a record or of a dict."""
    where = f"records[{number}]"
    content = dict(record if isinstance(record, Mapping) else getattr(record, "__dict__", {}))
    for name in ("cell", "num_subsets", "metrics"):
        if name not in content:
            raise InputError(f"{where}: expected a record or a dict with {name!r}, got neither")
    try:
        run = Run(
            cell=str(content["cell"]),
            num_subsets=int(content["num_subsets"]),
            seed=int(content.get("seed", 0)),
            data=str(content.get("data", "")),
            preset=str(content.get("preset", "")),
            evaluation=str(content.get("evaluation", "")),
            metrics={str(name): float(value) for name, value in dict(content["metrics"]).items()},
            class_names=tuple(str(name) for name in content.get("class_names", ())),
            data_hash=content.get("data_hash"),
            hyperparameters=dict(content.get("hyperparameters", {})),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: cell, num_subsets, seed or metrics: {error}") from error
    if run.num_subsets < 1 or run.seed < 0:
        raise InputError(f"{where}: expected num_subsets >= 1 and seed >= 0, got {run}")
    arrays = content.get("arrays", {})
    if not isinstance(record, Mapping):
        arrays = record.arrays() if record.has_arrays() else {}
    try:
        run.arrays = {str(name): np.asarray(value) for name, value in dict(arrays).items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} ({run}): arrays: {error}") from error
    return run


def check_together(runs: Sequence[Run]) -> None:
    if not runs:
        raise InputError("records: expected at least one, got none")
    settings = sorted({run.setting for run in runs})
    if len(settings) > 1:
        raise InputError(
            f"records: expected one data set and preset, got {settings}; select one, e.g. "
            f"load_records(path, data={settings[0][0]!r}, preset={settings[0][1]!r})"
        )
    seen = set()
    for run in runs:
        key = (run.cell, run.num_subsets, run.seed)
        if key in seen:
            raise InputError(f"records: two records of {run}")
        seen.add(key)
    # Means and intervals go over seeds, and one picture over everything.
    require_alike(runs, "one explorer")
    for cell in {run.cell for run in runs}:
        require_one_cell([run for run in runs if run.cell == cell], cell)


def select_cells(runs: list[Run], cells: Sequence[str] | None) -> tuple[list[Run], list[str]]:
    drawn = list(dict.fromkeys(run.cell for run in runs if "embedding" in run.arrays))
    if not drawn:
        raise InputError(
            "records: none has an embedding; record features with --arrays, then run "
            "`contrastive-tutorial embed`"
        )
    if cells is None:
        chosen = [cell for cell in THREE if cell in drawn] or drawn[:3]
    else:
        chosen = list(dict.fromkeys(cells))
        missing = [cell for cell in chosen if cell not in drawn]
        if missing or not chosen:
            raise InputError(f"cells: embeddings are recorded for {drawn}, got {list(cells)}")
    return [run for run in runs if run.cell in chosen], chosen


def names_of(runs: Sequence[Run]) -> tuple[str, ...]:
    said = max((run.class_names for run in runs), key=len)
    known = report.class_names(runs[0].data, said)
    most = 0
    for run in runs:
        labels = run.arrays.get("labels")
        if labels is not None and labels.size and labels.dtype.kind in "iu":
            most = max(most, min(int(labels.max()), MAX_VALUES - 1))
    return tuple(fragment.clean(n) for n in known) or tuple(f"class {k}" for k in range(most + 1))


def check_arrays(run: Run, num_classes: int) -> None:
    n = len(_integers(run, "labels", num_classes, "class names"))
    if "subsets" in run.arrays and len(_integers(run, "subsets", run.num_subsets, "subsets")) != n:
        raise InputError(f"{run}: subsets: expected {n} values, one per label")
    for name in ("embedding", "embedding_subset"):
        if name in run.arrays:
            points = run.arrays[name]
            if points.shape != (n, 2) or points.dtype.kind not in "fiu":
                raise InputError(
                    f"{run}: {name}: expected numbers of shape ({n}, 2), got {points.dtype} of "
                    f"shape {points.shape}"
                )
            run.arrays[name] = points = points.astype(np.float64)
            bad = int((~np.isfinite(points)).any(axis=1).sum())
            if bad:
                raise InputError(
                    f"{run}: {name}: {bad} of {n} points are NaN or infinite; the features of a "
                    "run that diverged cannot be shown"
                )
    for name, values in run.arrays.items():
        if name.startswith("factor_") and (
            values.shape != (n,) or values.dtype.kind not in "biuf" or not np.isfinite(values).all()
        ):
            raise InputError(f"{run}: {name}: expected {n} finite numbers")


def _integers(run: Run, name: str, limit: int, what: str) -> np.ndarray:
    values = run.arrays.get(name)
    if values is None:
        raise InputError(f"{run}: array {name!r} is missing beside the embedding")
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu":
        raise InputError(
            f"{run}: {name}: expected whole numbers of shape (n,) with n >= 1, got {values.dtype} "
            f"of shape {values.shape}"
        )
    if values.max() >= MAX_VALUES:
        raise InputError(
            f"{run}: {name}: at most {MAX_VALUES} of them can be shown, got ids up to "
            f"{int(values.max())}"
        )
    if values.min() < 0 or values.max() >= limit:
        raise InputError(
            f"{run}: {name}: {limit} {what} allow 0 to {limit - 1}, got {int(values.min())} to "
            f"{int(values.max())}"
        )
    return values


def check_same_points(runs: Mapping[Any, Run]) -> int:
    """Linked hover says "the same test image": labels and factors must agree between panels."""
    first: dict[int, Run] = {}
    total = 0
    for run in runs.values():
        reference = first.setdefault(run.seed, run)
        total = total or len(run.arrays["labels"])
        if len(run.arrays["labels"]) != total or not np.array_equal(
            run.arrays["labels"], reference.arrays["labels"]
        ):
            raise InputError(f"{run} and {reference} show different test images")
    return total


def summaries(
    runs: Sequence[Run], metrics: Mapping[str, str]
) -> dict[tuple[str, int], dict[str, Summary]]:
    """Mean and 95% interval over seeds of every metric, by cell and K."""
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.cell, run.num_subsets), []).append(run)
    return {
        key: {
            name: Summary.of(values)
            for name in metrics
            if (
                values := [
                    run.metrics[name]
                    for run in members
                    if name in run.metrics and np.isfinite(run.metrics[name])
                ]
            )
        }
        for key, members in groups.items()
    }


def numbers(summary: Summary) -> list[float | None]:
    low, high = summary.interval or (None, None)
    rounded = [None if x is None else round(x, 6) for x in (summary.mean, low, high)]
    return [*rounded, summary.n]
