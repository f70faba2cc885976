"""Figures of the whole study: effects with intervals, evaluation statistics, the leak.

As in :mod:`contrastive_tutorial.report.figures`, nothing here computes a result but means and
intervals.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import METRICS, metric
from contrastive_tutorial.records import NotRecordedError, Record, Summary, value
from contrastive_tutorial.report.figures import (
    cell_label,
    frame,
    looks,
    mean_and_seeds,
    one_setting,
    seeds_and_mean,
    seeds_of,
    t_interval,
)
from contrastive_tutorial.report.glyphs import GLYPHS, glyph
from contrastive_tutorial.report.narrow import WIDTH_PX
from contrastive_tutorial.report.style import INK, MARKERS, PALETTE
from contrastive_tutorial.study import CELLS
from contrastive_tutorial.verdicts import Effect, Measured, by_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

#: Part of a run from which the registered rules look at contrasts along training.
_LATE = 0.3


def forest(measured: Sequence[Measured], name: str, narrow: bool = False) -> Figure:
    """Differences between cells: every seed a dot, mean and 95% interval a bar.

    Args:
        measured: from :func:`contrastive_tutorial.verdicts.measure`; unrecorded ones are left out.
        name: of the metric, for the axis.
        narrow: for a phone: a line for the words of a row, and one for its cells.

    Raises:
        NotRecordedError: if none is recorded.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    shown = [(m.effect, m.contrast) for m in measured if m.contrast is not None]
    if not shown:
        raise NotRecordedError("forest: none of these contrasts is recorded yet")
    deltas = [(effect.name, delta) for effect, found in shown for delta in found.deltas]
    # Words stand above their row and not beside it, so that both have the whole width.
    lines = 2 if narrow else 1
    height = (0.27 + 0.17 * lines) * len(shown) + (1.6 if narrow else 1.3)
    fig, ax = plt.subplots(figsize=(WIDTH_PX / 96 if narrow else 4.6, height))
    small = 8.25 if narrow else 7.5
    seeds_and_mean(
        ax, pd.DataFrame(deltas, columns=["effect", "value"]), "effect",
        [effect.name for effect, _ in shown],
        [PALETTE[0 if effect.primary else 1] for effect, _ in shown],
    )  # fmt: skip
    across = ax.get_yaxis_transform()
    squares = {effect.name: _squares(effect) for effect, _ in shown}
    for row, (effect, found) in enumerate(shown):
        ax.text(
            0, row - 0.25 * lines, f"{'★ ' if effect.primary else ''}{effect.asks}",
            transform=across, fontsize=max(8, small), va="bottom",
            weight="bold" if effect.primary else "normal",
        )  # fmt: skip
        ax.text(
            1, row - 0.25, f"{effect.name}{squares[effect.name]}, n = {found.n}",
            transform=across, fontsize=small, va="bottom", ha="right",
        )  # fmt: skip
        ax.plot([0, 0], [row - 0.22, row + 0.35], color=INK, lw=1, zorder=0)
        if row:
            ax.axhline(row - (0.78 if narrow else 0.6), color=INK, lw=0.5, alpha=0.3)
    ax.set_yticks([])
    ax.set_ylim(len(shown) - (0.6 if narrow else 0.5), -0.8)
    ax.grid(axis="y", visible=False)
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel(f"difference in {metric(name).label}")
    first = shown[0][1]
    fig.suptitle(
        f"{first.data}, preset {first.preset}, K = {first.num_subsets}; ★ primary\n"
        "dots: seeds; bar: mean and 95% interval",
        fontsize=9,
        parse_math=False,
    )
    if any(squares.values()):
        fig.supxlabel(textwrap.fill(GLYPHS, 48 if narrow else 74), fontsize=small if narrow else 7)
    return fig


def _squares(effect: Effect) -> str:
    """``"  ■■◧ − ■■□"``: where two cells differ.

    Long names say policy, norm and negatives themselves, and leave no room.
    """
    if len(effect.name) > 24:
        return ""
    return "  " + " − ".join(filter(None, (glyph(effect.left), glyph(effect.right))))


def differences_along(
    records: Sequence[Record], baseline: str
) -> dict[str, dict[int, dict[int, float]]]:
    """kNN of every cell over ``baseline`` along training, paired: by cell, seed and step.

    Args:
        records: of one data set, preset and number of subsets; cells that were not measured along
            training are left out, and so are those that share no seed with the baseline.
        baseline: the cell that is taken off.

    Raises:
        InputError: for records that do not belong together.
        NotRecordedError: for steps that one side lacks.
    """
    prefix = "along/knn10/"

    def measured(record: Record) -> list[int]:
        found = (key.removeprefix(prefix) for key in record.extra if key.startswith(prefix))
        return sorted(int(step) for step in found if re.fullmatch("[0-9]{1,9}", step))

    known = {r.cell for r in records if measured(r)}
    found: dict[str, dict[int, dict[int, float]]] = {}
    if baseline not in known:
        return found
    num_subsets = records[0].num_subsets
    for cell in (c for c in CELLS if c in known and c != baseline):
        table = by_seed(records, (cell, baseline), None, None, num_subsets)
        for seed in sorted(table[cell].keys() & table[baseline].keys()):
            left, right = table[cell][seed], table[baseline][seed]
            found.setdefault(cell, {})[seed] = {
                step: value(left, f"extra.{prefix}{step}") - value(right, f"extra.{prefix}{step}")
                for step in measured(right)
            }
    return found


