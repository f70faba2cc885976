"""Figures drawn from records: losses, metrics with intervals, embeddings.

Every function returns a matplotlib figure for :func:`contrastive_tutorial.report.style.show`, and
says in the figure how many seeds, which preset and which interval it shows. Nothing here computes
a result. seaborn draws dots, means and intervals; numbers come from
:func:`contrastive_tutorial.records.value`, which says what is not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contrastive_tutorial.data import SHAPES
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import metric
from contrastive_tutorial.records import Record, Summary, value
from contrastive_tutorial.report.style import INK, MARKERS, PALETTE, plain
from contrastive_tutorial.study import CELLS, THREE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

#: Strokes of the reference lines, in the order of the registry.
_STROKES = (":", "--", "-.")
_CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
#: Class names of records that are older than the field which holds them.
_KNOWN = {
    "shapes": SHAPES,
    **dict.fromkeys(("cifar10", "cifar10-local", "cifar10-jpeg75"), _CIFAR10),
}


def class_names(data: str, recorded: Sequence[str] = ()) -> tuple[str, ...]:
    """The classes of a record's labels: as it says, or of its data set, or none if nobody knows."""
    return tuple(recorded) or _KNOWN.get(data, ())


def cell_label(name: str) -> str:
    """``"Split (S-P1)"`` for the three experiments, the plain name for other cells."""
    return f"{THREE[name]} ({name})" if name in THREE else plain(name)


def t_interval(values: Iterable[float]) -> tuple[float, float]:
    """What seaborn draws as an error bar: the interval of the mean over seeds, 95%."""
    summary = Summary.of(values)
    return summary.interval or (summary.mean, summary.mean)


def frame(records: Sequence[Record], names: Sequence[str]) -> DataFrame:
    """One row a record and metric: ``cell``, ``K``, ``seed``, ``metric``, ``value``.

    Raises:
        NotRecordedError: naming the record without the metric.
    """
    import pandas as pd

    rows = [
        (r.cell, r.num_subsets, r.seed, name, value(r, name)) for name in names for r in records
    ]
    return pd.DataFrame(rows, columns=["cell", "K", "seed", "metric", "value"])


def seeds_and_mean(
    ax: Axes, table: DataFrame, y: str, order: Sequence[str], colours: Sequence[str]
) -> None:
    """A row for each of ``order``: every seed a dot, below them mean and 95% interval."""
    at = table[y].map({name: row for row, name in enumerate(order)}).to_numpy()
    ax.scatter(table["value"], at - 0.14, s=20, alpha=0.75, lw=0, c=[colours[row] for row in at])
    for row, colour in enumerate(colours):
        values = table["value"][at == row]
        if len(values):
            ax.plot(t_interval(values), [row + 0.14] * 2, lw=2.2, color=colour)
            ax.plot([values.mean()], [row + 0.14], "|", ms=9, mew=2, color=colour)
    ax.set_yticks(range(len(order)), order)
    ax.set_ylim(len(order) - 0.5, -0.5)


def mean_and_seeds(
    ax: Axes, table: DataFrame, x: str, order: Sequence[Any], hue: str, series: Sequence[str]
) -> list[Any]:
    """A line for each of ``series``: means with 95% intervals, beside them every seed as a dot.

    Returns the handles of a legend.
    """
    import seaborn as sns

    colours, markers = looks(len(series))
    shared: dict[str, Any] = {
        "data": table, "x": x, "y": "value", "order": order, "hue": hue, "hue_order": series,
        "palette": colours, "ax": ax,
    }  # fmt: skip
    sns.pointplot(
        **shared, errorbar=t_interval, markers=markers, linestyles="-", linewidth=1.2,
        err_kws={"linewidth": 1.6}, dodge=0.8 - 0.8 / len(series) if len(series) > 1 else False,
    )  # fmt: skip
    handles = ax.get_legend_handles_labels()[0]
    if legend := ax.get_legend():
        legend.remove()
    sns.stripplot(**shared, legend=False, dodge=True, jitter=False, size=3, alpha=0.6)
    for dots in ax.collections:
        dots.set_offsets(np.asarray(dots.get_offsets()) + np.array([0.07, 0]))
    return list(handles)


