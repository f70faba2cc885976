"""Every table and figure of the study, written from a folder of records and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write
from contrastive_tutorial.records import Record
from contrastive_tutorial.report import figures, study_figures, tables
from contrastive_tutorial.study import THREE
from contrastive_tutorial.verdicts import decide, load_hypotheses, measure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

REGISTERED_K = 10
HEADLINE = ("cluster_accuracy", "knn10", "linear_probe")


def verdict_lines(records: Sequence[Record], preset: str, data: str) -> list[str]:
    """Every registered hypothesis with its verdict and its parts, as Markdown."""
    lines = []
    for hypothesis in load_hypotheses():
        verdict = decide(hypothesis, cast(Any, records), preset, data)
        lines.append(f"- **{hypothesis.id} {hypothesis.title}**: {verdict.outcome}")
        lines += [f"  - {part.outcome}: {part.name}: {part.reason}" for part in verdict.parts]
    return lines


def shown_k(records: Sequence[Record]) -> int:
    """K of the figures: 10, as registered, or that of most trained runs (the largest of equals).

    Raises:
        InputError: for no records.
    """
    counts = Counter(r.num_subsets for r in records if r.loss_curve) or Counter(
        r.num_subsets for r in records
    )
    if not counts:
        raise InputError("records: expected at least one, got none")
    return REGISTERED_K if REGISTERED_K in counts else max(counts, key=lambda k: (counts[k], k))


def all_figures(
    records: Sequence[Record],
    num_subsets: int | None = None,
    left_out: dict[str, str] | None = None,
) -> dict[str, Figure]:
    """The figures that these records allow, by name.

    Args:
        records: of one data set and preset.
        num_subsets: K, where a figure shows one; by default :func:`shown_k` of the records.
        left_out: filled with the name of each figure they do not allow, and why.
    """
    if num_subsets is None:
        num_subsets = shown_k(records)
    at_k = [r for r in records if r.num_subsets == num_subsets]
    three = [r for r in records if r.cell in THREE]
    references = [r for r in at_k if r.cell in ("raw-pixels", "pca", "untrained") and r.seed == 0]
    trained = [r for r in at_k if r.loss_curve]
    wanted: dict[str, Callable[[], Figure]] = {
        "metrics": lambda: figures.metric_dots(trained, HEADLINE, references),
        "losses": lambda: figures.loss_curves([r for r in trained if r.cell in THREE]),
        "by-subsets": lambda: figures.metric_by_subsets(three, "knn10"),
    }
    for metric in HEADLINE:
        wanted[f"effects-{metric}"] = lambda m=metric: study_figures.forest(  # type: ignore[misc]
            measure(cast(Any, at_k), m), m
        )
    for cell in sorted({r.cell for r in at_k if len(r.evaluations) > 3}):
        wanted[f"statistics-{cell}"] = lambda c=cell: study_figures.statistics_dots(  # type: ignore[misc]
            [r for r in at_k if r.cell == c]
        )
    wanted["shift-against-gain"] = lambda: study_figures.shift_against_gain(
        *study_figures.policy_shifts(at_k), f"{at_k[0].data}, preset {at_k[0].preset}"
    )
    wanted["leak"] = lambda: study_figures.leak(at_k)
    for record in three:
        if record.num_subsets == num_subsets and record.has_arrays():
            for colour in ("class", "subset"):
                wanted[f"umap-{record.cell}-{colour}"] = lambda r=record, c=colour: (  # type: ignore[misc]
                    figures.embedding_scatter(
                        r, [f"class {k}" for k in range(int(r.arrays()["labels"].max()) + 1)], c,
                        own_policy=c == "subset",
                    )
                )  # fmt: skip
    drawn = {}
    for name, draw in wanted.items():
        try:
            drawn[name] = draw()
        except InputError as error:  # what it shows is not recorded
            if left_out is not None:
                left_out[name] = str(error)
    return drawn


def _markdown(table: DataFrame) -> list[str]:
    head = ["metric", *map(str, table.columns)]
    rows = [
        [str(name), *map(str, row)] for name, row in zip(table.index, table.values, strict=True)
    ]
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def write_report(
    records: Sequence[Record], folder: str | Path, table: Callable[[Sequence[Record], bool], str]
) -> list[Path]:
    """Write ``<data>-<preset>.md`` (table and verdicts) and its figures as SVG.

    Args:
        records: any; every data set and preset gets files of its own.
        folder: created if need be; files of an earlier report are replaced.
        table: renders records as a Markdown table.

    Raises:
        InputError: for a folder that cannot be written.
    """
    import io

    import matplotlib.pyplot as plt

    from contrastive_tutorial.report import style

    written = []
    for data, preset in sorted({(r.data, r.preset) for r in records}):
        chosen = [r for r in records if (r.data, r.preset) == (data, preset)]
        name = f"{data}-{preset}"
        lines = [f"# {data}, preset {preset}", "", table(chosen, True), "", "## Verdicts", ""]
        lines += verdict_lines(chosen, preset, data)
        lines += ["", "## Primary contrasts, measured in other ways (95% intervals)", ""]
        lines += _markdown(tables.sensitivity_table(chosen, preset, data))
        lines += ["", f"## Figures (K = {shown_k(chosen)} where one is shown)", ""]
        left_out: dict[str, str] = {}
        with plt.rc_context({"svg.hashsalt": name}):  # equal figures, equal files
            style.style()
            for title, figure in all_figures(chosen, left_out=left_out).items():
                picture = io.BytesIO()
                figure.savefig(picture, format="svg", metadata={"Date": None}, facecolor="white")
                plt.close(figure)
                path = Path(folder) / f"{name}-{title}.svg"
                atomic_write(path, picture.getvalue())
                lines.append(f"![{title}]({path.name})")
                written.append(path)
        if left_out:
            lines += ["", "Not drawn, since it is not recorded:", ""]
            lines += [f"- {title}: {reason}" for title, reason in left_out.items()]
        path = Path(folder) / f"{name}.md"
        atomic_write(path, ("\n".join(lines) + "\n").encode())
        written.append(path)
    return written
