"""What a function showed: what it printed and displayed, and the figures it left open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


class Captured:
    """What a function printed and displayed, then the figures it left open."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._open: list[Any] = []

    def figures(self, result: Any) -> list[Any]:
        """Figures left open, in the order drawn, then ``result`` if it is something else."""
        from matplotlib.figure import Figure

        items = list(self._open)
        returned = [result] if isinstance(result, Figure) else _figures_of(result)
        for figure in returned:
            if not any(figure is item for item in items):
                items.append(figure)
        # plt.plot and plt.hist return artists: their figure says it all.
        if result is not None and not returned and not (items and _is_artist(result)):
            items.append(result)
        return items

    def close_figures(self) -> None:
        """Forget figures of a call that failed half-way."""
        import matplotlib.pyplot as plt

        for figure in self._open:
            plt.close(figure)
        self._open = []


@contextlib.contextmanager
def captured() -> Iterator[Captured]:
    """Collect printed text, displayed objects and open pyplot figures of a ``with`` block."""
    import matplotlib.pyplot as plt
    from IPython.utils.capture import capture_output

    outputs = Captured()
    before = set(plt.get_fignums())
    # A fresh current figure, so that plt.plot does not draw on one that the reader left open.
    blank = plt.figure()
    show = plt.show
    plt.show = lambda *_, **__: None
    try:
        with capture_output(stderr=False) as cell:
            yield outputs
    finally:
        plt.show = show
        opened = [plt.figure(number) for number in plt.get_fignums() if number not in before]
        if len(blank.get_children()) == 1:  # its background only: nothing was drawn on it
            plt.close(blank)
            opened = [figure for figure in opened if figure is not blank]
        outputs._open = opened
    if cell.stdout.strip():
        outputs.items.append(cell.stdout.rstrip())
    if cell._outputs:  # None where no shell displays anything
        outputs.items.extend(cell.outputs)


def _root(artist: Any) -> Any:
    """The figure that holds an artist, not a subfigure: its ``figure``'s ``figure``."""
    return artist.figure.figure  # get_figure(root=True) came with Matplotlib 3.10


def _figures_of(result: Any) -> list[Any]:
    """Figures behind axes, a grid of axes or a seaborn grid."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if isinstance(result, Axes):
        return [_root(result)] if result.figure is not None else []
    if type(result).__module__.startswith("seaborn"):
        figure = getattr(result, "figure", None)
        return [figure] if isinstance(figure, Figure) else []
    if hasattr(result, "ravel") and str(getattr(result, "dtype", "")) == "object":
        result = list(result.ravel())
    if isinstance(result, (list, tuple)) and result and all(isinstance(a, Axes) for a in result):
        return list(dict.fromkeys(_root(a) for a in result))
    return []


def _is_artist(result: Any) -> bool:
    if isinstance(result, (list, tuple)):
        return any(_is_artist(item) for item in result)
    return any(base.__module__.startswith("matplotlib") for base in type(result).__mro__)


def figure_text(figure: Any) -> str:
    """What a figure says about itself: its title, or the titles of its axes."""
    titles = (axes.get_title(loc=loc) for axes in figure.axes for loc in ("left", "center"))
    text = figure.get_suptitle() or "; ".join(t for t in titles if t)
    return " ".join(str(text).split())