def along_training(records: Sequence[Record], baseline: str) -> Figure:
    """kNN over training: every cell minus ``baseline``, seeds thin, their mean thick; a line where
    the registered rules begin to look.

    Args:
        records, baseline: as in :func:`differences_along`.

    Raises:
        InputError, NotRecordedError: as :func:`differences_along`, and if there is no pair.
    """
    import matplotlib.pyplot as plt

    found = differences_along(records, baseline)
    if not found:
        raise NotRecordedError(f"along_training: nothing is recorded along {baseline} and another")
    fig, ax = plt.subplots(figsize=(6.4, 4.2))
    colours, markers = looks(len(found))
    steps = sorted(next(iter(next(iter(found.values())).values())))
    for (cell, seeds), colour, marker in zip(found.items(), colours, markers, strict=True):
        if len(seeds) > 1:
            for curve in seeds.values():
                ax.plot(steps, [curve[step] for step in steps], color=colour, lw=0.7, alpha=0.6)
        means = [Summary.of(curve[step] for curve in seeds.values()).mean for step in steps]
        ax.plot(steps, means, color=colour, marker=marker, ms=4.5, label=f"{cell} ({len(seeds)})")
    ax.axhline(0, color=INK, lw=1)
    ax.axvline(_LATE * steps[-1], color=INK, lw=0.8, ls=":")
    # measured at squares: even distances
    ax.set_xscale("function", functions=(lambda x: x.clip(0) ** 0.5, lambda x: x**2))
    ax.set_xticks(steps)
    ax.set(
        xlabel=f"step (dotted: {_LATE:.0%} of the run)",
        ylabel=f"{metric('knn10').short}, minus {baseline}",
    )
    n = seeds_of(map(len, found.values()))
    several = " (thin: seeds, thick: mean)" if max(map(len, found.values())) > 1 else ""
    setting, shown = one_setting(records), f"validation images, {n}{several}"
    between = ", " if len(setting) + len(shown) < 85 else ",\n"
    fig.suptitle(setting + between + shown, fontsize=9)
    fig.legend(loc="outside lower center", ncols=2, fontsize=8, title="cell (seeds)")
    return fig


def differences_by_subsets(
    records: Sequence[Record], name: str, baselines: Sequence[str]
) -> DataFrame:
    """A metric less that of a baseline at the same number of subsets, paired by seed.

    A row for each pair: ``baseline``, ``cell``, ``K``, ``seed``, ``value``. Of two baselines each
    takes the cells whose names begin as its own does: ``same-`` or ``equal-``.

    Args:
        records: of one data set and preset; runs without a partner are left out.
        name: of the metric.
        baselines: the cells that are taken off.

    Raises:
        InputError: for records that do not belong together.
        NotRecordedError: naming the record without the metric.
    """
    import pandas as pd

    one_setting(records)
    known = {r.cell for r in records}
    rows = []
    for baseline in baselines:
        alike = baseline.partition("-")[0] + "-"
        for cell in (c for c in CELLS if c in known and c.startswith(alike) and c != baseline):
            for count in sorted({r.num_subsets for r in records if r.cell == cell}):
                table = by_seed(records, (cell, baseline), None, None, count)
                for seed in sorted(table[cell].keys() & table[baseline].keys()):
                    left, right = (value(table[one][seed], name) for one in (cell, baseline))
                    rows.append((baseline, cell, count, seed, left - right))
    return pd.DataFrame(rows, columns=["baseline", "cell", "K", "seed", "value"])


def by_subsets(records: Sequence[Record], name: str, baselines: Sequence[str]) -> Figure:
    """Differences to a baseline against the number of subsets K: a panel for each baseline, every
    seed a dot, and the mean with its 95% interval.

    Args:
        records, name, baselines: as in :func:`differences_by_subsets`.

    Raises:
        InputError, NotRecordedError: as :func:`differences_by_subsets`, and if there is no pair.
    """
    import matplotlib.pyplot as plt

    table = differences_by_subsets(records, name, baselines)
    if table.empty:
        raise NotRecordedError(f"by_subsets: no run is recorded beside {' or '.join(baselines)}")
    fig, axes = plt.subplots(
        1, len(baselines), figsize=(3.6 * len(baselines), 3.6), sharey=True, squeeze=False
    )
    for ax, baseline in zip(axes[0], baselines, strict=True):
        own = table[table.baseline == baseline]
        cells = list(dict.fromkeys(own.cell))
        handles = mean_and_seeds(ax, own, "K", sorted(table.K.unique()), "cell", cells)
        ax.axhline(0, color=INK, lw=1)
        ax.set(xlabel="number of subsets K", ylabel=f"{metric(name).short}, less the baseline")
        ax.set_title(f"less {baseline}", fontsize=9)
        ax.legend(handles, cells, fontsize=8, loc="lower left")
    n = seeds_of(table.groupby(["cell", "K"]).size())
    fig.suptitle(
        f"{one_setting(records)}, {n} a point\ndots: seeds; bars: mean and 95% interval", fontsize=9
    )
    return fig


