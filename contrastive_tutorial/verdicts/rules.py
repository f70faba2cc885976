"""Registered rules applied to one seed: which number a part looks at, and when a bound holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contrastive_tutorial.records import mean, mean_interval
from contrastive_tutorial.verdicts.hypotheses import Condition, Part
from contrastive_tutorial.verdicts.pairing import NotRecordedError, RunRecord, value


def cells_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Every cell a part looks at, once each, in order."""
    if "contrast" in spec:
        named = [cell for side in spec["contrast"] for cell in as_list(side)]
    else:
        named = list(spec["cells"]) if "cells" in spec else [spec["cell"]]
    return tuple(dict.fromkeys(named))


def as_list(side: str | list[str]) -> list[str]:
    """The cells of one side of a contrast."""
    return [side] if isinstance(side, str) else list(side)


def _pick(setting: Any, index: int) -> Any:
    return setting[index] if isinstance(setting, list) else setting


def holds(condition: Condition, values: Sequence[float]) -> bool:
    """Whether a condition holds for the values of all seeds."""
    if condition.relation == "every at_least":
        return min(values) >= condition.low
    if condition.relation == "some below":
        return min(values) < condition.low
    interval = mean_interval(values, condition.confidence)
    if condition.relation == "above":
        return interval.low > condition.low
    if condition.relation == "below":
        return interval.high < condition.high
    if condition.relation == "inside":
        return condition.low < interval.low and interval.high < condition.high
    return interval.high < condition.low or interval.low > condition.high


def number(part: Part, table: Mapping[str, Mapping[int, RunRecord]], seed: int) -> float:
    """The one number that ``part`` looks at, for one seed."""
    spec = part.spec
    if part.kind == "difference":
        right = _side(spec, 1, table, None if spec.get("right_is_constant") else seed)
        return _side(spec, 0, table, seed) - right
    if part.kind == "level":
        return _indexed(table[spec["cell"]][seed], spec["metric"], spec.get("how"), spec)
    if part.kind == "spread":
        found = _spread_values(table[spec["cell"]][seed], spec)
        return max(found) - min(found)
    if part.kind == "slope":
        left, right_cells = spec["contrast"]
        inverse = [1 / size for size in spec["group_size"]]
        fall = [
            value(table[a][seed], spec["metric"], spec.get("how"))
            - value(table[b][seed], spec["metric"], spec.get("how"))
            for a, b in zip(left, right_cells, strict=True)
        ]
        line = np.polynomial.Polynomial.fit(inverse, fall, 1).convert()
        return float(line.coef[1:].sum())  # a flat line has no such coefficient
    return _rank_correlation(spec, table, seed)


def _side(
    spec: Mapping[str, Any],
    index: int,
    table: Mapping[str, Mapping[int, RunRecord]],
    seed: int | None,
) -> float:
    """Mean over the cells of one side; over all their records where ``seed`` is ``None``."""
    metric, how = _pick(spec["metric"], index), _pick(spec.get("how"), index)
    chosen = []
    for cell in as_list(spec["contrast"][index]):
        chosen += list(table[cell].values()) if seed is None else [table[cell][seed]]
    return mean([_indexed(record, metric, how, spec) for record in chosen])


def _indexed(record: RunRecord, metric: str, how: str | None, spec: Mapping[str, Any]) -> float:
    if "index" not in spec:
        return value(record, metric, how)
    found = mean([value(record, f"{metric}/{i}", how) for i in spec["index"]])
    if "minus_index" in spec:
        found -= mean([value(record, f"{metric}/{i}", how) for i in spec["minus_index"]])
    return found


def _spread_values(record: RunRecord, spec: Mapping[str, Any]) -> list[float]:
    metric = spec["metric"]
    if "how" in spec:
        return [value(record, metric, how) for how in spec["how"]]
    prefix = metric.removeprefix("extra.") + "/"
    found = [number for key, number in record.extra.items() if key.startswith(prefix)]
    if len(found) < 2:
        raise NotRecordedError(
            f"{record.cell}-K{record.num_subsets}-s{record.seed}: extra has no group {prefix!r}; "
            "re-run that cell"
        )
    return found


def _rank_correlation(
    spec: Mapping[str, Any], table: Mapping[str, Mapping[int, RunRecord]], seed: int
) -> float:
    from scipy import stats

    metric, against = spec["metric"], spec["against"]
    if spec["over"] == "cells":
        x = [value(table[cell][seed], metric, spec.get("how")) for cell in spec["cells"]]
        y = [value(table[cell][seed], against["metric"]) for cell in spec["cells"]]
    else:
        left, right = spec["contrast"]
        prefix = against["metric"].removeprefix("extra.") + "/"
        reference = table[against["cell"]][seed]
        count = sum(key.startswith(prefix) for key in reference.extra)
        if count < 3:
            raise NotRecordedError(f"{against['cell']}: seed {seed}: extra has no group {prefix!r}")
        x = [
            value(table[left][seed], f"{metric}/{k}") - value(table[right][seed], f"{metric}/{k}")
            for k in range(count)
        ]
        y = [value(reference, f"{against['metric']}/{k}") for k in range(count)]
    if min(x) == max(x) or min(y) == max(y):
        return 0.0  # no order to agree with
    return float(spec.get("orientation", 1) * stats.spearmanr(x, y).statistic)
