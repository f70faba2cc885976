"""Verdicts: what the records say about a registered hypothesis. Computed, never typed.

Every comparison is paired over seeds and refuses what cannot be compared: other data, another
preset, a run recorded twice, a seed that one side lacks. :func:`decide` answers *undecided*, with
the reason, where runs are merely missing; whatever points at damaged or mixed records raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import (
    Interval,
    NotRecordedError,
    Record,
    holm,
    mean,
    mean_interval,
    seeds_needed,
    sign_flip_p,
    value,
)
from contrastive_tutorial.verdicts.hypotheses import Condition, Hypothesis, Part, Rules
from contrastive_tutorial.verdicts.pairing import Table, by_seed, mixed, nested_seeds, require_seeds
from contrastive_tutorial.verdicts.rules import cells_of, holds, number

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


@dataclass(frozen=True)
class Contrast:
    """One cell minus another on one metric, paired over seeds.

    Attributes:
        preset, data, num_subsets: of the runs.
        seeds: which, ascending.
        deltas: a minus b, one per seed.
        mean: of the deltas.
        interval: of that mean.
        p: exact two-sided sign-flip test, not corrected for other contrasts. It cannot be below
            2^(1-n), whatever the deltas are.
    """

    preset: str
    data: str
    num_subsets: int
    seeds: tuple[int, ...]
    deltas: tuple[float, ...]
    mean: float
    interval: Interval
    p: float

    @property
    def n(self) -> int:
        """Number of paired seeds."""
        return len(self.deltas)


@dataclass(frozen=True)
class PartVerdict:
    """The answer to one part: its outcome, why, and the number of every seed behind it."""

    name: str
    outcome: str
    reason: str
    values: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    mean: float | None = None
    interval: Interval | None = None
    p_adjusted: float | None = None

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)


@dataclass(frozen=True)
class Verdict:
    """``outcome`` is ``"supported"``, ``"contradicted"`` or ``"undecided"``."""

    id: str
    outcome: str
    reason: str
    preset: str
    data: str
    parts: tuple[PartVerdict, ...] = field(default=())


@dataclass(frozen=True)
class PrimaryResult:
    """A contrast of the primary family with its Holm-adjusted p.

    ``contrast`` is ``None``, with the ``reason``, while too few runs are recorded; such a contrast
    enters the family with p = 1, so that no correction gets weaker by leaving runs out.
    """

    id: str
    contrast: Contrast | None
    p_adjusted: float
    reason: str = ""


def contrast(
    records: Iterable[Record],
    cell_a: str,
    cell_b: str,
    metric: str,
    preset: str | None = None,
    data: str | None = None,
    num_subsets: int = 10,
    *,
    how: str | None = None,
    min_seeds: int | None = None,
) -> Contrast:
    """``cell_a`` minus ``cell_b``, paired over the first seeds that both have.

    Args:
        records: any; those of other cells, presets, data sets and subset counts are left out.
        cell_a, cell_b: names of cells.
        metric: key of ``Record.metrics``; of ``Record.evaluations[how]`` if ``how`` is given;
            ``extra.<key>`` for ``Record.extra``.
        preset, data: which records; may be left out where the two cells have only one.
        num_subsets: K.
        how: evaluation statistics, or ``None`` for the headline ones.
        min_seeds: refuse fewer; by default as many as the sign-flip test takes to reach p < 0.05
            (6). Fewer give an interval, but never a significant p.

    Raises:
        InputError: for too few seeds, a hole in the seeds of one side, data hashes, presets or
            evaluation statistics that differ, a run recorded twice, or a record without the metric.
    """
    needed = seeds_needed() if min_seeds is None else min_seeds
    table = by_seed(list(records), (cell_a, cell_b), preset, data, num_subsets)
    used = nested_seeds(table)
    require_seeds(used, max(needed, 2), table)
    first = table[cell_a][used[0]]
    deltas = tuple(
        value(table[cell_a][seed], metric, how) - value(table[cell_b][seed], metric, how)
        for seed in used
    )
    return Contrast(
        preset=first.preset,
        data=first.data,
        num_subsets=num_subsets,
        seeds=used,
        deltas=deltas,
        mean=mean(deltas),
        interval=mean_interval(deltas),
        p=sign_flip_p(deltas),
    )


def primary_results(
    rules: Rules,
    records: Iterable[Record],
    preset: str | None = None,
    data: str | None = None,
    metric: str | None = None,
    how: str | None = None,
) -> dict[str, PrimaryResult]:
    """The primary family with Holm-adjusted p-values, by id.

    Where the family has several metrics, the contrast is that of the first and its p the largest of
    theirs: found is what every one of them finds.

    Args:
        rules: of a file of hypotheses (``load_hypotheses(path).rules``).
        records: any.
        preset, data: ``None`` for the registered ones.
        metric, how: ``None`` for the registered ones; others are the sensitivity analyses.

    Raises:
        InputError: for records that do not belong together (see :func:`contrast`).
    """
    records = rules.decisive(records)
    found: dict[str, Contrast] = {}
    reasons: dict[str, str] = {}
    raw: dict[str, float] = {}
    for name, (left, right) in rules.primary.items():
        scope = (preset or rules.preset, data or rules.data, rules.num_subsets)
        try:
            each = [
                contrast(
                    records, left, right, one, *scope, how=how, min_seeds=rules.primary_min_seeds
                )
                for one in ([metric] if metric else rules.primary_metrics)
            ]
            found[name], raw[name] = each[0], max(one.p for one in each)
        except NotRecordedError as error:
            reasons[name] = str(error)
    adjusted = holm({name: raw.get(name, 1.0) for name in rules.primary})
    return {
        name: PrimaryResult(name, found.get(name), adjusted[name], reasons.get(name, ""))
        for name in rules.primary
    }


def decide(
    hypothesis: Hypothesis,
    records: Iterable[Record],
    preset: str | None = None,
    data: str | None = None,
) -> Verdict:
    """Apply a hypothesis' registered rules to records.

    A cell that was run with more seeds than another is cut to the first ones they share; a hole in
    the seeds makes the part undecided, because leaving out single runs is how results are picked.

    Args:
        hypothesis: from :func:`load_hypotheses`.
        records: any; those that no rule asks for are left out.
        preset, data: ``None`` for the registered ones; others give the verdict of a replication.

    Raises:
        InputError: for mixed data hashes, presets or evaluation statistics, headline metrics under
            other statistics than registered, or a run recorded twice.
    """
    rules = hypothesis.rules
    scope = (preset or rules.preset, data or rules.data, rules.num_subsets)
    records = rules.decisive(records)
    family: dict[str, PrimaryResult] = {}
    if any(part.primary for part in hypothesis.parts):
        family = primary_results(rules, records, scope[0], scope[1])
    parts = tuple(_decide_part(part, records, rules, scope, family) for part in hypothesis.parts)
    if rules.gate is not None:
        passed = gate(rules, records, scope[0], scope[1])
        if passed.outcome != SUPPORTED:
            closed = tuple(replace(part, outcome=UNDECIDED) for part in parts)
            reason = "the gate is " + (
                "not passed: " if passed.outcome == CONTRADICTED else "open: "
            )
            return Verdict(
                hypothesis.id, UNDECIDED, reason + passed.reason, scope[0], scope[1], closed
            )
    outcomes = {part.outcome for part in parts}
    if CONTRADICTED in outcomes:
        outcome = CONTRADICTED
    else:
        outcome = SUPPORTED if outcomes == {SUPPORTED} else UNDECIDED
    decisive = [part for part in parts if part.outcome == outcome]
    reason = "; ".join(f"{part.name}: {part.reason}" for part in decisive)
    return Verdict(hypothesis.id, outcome, reason, scope[0], scope[1], parts)


def gate(
    rules: Rules, records: Iterable[Record], preset: str | None = None, data: str | None = None
) -> PartVerdict:
    """Whether the encoders of a study learned enough for its verdicts to count.

    *Supported*: the gate is passed; *contradicted*: it is not, and this preset decides nothing;
    *undecided*: too few runs.

    Args:
        rules: of a study with a gate.
        records: any.
        preset, data: ``None`` for the registered ones.

    Raises:
        InputError: if the study has no gate, or for records that do not belong together.
    """
    if rules.gate is None:
        raise InputError("gate: this study has none")
    asked, records = rules.gate, rules.decisive(records)
    metric, floor = asked.learned
    family = dict.fromkeys(cell for pair in rules.primary.values() for cell in pair)
    wanted = [(asked.baseline, other, m, asked.by) for other in asked.above for m in asked.metrics]
    wanted += [(cell, floor, metric, 0.0) for cell in family if cell != asked.baseline]
    lines, failed = [], False
    for left, right, one, by in wanted:
        scope = (preset or rules.preset, data or rules.data, rules.num_subsets)
        try:
            table = by_seed(records, (left, right), *scope)
            seeds = nested_seeds(table)
            require_seeds(seeds, asked.min_seeds, table)
        except NotRecordedError as error:
            return PartVerdict("gate", UNDECIDED, str(error))
        gained = mean([value(table[left][s], one) - value(table[right][s], one) for s in seeds])
        failed |= gained < by
        lines.append(
            f"{left} {gained:+.3f} above {right} in {one}" + " (too little)" * (gained < by)
        )
    return PartVerdict("gate", CONTRADICTED if failed else SUPPORTED, "; ".join(lines))


# -- one part ---------------------------------------------------------------------------------


def _decide_part(
    part: Part,
    records: list[Record],
    rules: Rules,
    scope: tuple[str, str, int],
    family: Mapping[str, PrimaryResult],
) -> PartVerdict:
    spec = part.spec
    try:
        table = by_seed(records, cells_of(spec), *scope)
        _check_headline(table, rules, spec)
        seeds = nested_seeds(table)
        require_seeds(seeds, max(part.min_seeds, 2), table)
        values = tuple(number(part, table, seed) for seed in seeds)
    except NotRecordedError as error:
        return PartVerdict(part.name, UNDECIDED, str(error))
    center = mean(values)
    adjusted = family[part.primary].p_adjusted if part.primary else None
    interval = mean_interval(values, part.supported_if.confidence)
    outcome = UNDECIDED
    significant = adjusted is None or adjusted < rules.alpha
    for name, condition in ((SUPPORTED, part.supported_if), (CONTRADICTED, part.contradicted_if)):
        # Lying inside bounds is a test of its own: it takes no difference that is significant.
        counts = significant or condition.relation == "inside"
        if outcome == UNDECIDED and counts and holds(condition, values):
            outcome = name
            interval = mean_interval(values, condition.confidence)
    reason = f"mean {center:+.4f}, {interval}, n = {len(values)}"
    if adjusted is not None:
        reason += f", Holm-adjusted p = {adjusted:.3g}"
    either = part.supported_if, part.contradicted_if
    if outcome == UNDECIDED and any(holds(condition, values) for condition in either):
        reason += "; the family's test finds no difference"
    else:
        reason += f"; {_expectation(part, outcome)}"
    remark = mixed(table[cell][seed] for cell in table for seed in seeds)
    reason += f"; {remark}" if remark else ""
    return PartVerdict(part.name, outcome, reason, values, seeds, center, interval, adjusted)


def _expectation(part: Part, outcome: str) -> str:
    def words(condition: Condition) -> str:
        if condition.low == condition.high:
            return f"{condition.relation} {condition.low:g}"
        return f"{condition.relation} {condition.low:g} to {condition.high:g}"

    if outcome == UNDECIDED:
        return f"neither {words(part.supported_if)} nor {words(part.contradicted_if)}"
    return words(part.supported_if if outcome == SUPPORTED else part.contradicted_if)


def _check_headline(table: Table, rules: Rules, spec: Mapping[str, Any]) -> None:
    if spec.get("how") is not None:
        return
    for cell, members in table.items():
        wanted = rules.headline.get(cell)
        for record in members.values():
            if wanted is not None and record.evaluation != wanted:
                raise InputError(
                    f"{cell}: headline metrics were recorded under {record.evaluation!r}, but "
                    f"{wanted!r} was registered before any run"
                )