def looks(count: int) -> tuple[list[str], list[str]]:
    """Colours and markers of so many series; from the eleventh on in other pairs."""
    return (
        [PALETTE[i % 10] for i in range(count)],
        [MARKERS[(i + i // 10) % 10] for i in range(count)],
    )


def _ordered(records: Sequence[Record]) -> list[str]:
    present = {record.cell for record in records}
    known = [name for name in CELLS if name in present]
    return known + sorted(present - set(known))


def one_setting(records: Sequence[Record]) -> str:
    """What the records share, for a figure's footnote; mixing data or presets is refused."""
    if not records:
        raise InputError("records: expected at least one, got none")
    settings = {(record.data, record.preset) for record in records}
    if len(settings) > 1:
        data, preset = min(settings)
        raise InputError(
            f"records: expected one data set and preset, got {sorted(settings)}; select one, e.g. "
            f"load_records(path, data={data!r}, preset={preset!r})"
        )
    data, preset = settings.pop()
    return f"{plain(data)}, preset {plain(preset)}"


def seeds_of(counts: Iterable[int]) -> str:
    """``"n = 3 seeds"`` or ``"n = 3-8 seeds"``."""
    few, many = min(counts := sorted(counts)), max(counts)
    return f"n = {few}" + (f"-{many}" if many > few else "") + (" seeds" if many > 1 else " seed")


def _seeds(records: Sequence[Record], cells: Sequence[str]) -> str:
    return seeds_of(sum(record.cell == cell for record in records) for cell in cells)


def loss_curves(records: Sequence[Record]) -> Figure:
    """NT-Xent over steps: one thin line per seed, one colour and stroke per cell."""
    import matplotlib.pyplot as plt
    import pandas as pd
    import seaborn as sns

    setting, cells = one_setting(records), _ordered(records)
    points = [
        (cell_label(r.cell), f"{r.num_subsets} {r.seed}", step, loss)
        for cell in cells
        for r in records
        if r.cell == cell
        for step, loss in r.loss_curve
    ]
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    sns.lineplot(
        pd.DataFrame(points, columns=["cell", "run", "step", "loss"]), x="step", y="loss",
        hue="cell", style="cell", units="run", estimator=None, lw=1.2, ax=ax,
        palette=looks(len(cells))[0],
    )  # fmt: skip
    ax.set(xlabel="step", ylabel="NT-Xent loss (nats)")
    ax.set_title(f"{setting}, {_seeds(records, cells)}, one line each", fontsize=10)
    ax.legend(ncols=2, fontsize=9)
    return fig


def metric_dots(
    records: Sequence[Record],
    names: Sequence[str] | Mapping[str, str],
    references: Sequence[Record] = (),
) -> Figure:
    """Every seed as a dot, with mean and 95% interval: one panel a metric, one row a cell.

    ``names`` are metrics as in :func:`contrastive_tutorial.records.value`, or metrics and labels.
    ``references`` (raw pixels, PCA, untrained) are vertical lines, each with a stroke of its own,
    at the mean over their seeds. The axis says what guessing scores, where that is known.
    """
    import matplotlib.pyplot as plt

    setting, cells = one_setting(records), _ordered(records)
    labels = names if isinstance(names, Mapping) else {n: metric(n).label for n in names}
    table = frame(records, list(labels))
    fig, axes = plt.subplots(
        1, len(names), sharey=True, squeeze=False,
        figsize=(min(3.2 * len(names), 7.2), 0.42 * len(cells) + 1.9),
    )  # fmt: skip
    for ax, (name, label) in zip(axes[0], labels.items(), strict=True):
        seeds_and_mean(ax, table[table.metric == name], "cell", cells, looks(len(cells))[0])
        for reference, stroke in zip(_ordered(references), _STROKES, strict=False):
            known = [r for r in references if r.cell == reference and name in r.metrics]
            if known:
                mean = Summary.of(value(r, name) for r in known).mean
                ax.axvline(mean, color=INK, ls=stroke, lw=1.3, label=plain(reference))
        classes = class_names(records[0].data, records[0].class_names)
        chance = metric(name).guessed(len(classes)) if classes else None
        guessing = "" if chance is None else f"\n(guessing scores {chance:.3g})"
        ax.set_xlabel(label + guessing, fontsize=9)
    axes[0][0].set_yticks(range(len(cells)), [cell_label(cell) for cell in cells])
    axes[0][0].set_ylim(len(cells) - 0.5, -0.6)
    lines = {
        label: line
        for ax in axes[0]
        for line, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    if lines:
        fig.legend(lines.values(), lines, loc="outside lower center", ncols=4, handlelength=3)
    fig.suptitle(
        f"{setting}, {_seeds(records, cells)}; dots: seeds; bar: mean and 95% interval",
        fontsize=10 if len(names) > 1 else 8,
    )
    return fig


def metric_by_subsets(records: Sequence[Record], name: str) -> Figure:
    """A metric against the number of subsets K: every seed, and the mean with its 95% interval."""
    import matplotlib.pyplot as plt

    setting, cells = one_setting(records), _ordered(records)
    table = frame(records, [name])
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    handles = mean_and_seeds(ax, table, "K", sorted(table.K.unique()), "cell", cells)
    ax.set(xlabel="number of subsets K", ylabel=plain(metric(name).label))
    n = seeds_of(table.groupby(["cell", "K"]).size())
    fig.suptitle(f"{setting}, {n} a point; dots: seeds; bars: 95% intervals", fontsize=10)
    fig.legend(
        handles, map(cell_label, cells), fontsize=9, loc="outside lower center", ncols=3
    )  # fmt: skip
    return fig


def embedding_scatter(record: Record, names: Sequence[str], colour: str = "class") -> Figure:
    """UMAP of the shown test images of one run: clean under the headline statistics, or, coloured
    by subset, each with its subset's policy through its subset's branch.

    Args:
        record: with arrays and embeddings.
        names: of the classes, for the legend.
        colour: ``"class"`` or ``"subset"``.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    arrays = record.arrays()
    name = "embedding" if colour == "class" else "embedding_subset"
    if name not in arrays:
        raise InputError(
            f"{record.path}: no embedding was recorded; run `contrastive-tutorial embed`"
        )
    points = arrays[name].astype("float32")
    ids = arrays["labels" if colour == "class" else "subsets"]
    if colour == "subset":
        names = [f"subset {k}" for k in range(ids.max() + 1)]
    names = [plain(text) for text in names]
    colours, markers = looks(len(names))
    fig, ax = plt.subplots(figsize=(5.6, 4.2))
    sns.scatterplot(
        x=points[:, 0], y=points[:, 1], hue=ids, style=ids, hue_order=range(len(names)),
        style_order=range(len(names)), palette=colours, markers=markers, s=14, lw=0, ax=ax,
    )  # fmt: skip
    ax.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
    ax.set_title(
        f"{cell_label(record.cell)}, K = {record.num_subsets}, seed {record.seed}, "
        f"{len(points):,} test images",
        fontsize=10,
    )
    ax.legend(
        ax.get_legend_handles_labels()[0], names, fontsize=8, loc="center left",
        bbox_to_anchor=(1, 0.5), frameon=False,
    )  # fmt: skip
    return fig
