"""Records that the explorer shows, and their arrays: checked, and put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from contrastive_tutorial import report
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import Record, Summary, require_alike, require_one_cell
from contrastive_tutorial.report.figures import one_setting
from contrastive_tutorial.study import CELLS, THREE
from contrastive_tutorial.widgets import fragment

MAX_VALUES = 256  # of a label or subset: one byte a point

#: Cell, number of subsets and seed of a record.
Key = tuple[str, int, int]
Arrays = dict[str, np.ndarray]


def key_of(record: Record) -> Key:
    """What a panel shows at one place of its sliders."""
    return record.cell, record.num_subsets, record.seed


def _words(key: Key) -> str:
    return "{} at K = {}, seed {}".format(*key)


def ignores_subsets(cell: str) -> bool:
    known = CELLS.get(cell)
    return (
        known is not None
        and not known.balanced
        and known.policy == "P0"
        and known.only_subset is None
    )


def check_together(records: Sequence[Record]) -> None:
    one_setting(records)
    seen = set()
    for key in map(key_of, records):
        if key in seen:
            raise InputError(f"records: two records of {_words(key)}")
        seen.add(key)
    # Means and intervals go over seeds, and one picture over everything.
    require_alike(records, "one explorer")
    for cell in {r.cell for r in records}:
        require_one_cell([r for r in records if r.cell == cell], cell)


def embedded(records: Sequence[Record]) -> dict[Key, Arrays]:
    """The arrays of the records that have an embedding.

    Raises:
        InputError: if none has; naming the file of arrays that are damaged.
    """
    held = {key_of(r): r.arrays() for r in records if r.has_arrays()}
    found = {key: arrays for key, arrays in held.items() if "embedding" in arrays}
    if not found:
        raise InputError(
            "records: none has an embedding; record features with --arrays, then run "
            "`contrastive-tutorial embed`"
        )
    return found


def select_cells(drawn: Sequence[str], cells: Sequence[str] | None) -> list[str]:
    """Those of ``cells``, by default the three of the article, of all that can be drawn."""
    if cells is None:
        return [cell for cell in THREE if cell in drawn] or list(drawn[:3])
    chosen = list(dict.fromkeys(cells))
    if not chosen or not set(chosen) <= set(drawn):
        raise InputError(f"cells: embeddings are recorded for {drawn}, got {list(cells)}")
    return chosen


def names_of(records: Sequence[Record], held: Mapping[Key, Arrays]) -> tuple[str, ...]:
    said = max((r.class_names for r in records), key=len)
    known = report.class_names(records[0].data, said)
    most = 0
    for arrays in held.values():
        labels = arrays.get("labels")
        if labels is not None and labels.size and labels.dtype.kind in "iu":
            most = max(most, min(int(labels.max()), MAX_VALUES - 1))
    return tuple(fragment.clean(n) for n in known) or tuple(f"class {k}" for k in range(most + 1))


def check_arrays(key: Key, arrays: Arrays, num_classes: int) -> None:
    run, num_subsets = _words(key), key[1]
    n = len(_integers(run, arrays, "labels", num_classes, "class names"))
    if "subsets" in arrays and len(_integers(run, arrays, "subsets", num_subsets, "subsets")) != n:
        raise InputError(f"{run}: subsets: expected {n} values, one per label")
    for name in ("embedding", "embedding_subset"):
        if name in arrays:
            points = arrays[name]
            if points.shape != (n, 2) or points.dtype.kind not in "fiu":
                raise InputError(
                    f"{run}: {name}: expected numbers of shape ({n}, 2), got {points.dtype} of "
                    f"shape {points.shape}"
                )
            arrays[name] = points = points.astype(np.float64)
            bad = int((~np.isfinite(points)).any(axis=1).sum())
            if bad:
                raise InputError(
                    f"{run}: {name}: {bad} of {n} points are NaN or infinite; the features of a "
                    "run that diverged cannot be shown"
                )
    for name, values in arrays.items():
        if name.startswith("factor_") and (
            values.shape != (n,) or values.dtype.kind not in "biuf" or not np.isfinite(values).all()
        ):
            raise InputError(f"{run}: {name}: expected {n} finite numbers")


def _integers(run: str, arrays: Arrays, name: str, limit: int, what: str) -> np.ndarray:
    values = arrays.get(name)
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


def check_same_points(held: Mapping[Key, Arrays]) -> int:
    """Linked hover says "the same test image": labels must agree between panels."""
    first: dict[int, Key] = {}
    total = len(next(iter(held.values()))["labels"])
    for key, arrays in held.items():
        reference = first.setdefault(key[2], key)
        if len(arrays["labels"]) != total or not np.array_equal(
            arrays["labels"], held[reference]["labels"]
        ):
            raise InputError(f"{_words(key)} and {_words(reference)} show different test images")
    return total


def summaries(
    records: Sequence[Record], metrics: Mapping[str, str]
) -> dict[tuple[str, int], dict[str, Summary]]:
    """Mean and 95% interval over seeds of every metric that some have, by cell and K."""
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record.cell, record.num_subsets), []).append(record)
    return {
        key: {
            name: Summary.of(values)
            for name in metrics
            if (values := [r.metrics[name] for r in members if name in r.metrics])
        }
        for key, members in groups.items()
    }


def numbers(summary: Summary) -> list[float | None]:
    low, high = summary.interval or (None, None)
    rounded = [None if x is None else round(x, 6) for x in (summary.mean, low, high)]
    return [*rounded, summary.n]
