"""Records as tables that say what is missing: for chapters that are built while runs are made.

Nothing here computes a result of its own; means and intervals come from
:mod:`~contrastive_tutorial.records`, outcomes from :mod:`~contrastive_tutorial.verdicts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import METRICS
from contrastive_tutorial.records import Interval, NotRecordedError, Record, Summary, value
from contrastive_tutorial.report.figures import cell_label
from contrastive_tutorial.verdicts import (
    Condition,
    Part,
    PartVerdict,
    decide,
    gate,
    load_hypotheses,
    primary_results,
)

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

#: What a table says where a cell has no record, and where its records lack the metric.
MISSING, UNMEASURED = "no record yet", "not measured"


def having(records: Sequence[Record], metrics: Iterable[str]) -> list[Record]:
    """The records that have all of these metrics.

    Args:
        records: any.
        metrics: as in :func:`contrastive_tutorial.records.value`.
    """
    kept = []
    for record in records:
        try:
            [value(record, metric) for metric in metrics]
        except NotRecordedError:
            continue
        kept.append(record)
    return kept


def summary(records: Sequence[Record], cell: str, metric: str) -> Summary | None:
    """Mean and 95% interval over the seeds of ``cell`` that have ``metric``; ``None`` for none.

    The records must be of one data set, preset and number of subsets.
    """
    chosen = having([r for r in records if r.cell == cell], [metric])
    return Summary.of(value(r, metric) for r in chosen) if chosen else None


def cell_table(
    records: Sequence[Record], cells: Sequence[str], metrics: Mapping[str, str]
) -> DataFrame:
    """One row a cell, one column a metric: mean, half width of the 95% interval, seeds.

    Args:
        records: of one data set, preset and number of subsets.
        cells: rows in order; those without a record stay, and say so.
        metrics: columns, as in :func:`contrastive_tutorial.records.value`, and their headings;
            one that a recorded cell does not have is *not measured*.
    """
    import pandas as pd

    recorded = {record.cell for record in records}
    rows = {
        cell_label(cell): {
            label: str(
                summary(records, cell, metric) or (UNMEASURED if cell in recorded else MISSING)
            )
            for metric, label in metrics.items()
        }
        for cell in cells
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(metrics.values()))


def missing_cells(records: Sequence[Record], cells: Sequence[str]) -> str:
    """One sentence that names the cells without a record, or says that all have one."""
    present = {record.cell for record in records}
    absent = [cell for cell in cells if cell not in present]
    if not absent:
        return f"All {len(cells)} cells are recorded."
    return "No record yet: " + ", ".join(absent) + "."


def provenance(records: Sequence[Record]) -> str:
    """One sentence on where records come from: how many, on what, with which code.

    Raises:
        InputError: for no records.
    """
    if not records:
        raise InputError("provenance: expected at least one record, got none")

    def all_of(name: str) -> str:
        return ", ".join(sorted({str(getattr(r, name)) for r in records}))

    commits = ", ".join(sorted({(r.git_commit or "unknown")[:9] for r in records}))
    return (
        f"{len(records)} recorded runs on {all_of('data')}, preset {all_of('preset')},\nmade on "
        f"{all_of('device')} with version {all_of('package_version')}, commit {commits}."
    )


def page_table(table: DataFrame) -> Styler:
    """A data frame for a page: words at the left and whole, and nothing of it markup."""
    styler = table.style.format(escape="html")
    for axis in (0, 1):
        styler = styler.format_index(escape="html", axis=axis)
    return styler.set_properties(
        **{
            "text-align": "left",
            "vertical-align": "top",
            "white-space": "normal",
            "overflow-wrap": "break-word",
        }
    )


def primary_table(records: Sequence[Record], study: str = "hypotheses") -> DataFrame:
    """The contrasts that a study was registered to decide: a row each.

    ``reads as`` is *higher* or *lower* where the study's gate, if it has one, is passed, the
    adjusted p is below the family's error, and the intervals of all its metrics lie on one side of
    zero.

    Args:
        records: any.
        study: as in :func:`contrastive_tutorial.verdicts.load_hypotheses`.

    Raises:
        InputError: as :func:`contrastive_tutorial.verdicts.primary_results`.
    """
    import pandas as pd

    rules = load_hypotheses(study).rules
    each = {name: primary_results(rules, records, metric=name) for name in rules.primary_metrics}
    passed = rules.gate is None or gate(rules, records).outcome == "supported"
    rows = {}
    for primary, result in primary_results(rules, records).items():
        row = rows[" − ".join(rules.primary[primary])] = {"reads as": "too few runs yet"}
        if result.contrast is None:
            continue
        intervals = []
        for name, found in each.items():
            contrast = found[primary].contrast
            assert contrast is not None  # the family has one only where every metric has one
            interval = contrast.interval
            intervals.append(interval)
            row[METRICS[name].short] = interval_text(contrast.mean, interval)
        clear = passed and result.p_adjusted < rules.alpha
        higher, lower = all(i.low > 0 for i in intervals), all(i.high < 0 for i in intervals)
        row["n"], row["Holm p"] = str(result.contrast.n), f"{result.p_adjusted:.3f}"
        row["reads as"] = (
            "higher" if clear and higher else "lower" if clear and lower else "undecided"
        )
    columns = ["n", *(METRICS[name].short for name in rules.primary_metrics), "Holm p", "reads as"]
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns).fillna("")


#: The registered sensitivity analyses of the primary family: metric, evaluation statistics.
SENSITIVITY = (
    ("cluster_accuracy", None),
    ("cluster_accuracy", "reestimated"),
    ("nmi", None),
    ("ari", None),
    ("knn200", None),
    ("linear_probe", None),
)


def sensitivity_table(
    records: Sequence[Record],
    preset: str | None = None,
    data: str | None = None,
    study: str = "hypotheses",
) -> DataFrame:
    """The primary contrasts under every registered metric: mean and 95% interval.

    Args:
        records: any.
        preset, data: ``None`` for the registered ones.
        study: as in :func:`contrastive_tutorial.verdicts.load_hypotheses`.

    Raises:
        InputError: as :func:`contrastive_tutorial.verdicts.primary_results`.
    """
    import pandas as pd

    rules = load_hypotheses(study).rules
    rows: dict[str, dict[str, str]] = {}
    for name, how in dict.fromkeys((*((m, None) for m in rules.primary_metrics), *SENSITIVITY)):
        row = rows[METRICS[name].short + (f", {how}" if how else "")] = {}
        found = primary_results(rules, records, preset, data, metric=name, how=how)
        for primary, result in found.items():
            column = " − ".join(rules.primary[primary])
            row[column] = "too few runs yet"
            if result.contrast is not None:
                row[column] = interval_text(result.contrast.mean, result.contrast.interval)
    return pd.DataFrame.from_dict(rows, orient="index")


def verdict_table(records: Sequence[Record], ids: Sequence[str]) -> DataFrame:
    """What the first study's rules say: a row for every hypothesis, and one for each of its parts.

    ``measured`` names the cells and gives their difference, with a sign, or the value of one cell,
    without; ``holds if`` is where the interval has to lie.

    Raises:
        InputError: as :func:`contrastive_tutorial.verdicts.decide`.
    """
    import pandas as pd

    registry = load_hypotheses()
    columns = ["outcome", "measured", "holds if"]
    rows: dict[str, list[str]] = {}
    for name in ids:
        hypothesis = registry[name]
        verdict = decide(hypothesis, records)
        rows[f"{name}: {hypothesis.title}"] = [verdict.outcome.capitalize(), "", ""]
        for registered, part in zip(hypothesis.parts, verdict.parts, strict=True):
            rows[f"{name}, {part.name}"] = [
                part.outcome, measured_text(registered, part), needed_text(registered.supported_if),
            ]  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def measured_text(registered: Part, part: PartVerdict) -> str:
    """The cells of a part, the mean of its seeds, its interval and their number."""
    if part.mean is None or part.interval is None:
        return "too few runs yet"
    found = interval_text(part.mean, part.interval, "" if registered.kind == "level" else "+")
    return f"{_compared(registered)}{found} ({part.interval.confidence:.0%}), n = {part.n}"


def interval_text(mean: float, interval: Interval, sign: str = "+") -> str:
    """``"+0.012 [+0.002, +0.022]"``; an empty ``sign`` for what is no difference."""
    return f"{mean:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"


def _compared(registered: Part) -> str:
    """The cells whose number it is; nothing where the part's own words say it (long lists)."""
    if "cell" in registered.spec:
        return f"{registered.spec['cell']}: "
    sides = [
        [side] if isinstance(side, str) else side for side in registered.spec.get("contrast", [])
    ]
    if not sides or max(map(len, sides)) > 2:
        return ""
    left, right = ("mean of " * (len(side) > 1) + " and ".join(side) for side in sides)
    return f"{left}: " if left == right else f"{left} − {right}: "


def needed_text(condition: Condition) -> str:
    """Where the interval, or every single value, has to lie."""
    low, high = f"{condition.low:g}", f"{condition.high:g}"
    return {
        "above": f"above {low}",
        "below": f"below {high}",
        "inside": f"within {low} to {high}",
        "outside": f"outside {low} to {high}",
        "every at_least": f"each at least {low}",
        "some below": f"one below {high}",
    }[condition.relation]
