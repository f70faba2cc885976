"""One metric over seeds: its mean and interval, alone or for many groups of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records.alike import one_each_seed, require_alike, require_one_cell
from contrastive_tutorial.records.intervals import mean, mean_interval
from contrastive_tutorial.records.schema import Record


class NotRecordedError(InputError):
    """Runs or metrics are missing: more of them would decide. Nothing is wrong with the others."""


def value(record: Record, metric: str, how: str | None = None) -> float:
    """One number of a record. Whatever needs one takes it from here.

    Args:
        record: any.
        metric: a key of ``record.metrics``, or ``extra.<key>`` of ``record.extra``.
        how: of ``record.evaluations[how]`` instead; ``"worst-branch"`` is the smallest over all
            ``branch:k``.

    Raises:
        NotRecordedError: naming the record and the key it lacks.
    """
    if metric.startswith("extra."):
        source, key, where = record.extra, metric.removeprefix("extra."), "extra"
    elif how == "worst-branch":
        branches = [h for h in record.evaluations if h.startswith("branch:")]
        if not branches:
            raise NotRecordedError(f"{record.stem}: no branch was evaluated; re-run that cell")
        return min(value(record, metric, branch) for branch in branches)
    elif how is not None:
        source, key, where = record.evaluations.get(how, {}), metric, f"evaluations[{how!r}]"
    else:
        source, key, where = record.metrics, metric, "metrics"
    if key not in source:
        raise NotRecordedError(
            f"{record.stem}: {where} has no {key!r} (an older record?); re-run that cell, or leave "
            "the metric out"
        )
    return float(source[key])


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

    def text(self, digits: int = 3) -> str:
        """``"0.250 ± 0.012"``: mean and half the interval; the mean alone for a single seed."""
        shown = f"{self.mean:.{digits}f}"
        if self.interval is None:
            return shown
        return f"{shown} ± {(self.interval[1] - self.interval[0]) / 2:.{digits}f}"

    def __str__(self) -> str:
        return f"{self.text()} (n={self.n})"


def summarize(records: Sequence[Record], metric: str) -> dict[tuple[str, int], Summary]:
    """Mean over seeds of ``metric`` with a 95% interval, by cell and number of subsets.

    Records of one group must differ only in their seed: what :func:`require_alike` and
    :func:`require_one_cell` tell apart, or duplicate seeds, is refused, never averaged over.

    Raises:
        InputError: naming the record without the metric, or what is mixed.
    """
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record.cell, record.num_subsets), []).append(record)
    for key, members in groups.items():
        named = f"{key[0]} with K = {key[1]}"
        require_alike(members, named)
        require_one_cell(members, named)
        one_each_seed(members, named)
    return {
        key: Summary.of(value(record, metric) for record in members)
        for key, members in groups.items()
    }
