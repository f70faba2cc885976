"""A figure laid out again for a phone: panels below one another, labels that stay readable.

Nothing is drawn anew. Panels move to other places, small text grows to eleven pixels, long lines
wrap, and legends stand below the panels in as many columns as fit.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

#: CSS pixels across: a page of the book on a phone that is 390 pixels wide has room for 358.
WIDTH_PX = 345
_LEAST, _MOST = 8.25, 10  # points; eleven pixels are 8.25
_INCH = 96
_GAP_PX = 6


def relayout(fig: Figure) -> None:
    """Lay a figure out for ``WIDTH_PX``, the size at which it is read.

    Panels stand below one another; rows of three or more pictures stay rows.
    """
    panels: list[Any] = [  # matplotlib's stubs know no axes that surely stand in a grid
        ax for ax in fig.axes if ax.get_subplotspec() and not hasattr(ax, "_colorbar")
    ]
    for ax in fig.axes:
        _exponents_on_the_line(ax)
    height = _stack(fig, panels)
    fig.set_size_inches(WIDTH_PX / _INCH, height)
    for text in _texts(fig):
        text.set_fontsize(min(max(text.get_fontsize(), _LEAST), _MOST))
    added = _legends_below(fig)
    for _ in range(2):  # wrapped lines make panels narrower, and other lines too long for them
        _lay_out(fig)
        for ax in fig.axes:
            _thin(fig, ax)
        grown: dict[int, float] = {}  # texts of one row need their room once
        for text, room in _lines(fig, panels):
            row = round(text.get_window_extent().y0 / 10)
            grown[row] = max(grown.get(row, 0.0), _wrap(text, room))
        added += sum(grown.values())
        fig.set_figheight(height + added / _INCH)


def _lay_out(fig: Figure) -> None:
    """Put everything in its place, without drawing it: that would take three times as long."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if engine := fig.get_layout_engine():
        engine.execute(fig)
    for ax in fig.axes:
        place: Any = ax.get_axes_locator()  # stubs: always one, and in need of a renderer
        ax.apply_aspect(place(ax, None) if place else None)
    renderer = FigureCanvasAgg(fig).get_renderer()
    for text in _texts(fig):  # which would answer in the units of where it was drawn last
        text.get_window_extent(renderer)


def _exponents_on_the_line(ax: Axes) -> None:
    """Write 0.001 or 1e-20 on logarithmic axes: raised exponents are smaller than their base."""
    from matplotlib.ticker import FuncFormatter, LogFormatterMathtext

    def flat(raised: LogFormatterMathtext) -> FuncFormatter:
        # The axis' own formatter still says which ticks have a label.
        return FuncFormatter(lambda value, place: f"{value:g}" if raised(value, place) else "")

    for axis in (ax.xaxis, ax.yaxis):
        if isinstance(major := axis.get_major_formatter(), LogFormatterMathtext):
            axis.set_major_formatter(flat(major))
        if isinstance(minor := axis.get_minor_formatter(), LogFormatterMathtext):
            axis.set_minor_formatter(flat(minor))


def _stack(fig: Figure, panels: Sequence[Any]) -> float:
    """Move panels below one another; returns the height of the figure in inches."""
    height = float(fig.get_figheight())
    rows, across = panels[0].get_gridspec().get_geometry() if panels else (1, 1)
    pictures = bool(panels) and all(ax.images and not len(ax.get_xticks()) for ax in panels)
    if pictures and across > 2:
        return height * WIDTH_PX / _INCH / float(fig.get_figwidth())
    if across == 1 or len(panels) != rows * across:
        return height
    grid = fig.add_gridspec(len(panels), 1)
    titles = {ax.get_subplotspec().colspan.start: ax.get_title(loc="left") for ax in panels[::-1]}
    for number, ax in enumerate(panels):
        column = ax.get_subplotspec().colspan.start
        if not ax.get_title(loc="left") and titles[column]:
            ax.set_title(titles[column], loc="left")
        left = panels[number - column]
        if not ax.get_ylabel() and ax.get_shared_y_axes().joined(ax, left):
            ax.set_ylabel(left.get_ylabel())
    for number, ax in enumerate(panels):
        ax.set_subplotspec(grid[number])
        ax.tick_params(labelleft=True, labelbottom=True)
    around = 0.5
    return len(panels) * 0.85 * (height - around) / rows + around


