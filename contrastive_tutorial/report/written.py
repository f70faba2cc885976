"""Every table and figure of the study, written from a folder of records and nothing else."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write
from contrastive_tutorial.records import Record, as_markdown, markdown_table, result_table
from contrastive_tutorial.report import figures, norm_figures, study_figures, tables
from contrastive_tutorial.study import CELLS, NORM_PRESET, THREE
from contrastive_tutorial.verdicts import (
    EFFECTS,
    STUDIES,
    effects_of,
    load_hypotheses,
    measure,
    studies_of,
    verdict_lines,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REGISTERED_K = 10
HEADLINE = ("cluster_accuracy", "knn10", "linear_probe")


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


def all_figures(records: Sequence[Record], left_out: dict[str, str]) -> dict[str, Figure]:
    """The figures that these records allow, by name.

    Args:
        records: of one data set and preset; where a figure shows one K, it is :func:`shown_k`.
        left_out: filled with the name of each figure they do not allow, and why.
    """
    num_subsets = shown_k(records)
    at_k = [r for r in records if r.num_subsets == num_subsets]
    three = [r for r in records if r.cell in THREE]
    references = [r for r in at_k if r.cell in ("raw-pixels", "pca", "untrained") and r.seed == 0]
    trained = [r for r in at_k if r.loss_curve]
    wanted: dict[str, Callable[[], Figure]] = {}
    if all(r.preset == NORM_PRESET for r in records):
        wanted["norms"] = partial(norm_figures.comparison, records)
    else:
        wanted |= {
            "metrics": partial(figures.metric_dots, trained, HEADLINE, references),
            "losses": partial(figures.loss_curves, [r for r in trained if r.cell in THREE]),
            "by-subsets": partial(figures.metric_by_subsets, three, "knn10"),
            "leak": partial(study_figures.leak, at_k),
        }
        for study, metric in itertools.product(studies_of(records[0].preset), HEADLINE):
            name = "effects" if study == "hypotheses" else study
            wanted[f"{name}-{metric}"] = partial(_effects, at_k, metric, study)
        for cell in sorted({r.cell for r in at_k if len(r.evaluations) > 3}):
            chosen = [r for r in at_k if r.cell == cell]
            wanted[f"statistics-{cell}"] = partial(study_figures.statistics_dots, chosen)
    for record in three:
        if record.num_subsets == num_subsets and record.has_arrays():
            for colour in ("class", "subset"):
                name = f"umap-{record.cell}-s{record.seed}-{colour}"
                wanted[name] = partial(_embedding, record, colour)
    drawn = {}
    for name, draw in wanted.items():
        try:
            drawn[name] = draw()
        except InputError as error:  # what it shows is not recorded
            left_out[name] = str(error)
    return drawn


def _effects(records: Sequence[Record], metric: str, study: str) -> Figure:
    registry = load_hypotheses(study)
    effects = EFFECTS if study == "hypotheses" else effects_of(registry)
    return study_figures.forest(measure(registry.rules.decisive(records), metric, effects), metric)


def _embedding(record: Record, colour: str) -> Figure:
    labels = record.arrays()["labels"]
    names = figures.class_names(record.data, record.class_names) or [
        f"class {k}" for k in range(int(labels.max()) + 1)
    ]
    return figures.embedding_scatter(record, names, colour)


def _verdicts(study: str, records: Sequence[Record], preset: str, data: str) -> list[str]:
    """A registered study's verdicts, and its primary contrasts by other measures."""
    rules = load_hypotheses(study).rules
    title = f"## Verdicts: {STUDIES[study]} (K = {rules.num_subsets})"
    lines = [title, "", *verdict_lines(records, preset, data, study), ""]
    if not rules.primary:
        return lines
    table = tables.sensitivity_table(records, preset, data, study)
    rows = [["metric", *table.columns], *(table.reset_index().to_numpy().tolist())]
    heading = "## Primary contrasts, measured in other ways (95% intervals)"
    return [*lines, heading, "", *markdown_table(rows), ""]


def write_report(records: Sequence[Record], folder: str | Path) -> list[Path]:
    """Write ``<data>-<preset>.md`` (table and verdicts) and its figures as SVG.

    Args:
        records: any; every data set and preset gets files of its own.
        folder: created if need be; files of an earlier report are replaced, and figures that it
            has and this one has not are removed.

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
        lines = [f"# {as_markdown(data)}, preset {as_markdown(preset)}", ""]
        lines += [result_table(chosen, CELLS, markdown=True), ""]
        lines += [as_markdown(tables.provenance(chosen)), ""]
        for study in studies_of(preset):
            lines += _verdicts(study, chosen, preset, data)
        lines += [f"## Figures (K = {shown_k(chosen)} where one is shown)", ""]
        left_out: dict[str, str] = {}
        with plt.rc_context({"svg.hashsalt": name, "figure.max_open_warning": 0}):
            style.use()  # with the salt, equal figures are equal files
            for title, figure in all_figures(chosen, left_out).items():
                picture = io.BytesIO()
                figure.savefig(picture, format="svg", metadata={"Date": None}, facecolor="white")
                plt.close(figure)
                path = Path(folder) / f"{name}-{title}.svg"
                atomic_write(path, picture.getvalue())
                lines.append(f"![{as_markdown(title)}](<{path.name}>)")
                written.append(path)
        if left_out:
            lines += ["", "Not drawn, since it is not recorded:", ""]
            lines += [
                f"- {as_markdown(title)}: {as_markdown(reason)}"
                for title, reason in left_out.items()
            ]
        path = Path(folder) / f"{name}.md"
        _drop_stale(path, {figure.name for figure in written})
        atomic_write(path, ("\n".join(lines) + "\n").encode())
        written.append(path)
    return written


def _drop_stale(report: Path, kept: Collection[str]) -> None:
    """Remove the figures that an earlier report at this path shows, but for those to keep."""
    with suppress(OSError):
        before = report.read_text(encoding="utf-8", errors="replace")
        for name in re.findall(r"^!\[.*\]\(<([^/\\<>]+\.svg)>\)$", before, re.M):
            if name.startswith(f"{report.stem}-") and name not in kept:
                (report.parent / name).unlink(missing_ok=True)
