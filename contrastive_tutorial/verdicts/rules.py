"""Registered rules applied to one seed: which number a part looks at, and when a bound holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contrastive_tutorial.metrics import METRICS
from contrastive_tutorial.records import NotRecordedError, Record, mean, mean_interval, value
from contrastive_tutorial.verdicts.hypotheses import Condition, Part

#: Records of one seed, by cell.
Runs = Mapping[str, Record]


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


def number(part: Part, table: Mapping[str, Mapping[int, Record]], seed: int) -> float:
    """The one number that ``part`` looks at, for one seed."""
    spec = part.spec
    runs = {cell: table[cell][seed] for cell in cells_of(spec)}
    if part.kind == "difference":
        return _side(spec, 0, runs) - _side(spec, 1, runs)
    if part.kind == "level":
        return _indexed(runs[spec["cell"]], spec["metric"], spec.get("how"), spec.get("index"))
    return FUNCTIONS[spec["function"]](runs, spec)


def _side(spec: Mapping[str, Any], index: int, runs: Runs) -> float:
    """Mean over the cells of one side."""
    metric, how = spec["metric"], spec.get("how")
    metric = metric[index] if isinstance(metric, list) else metric
    how = how[index] if isinstance(how, list) else how
    cells = as_list(spec["contrast"][index])
    return mean([_indexed(runs[cell], metric, how, spec.get("index")) for cell in cells])


def _indexed(record: Record, metric: str, how: str | None, index: Sequence[int] | None) -> float:
    if index is None:
        return value(record, metric, how)
    return mean([value(record, f"{metric}/{i}", how) for i in index])


# -- numbers that one hypothesis alone looks at -----------------------------------------------


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _group(record: Record, prefix: str) -> dict[str, float]:
    """The entries ``<prefix>...`` of the extras."""
    found = {k: v for k, v in record.extra.items() if k.startswith(prefix)}
    if len(found) < 2:
        raise NotRecordedError(f"{record.stem}: extra has no group {prefix!r}; re-run that cell")
    return found


def protocol_spread(runs: Runs, spec: Mapping[str, Any]) -> float:
    """H1: largest minus smallest score of one checkpoint over the protocols."""
    return _spread(list(_group(runs["B0"], "cluster_protocols/").values()))


def statistics_spread(runs: Runs, spec: Mapping[str, Any]) -> float:
    """H9: largest minus smallest cluster accuracy over the statistics of the hypothesis."""
    menu = ("branch:0", "reestimated", "pooled", "mean", "worst-branch")
    return _spread([value(runs["S-P1"], "cluster_accuracy", how) for how in menu])


def leak_slope(runs: Runs, spec: Mapping[str, Any]) -> float:
    """H3: least-squares slope, over 1/m, of what kNN loses by both views in one group of m."""
    import numpy as np

    sizes = (5, 10, 25, 50)
    lost = [
        value(runs[f"ghost-same-{m}"], "knn200") - value(runs[f"ghost-shuffle-{m}"], "knn200")
        for m in sizes
    ]
    line = np.polynomial.Polynomial.fit([1 / m for m in sizes], lost, 1).convert()
    return float(line.coef[1:].sum())  # a flat line has no such coefficient


def beyond_geometric(runs: Runs, spec: Mapping[str, Any]) -> float:
    """H7: how splitting changes the recall of photometric policies, less that of geometric ones."""

    def gap(record: Record) -> float:
        key = "extra.policy_recall_z_own_branch"
        return _indexed(record, key, None, range(2, 8)) - _indexed(record, key, None, (8, 9))

    return gap(runs["S-P1"]) - gap(runs["W-bn"])


def fall_follows_shift(runs: Runs, spec: Mapping[str, Any]) -> float:
    """H7: rank correlation over policies of what recall loses with the shift in the first layer."""
    shifts = _group(runs["W-bn"], "kl_bn1_per_policy/")
    policies = range(len(shifts))
    key = "extra.policy_recall_z_own_branch"
    return _spearman(
        [value(runs["W-bn"], f"{key}/{k}") - value(runs["S-P1"], f"{key}/{k}") for k in policies],
        [shifts[f"kl_bn1_per_policy/{k}"] for k in policies],
    )


def ranks_as_knn(runs: Runs, spec: Mapping[str, Any]) -> float:
    """H14: rank correlation over cells of a metric, better meaning more, with kNN."""
    sign = 1 if METRICS[spec["metric"]].higher_is_better else -1
    found = _spearman(
        [value(run, spec["metric"]) for run in runs.values()],
        [value(run, "knn200") for run in runs.values()],
    )
    return sign * found


def largest_over_training(runs: Runs, spec: Mapping[str, Any]) -> float:
    """HB8: the largest kNN difference from the first cell, from 30% of the training to its end."""
    baseline, *others = (_curve(runs[cell]) for cell in spec["cells"])
    late = [step for step in baseline if step >= 0.3 * max(baseline)]
    for cell, curve in zip(spec["cells"][1:], others, strict=True):
        if set(curve) != set(baseline):
            raise NotRecordedError(f"{cell}: was not measured at the steps of {spec['cells'][0]}")
    return max(curve[step] - baseline[step] for curve in others for step in late)


def _curve(record: Record) -> dict[int, float]:
    prefix = "along/knn10/"
    return {int(key.removeprefix(prefix)): v for key, v in _group(record, prefix).items()}


def _spearman(x: Sequence[float], y: Sequence[float]) -> float:
    from scipy import stats

    if min(x) == max(x) or min(y) == max(y):
        return 0.0  # no order to agree with
    return float(stats.spearmanr(x, y).statistic)


FUNCTIONS: dict[str, Callable[[Runs, Mapping[str, Any]], float]] = {
    f.__name__: f
    for f in (
        protocol_spread, statistics_spread, leak_slope, beyond_geometric, fall_follows_shift,
        ranks_as_knn, largest_over_training,
    )
}  # fmt: skip