def statistics_dots(records: Sequence[Record], name: str = "cluster_accuracy") -> Figure:
    """One cell's checkpoints under every evaluation statistic: seeds, mean, 95% interval.

    Args:
        records: of one cell, preset and number of subsets; one per seed.
        name: a key of ``Record.evaluations[how]``.

    Raises:
        InputError: for no records or records of several cells.
        NotRecordedError: if a record lacks the metric.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    cells = {(r.cell, r.preset, r.num_subsets) for r in records}
    if len(cells) != 1:
        raise InputError(f"records: expected one cell, preset and K, got {sorted(cells)}")
    every = set.intersection(*(set(r.evaluations) for r in records))
    names = [how for how in records[0].evaluations if how in every and ":" not in how]
    names += sorted((how for how in every if ":" in how), key=lambda how: int(how.split(":")[1]))
    if not names:
        raise NotRecordedError(f"{records[0].stem}: no evaluation statistics that all seeds have")
    values = [(how, value(r, name, how)) for how in names for r in records]
    fig, ax = plt.subplots(figsize=(WIDTH_PX / 96, 0.3 * len(names) + 1.3))
    seeds_and_mean(
        ax, pd.DataFrame(values, columns=["how", "value"]), "how", names,
        [PALETTE[int(":" in how)] for how in names],
    )  # fmt: skip
    headline = records[0].evaluation
    ax.set_yticks(
        range(len(names)), [f"{how} (headline)" if how == headline else how for how in names]
    )
    ax.set_xlabel(f"{metric(name).label}, small bank")
    setting = f"{cell_label(records[0].cell)}, {one_setting(records)}, K = {records[0].num_subsets}"
    fig.suptitle(
        f"{textwrap.fill(setting, 48)}\n"
        f"n = {len(records)} seeds (dots); bar: mean and 95% interval",
        fontsize=9,
    )
    return fig


#: Panels of :func:`leak`: metric and title.
LEAK_PANELS = {
    name: METRICS[name].short
    for name in ("contrastive_train", "contrastive_eval", "loss_final", "knn200")
}
#: The two groupings that :func:`leak` compares, and the group sizes.
LEAK_KINDS = {"ghost-same": "both views in one group", "ghost-shuffle": "second views elsewhere"}
LEAK_SIZES = (5, 10, 25, 50)


def leak(records: Sequence[Record]) -> Figure:
    """The grouping leak: four metrics against the size of random groups; mean and 95% interval.

    Args:
        records: of one data set, preset and number of subsets.

    Raises:
        NotRecordedError: if no cell of the leak is recorded, or one lacks a metric.
    """
    import matplotlib.pyplot as plt
    import seaborn as sns

    runs = [
        r
        for r in records
        if r.cell in {f"{kind}-{size}" for kind in LEAK_KINDS for size in LEAK_SIZES}
    ]
    if not runs:
        raise NotRecordedError("leak: no run of ghost-same-m or ghost-shuffle-m is recorded")
    table = frame(runs, list(LEAK_PANELS))
    kind_and_size = table.cell.str.rpartition("-")
    table["kind"] = kind_and_size[0].map(LEAK_KINDS)
    table["size"] = kind_and_size[2].astype(int)
    fig, axes = plt.subplots(2, 2, figsize=(6.4, 5.2), sharex=True)
    axes[0, 1].sharey(axes[0, 0])  # one is read against the other
    for ax, (name, title) in zip(axes.flat, LEAK_PANELS.items(), strict=True):
        sns.pointplot(
            table[table.metric == name], x="size", y="value", order=LEAK_SIZES, hue="kind",
            hue_order=list(LEAK_KINDS.values()), palette=list(PALETTE[:2]),
            markers=list(MARKERS[:2]), linestyles="-", linewidth=1.4, errorbar=t_interval,
            err_kws={"linewidth": 1.4}, dodge=0.16, ax=ax,
        )  # fmt: skip
        ax.get_legend().remove()
        base = [value(r, name) for r in records if r.cell == "B0" and name in r.metrics]
        if base:
            ax.axhline(Summary.of(base).mean, color=INK, ls=":", lw=1, label="B0")
        ax.set_title(title, fontsize=10)
        ax.set(xlabel="", ylabel="nats" if name == "loss_final" else "share")
    for ax in axes[1]:
        ax.set_xlabel("images per group m")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    n = seeds_of(table[table.metric == "knn200"].groupby("cell").size())
    fig.suptitle(f"{one_setting(runs)}, {n} a point; bars: 95% intervals", fontsize=9)
    return fig
