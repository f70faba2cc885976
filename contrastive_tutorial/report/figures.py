"""Figures drawn from records: losses, metrics with intervals, embeddings.

Every function returns a matplotlib figure for :func:`contrastive_tutorial.report.style.show`, and
says in the figure how many seeds, which preset and which interval it shows. Nothing here computes
a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import Record, Summary
from contrastive_tutorial.report.style import INK, MARKERS, PALETTE
from contrastive_tutorial.study import CELLS, THREE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a metric is called on an axis.
METRIC_LABELS = {
    "cluster_accuracy": "cluster accuracy",
    "nmi": "normalised mutual information",
    "ari": "adjusted Rand index",
    "knn200": "kNN accuracy (k = 200, T = 0.1)",
    "knn10": "kNN accuracy (k = 10, cosine)",
    "linear_probe": "linear probe accuracy",
    "policy_probe_z": "policy probe accuracy on z",
    "contrastive_train": "contrastive accuracy in training mode",
}


#: Strokes of the reference lines, in the order of the registry.
_STROKES = (":", "--", "-.")


def cell_label(name: str) -> str:
    """``"Split (S-P1)"`` for the three experiments, the plain name for other cells."""
    return f"{THREE[name]} ({name})" if name in THREE else name


def _ordered(records: Sequence[Record]) -> list[str]:
    present = {record.cell for record in records}
    known = [name for name in CELLS if name in present]
    return known + sorted(present - set(known))


def _one_setting(records: Sequence[Record]) -> str:
    """What the records share, for a figure's footnote; mixing data or presets is refused."""
    if not records:
        raise InputError("records: expected at least one, got none")
    settings = {(record.data, record.preset) for record in records}
    if len(settings) > 1:
        raise InputError(f"records: expected one data set and preset, got {sorted(settings)}")
    data, preset = settings.pop()
    return f"{data}, preset {preset}"


def _seeds(records: Sequence[Record], cells: Sequence[str]) -> str:
    counts = sorted({sum(record.cell == cell for record in records) for cell in cells})
    return f"n = {counts[0]} seeds" if len(counts) == 1 else f"n = {counts[0]}-{counts[-1]} seeds"