def _texts(fig: Figure) -> list[Text]:
    """Every text that may show."""
    from matplotlib.text import Text

    return [text for text in fig.findobj(Text) if text.get_visible()]


def _legends_below(fig: Figure) -> float:
    """One legend below the panels instead of all; returns the pixels that it needs besides."""
    from matplotlib.legend import Legend

    before, title = 0.0, ""
    entries: dict[str, Any] = {}
    for legend in fig.findobj(Legend):
        names = [text.get_text() for text in legend.get_texts()]
        axes = legend.axes
        known = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True)) if axes else {}
        for name, handle in zip(names, legend.legend_handles, strict=False):
            entries.setdefault(name, known.get(name, handle))
        title = title or legend.get_title().get_text()
        if not axes:
            before = legend.get_window_extent().height
        legend.remove()
    if not entries:
        return 0
    for columns in range(min(4, len(entries)), 0, -1):
        legend = fig.legend(
            entries.values(), entries, loc="outside lower center", ncols=columns, fontsize=8.5,
            title=title or None, title_fontsize=8.5,
        )  # fmt: skip
        box = legend.get_window_extent()
        if box.width <= WIDTH_PX or columns == 1:
            break
        legend.remove()
    return box.height - before


def _thin(fig: Figure, ax: Axes) -> None:
    """Leave out every other tick of an axis whose labels run into each other."""
    for _ in range(3):
        labels = [label for label in ax.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        close = any(b.x0 < a.x1 + 3 for a, b in itertools.pairwise(boxes))
        if not close or ax.get_xticklabels()[0].get_rotation():
            return
        ax.set_xticks(ax.get_xticks()[::2])


def _lines(fig: Any, panels: Sequence[Axes]) -> list[tuple[Text, float]]:
    """Titles and labels, each with the pixels that it has."""
    found: list[tuple[Text, float]]
    found = [(text, WIDTH_PX) for text in (fig._suptitle, fig._supxlabel) if text]
    boxes = [ax.get_window_extent() for ax in panels]
    for ax in fig.axes:
        box = ax.get_window_extent()
        beside = [b.x0 for b in boxes if b.x0 >= box.x1 and b.y0 < box.y1 and b.y1 > box.y0]
        right = min(beside, default=WIDTH_PX)
        middle = (box.x0 + box.x1) / 2
        centred = 2 * min(middle, WIDTH_PX - middle) if not beside else box.width
        found += [(ax._left_title, right - box.x0), (ax.title, centred), (ax.xaxis.label, centred)]
        found += [(ax.yaxis.label, box.height + 20)]
    return [(text, room - _GAP_PX) for text, room in found if text.get_text()]


def _wrap(text: Text, room: float) -> float:
    """Break lines that need more pixels than there are; returns by how much the text is higher."""
    lines = text.get_text().split("\n")
    box = text.get_window_extent()
    upright = text.get_rotation() == 90
    length = box.height if upright else box.width
    if length <= room:
        return 0
    letters = max(4, int(max(map(len, lines)) * room / length))
    text.set_text("\n".join(part for line in lines for part in _parts(line, letters)))
    return 0 if upright else float(text.get_window_extent().height - box.height)


def _parts(line: str, letters: int) -> list[str]:
    """A line as shorter ones: at its semicolons if that will do, never within ``n = 8``."""
    clauses = line.split("; ")
    if len(clauses) > 1 and max(map(len, clauses)) < letters:
        parts = clauses[:1]
        for clause in clauses[1:]:
            if len(f"{parts[-1]}; {clause};") <= letters:
                parts[-1] += f"; {clause}"
            else:
                parts[-1] += ";"
                parts.append(clause)
        return parts
    return textwrap.wrap(line.replace(" = ", "\u00a0=\u00a0"), letters, break_long_words=False)