def _look(index: int) -> tuple[str, str]:
    """Colour and marker of the ``index``-th series; from the eleventh on in other pairs."""
    return PALETTE[index % 10], MARKERS[(index + index // 10) % 10]


def loss_curves(records: Sequence[Record]) -> Figure:
    """NT-Xent over steps: one thin line per seed, one colour per cell."""
    import matplotlib.pyplot as plt

    setting, cells = _one_setting(records), _ordered(records)
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    for index, cell in enumerate(cells):
        colour, marker = _look(index)
        for number, record in enumerate(r for r in records if r.cell == cell):
            steps, losses = zip(*record.loss_curve, strict=True)
            ax.plot(
                steps, losses, color=colour, lw=1.2, marker=marker, ms=4,
                markevery=(5 * index, 40), label=cell_label(cell) if number == 0 else None,
            )  # fmt: skip
    ax.set(xlabel="step", ylabel="NT-Xent loss (nats)")
    ax.set_title(f"{setting}, {_seeds(records, cells)}, one line each", fontsize=10)
    ax.legend(ncols=2, fontsize=9)
    return fig


def metric_dots(
    records: Sequence[Record], metrics: Sequence[str], references: Sequence[Record] = ()
) -> Figure:
    """Every seed as a dot, with mean and 95% t interval: one panel a metric, one row a cell.

    ``references`` (raw pixels, PCA, untrained) are vertical lines, each with a stroke of its own,
    at the mean over their seeds.
    """
    import matplotlib.pyplot as plt

    setting, cells = _one_setting(records), _ordered(records)
    fig, axes = plt.subplots(
        1, len(metrics), sharey=True, squeeze=False,
        figsize=(min(3.2 * len(metrics), 7.2), 0.42 * len(cells) + 1.9),
    )  # fmt: skip
    for ax, metric in zip(axes[0], metrics, strict=True):
        for row, cell in enumerate(cells):
            values = [r.metrics[metric] for r in records if r.cell == cell]
            summary = Summary.of(values)
            colour, marker = _look(row)
            ax.plot(values, [row] * len(values), marker, color=colour, ms=5, mfc="none")
            if summary.interval:
                ax.plot(summary.interval, [row + 0.28] * 2, color=colour, lw=2)
            ax.plot([summary.mean], [row + 0.28], "|", color=colour, ms=9, mew=2)
        for name, stroke in zip(_ordered(references), _STROKES, strict=False):
            known = [
                r.metrics[metric] for r in references if r.cell == name and metric in r.metrics
            ]
            if known:
                ax.axvline(float(np.mean(known)), color=INK, ls=stroke, lw=1.3, label=name)
        ax.set_xlabel(METRIC_LABELS.get(metric, metric), fontsize=9)
    axes[0][0].set_yticks(range(len(cells)), [cell_label(cell) for cell in cells])
    axes[0][0].set_ylim(len(cells) - 0.3, -0.8)
    lines = {
        label: line
        for ax in axes[0]
        for line, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    if lines:
        fig.legend(lines.values(), lines, loc="outside lower center", ncols=3, handlelength=3)
    fig.suptitle(
        f"{setting}, {_seeds(records, cells)}; dots: seeds; bar: mean and 95% t interval",
        fontsize=10 if len(metrics) > 1 else 8,
    )
    return fig


def metric_by_subsets(records: Sequence[Record], metric: str) -> Figure:
    """A metric against the number of subsets K, one line per cell, one dot per seed."""
    import matplotlib.pyplot as plt

    setting, cells = _one_setting(records), _ordered(records)
    counts = sorted({record.num_subsets for record in records})
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    for index, cell in enumerate(cells):
        chosen = [record for record in records if record.cell == cell]
        present = [k for k in counts if any(r.num_subsets == k for r in chosen)]
        means = [
            np.mean([r.metrics[metric] for r in chosen if r.num_subsets == k]) for k in present
        ]
        place = [counts.index(k) for k in present]
        colour, marker = _look(index)
        ax.plot(place, means, color=colour, lw=1.5, zorder=1)
        ax.plot(
            [counts.index(r.num_subsets) for r in chosen],
            [r.metrics[metric] for r in chosen],
            marker, color=colour, ms=6, label=cell_label(cell),
        )  # fmt: skip
    ax.set_xticks(range(len(counts)), [str(k) for k in counts])
    ax.set(xlabel="number of subsets K", ylabel=METRIC_LABELS.get(metric, metric))
    sizes = sorted({sum((r.cell, r.num_subsets) == (c, k) for r in records)
                    for c in cells for k in counts} - {0})  # fmt: skip
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]}-{sizes[-1]}"
    fig.suptitle(f"{setting}, n = {n} seeds a point; dots: seeds; lines: means", fontsize=10)
    fig.legend(fontsize=9, loc="outside lower center", ncols=3)
    return fig


def embedding_scatter(
    record: Record, class_names: Sequence[str], colour: str = "class", own_policy: bool = False
) -> Figure:
    """UMAP of the 2,000 shown test images of one run.

    Args:
        record: with arrays and embeddings.
        class_names: for the legend.
        colour: ``"class"`` or ``"subset"``.
        own_policy: show each image with its subset's policy through its subset's branch, instead
            of clean under the headline statistics.
    """
    import matplotlib.pyplot as plt

    arrays = record.arrays()
    name = "embedding_subset" if own_policy else "embedding"
    if name not in arrays:
        raise InputError(
            f"{record.path}: no embedding was recorded; run `contrastive-tutorial embed`"
        )
    points = arrays[name].astype(np.float32)
    ids = arrays["labels" if colour == "class" else "subsets"]
    names = class_names if colour == "class" else [f"subset {k}" for k in range(ids.max() + 1)]
    fig, ax = plt.subplots(figsize=(5.6, 4.2))
    for k, label in enumerate(names):
        chosen = ids == k
        colour, marker = _look(k)
        ax.scatter(
            points[chosen, 0], points[chosen, 1], s=9, lw=0, color=colour,
            marker=marker, label=label,
        )  # fmt: skip
    ax.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
    ax.set_title(
        f"{cell_label(record.cell)}, K = {record.num_subsets}, seed {record.seed}, "
        f"{len(points):,} test images",
        fontsize=10,
    )
    ax.legend(
        fontsize=8, markerscale=1.8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False
    )
    return fig
