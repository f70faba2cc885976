"""How every figure of the book looks, and how it reaches a reader who cannot see it.

``style.use()`` once at the top of a chapter, ``show(fig, alt=...)`` at the end of a cell that
draws.

No single grey reaches the 4.5:1 contrast that text needs on a white page *and* on the dark page
(#121212): the best compromise is 4.3:1. So ``show`` writes SVG into the page and paints everything
drawn in ``INK`` with ``currentColor``: the text colour of whatever page, notebook or theme the
figure lands in. Saved any other way, the same figure is mid-grey on a transparent background and
still reads on both.
"""

from __future__ import annotations

import base64
import html
from functools import cached_property
from typing import TYPE_CHECKING, Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.report import vector
from contrastive_tutorial.report.narrow import WIDTH_PX, relayout

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

#: Axes, ticks and labels. ``show`` replaces it by the page's own text colour.
INK = "#797979"

#: Ten colours with at least 3:1 contrast on white and on #121212 (WCAG 1.4.11). The first eight
#: are the hues of Okabe and Ito (2008), who chose them for readers with colour-vision
#: deficiencies; orange, sky blue and yellow are darkened until they show on white.
PALETTE: tuple[str, ...] = (
    "#0072B2",  # blue
    "#D55E00",  # vermillion
    "#009E73",  # bluish green
    "#C46C9C",  # reddish purple
    "#BD8200",  # orange
    "#3D99D0",  # sky blue
    "#968B00",  # yellow
    "#808080",  # grey
    "#8A6250",  # brown
    "#7A68C6",  # violet
)

#: One marker per colour: no figure may depend on colour alone.
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")

#: Inches across of a figure that is drawn for a phone.
NARROW = WIDTH_PX / 96

_PX_PER_INCH = 96
_MAX_VECTOR_POINTS = 500
# In the figure itself and not in the book's style sheet: Colab and Jupyter have phones as well.
_SWITCH = (
    "<style>.ct-narrow{display:none!important}@media screen and (max-width:600px){"
    ".ct-wide{display:none!important}.ct-narrow{display:block!important;width:100%;"
    "max-width:440px!important;margin:0 auto}}</style>"
)


def use() -> None:
    """Set matplotlib's defaults for the book: transparent, mid-grey ink, ``PALETTE``, 614 px wide.

    Seaborn draws with the same defaults as long as ``seaborn.set_theme`` is not called after it.
    """
    import matplotlib
    from cycler import cycler

    matplotlib.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": _PX_PER_INCH,
            "figure.facecolor": "none",
            "figure.constrained_layout.use": True,
            "savefig.facecolor": "none",
            "savefig.transparent": True,
            "axes.facecolor": "none",
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.prop_cycle": cycler(color=PALETTE),
            "grid.color": INK,
            "grid.alpha": 0.25,
            "grid.linewidth": 0.6,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "text.color": INK,
            "font.size": 10,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "legend.labelcolor": INK,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "image.cmap": "cividis",
            "image.interpolation": "none",  # SVG keeps the pixels that were given
            "patch.edgecolor": INK,
            "boxplot.flierprops.markeredgecolor": INK,
            "svg.fonttype": "path",
        }
    )


def plain(text: str) -> str:
    """Text of a record as a figure shows it: one short line, and no formula whatever it holds."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return (line if len(line) <= 60 else line[:59] + "…").replace("$", r"\$")


class Picture:
    """A drawn figure and the words that stand for it.

    Jupyter, Colab and the book show ``svg`` (text/html); the PDF and GitHub's preview show ``png``;
    screen readers and terminals get ``alt``. The PNG is drawn when it is first asked for, because a
    recorded widget has a hundred pictures and needs the PNG of one.
    """

    def __init__(self, svg: str, figure: Figure, alt: str) -> None:
        self.svg = svg
        self.alt = alt
        self._figure = figure

    @cached_property
    def png(self) -> bytes:
        """The same picture in pixels, two for each unit."""
        return vector.drawn_once(self._figure, "png", 2 * _PX_PER_INCH)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/html": self.svg,
            "image/png": base64.b64encode(self.png).decode("ascii"),
            "text/plain": self.alt,
        }

    def __repr__(self) -> str:
        return f"Picture({self.alt!r})"


def picture(fig: Figure, alt: str) -> Picture:
    """Render a figure, close it, and return it with its alternative text.

    Args:
        fig: of matplotlib.
        alt: what a reader who cannot see the figure should know: what is plotted, what it shows.

    Raises:
        InputError: if ``alt`` is empty, or ``fig`` is not a matplotlib figure.
    """
    alt = _checked(fig, alt)
    drawn = Picture(_drawn(fig, alt), fig, alt)
    fig.set_layout_engine("none")  # it is laid out: the pixels need not be laid out again
    return drawn


def twice(fig: Figure, alt: str, narrow: Figure | None = None) -> Picture:
    """As :func:`picture`, with a second drawing for windows of at most 600 pixels.

    The second drawing is ``fig`` in the layout of :mod:`~contrastive_tutorial.report.narrow`, or
    ``narrow`` for a figure that needs to be another one on a phone. Print, the PDF and whatever
    shows no HTML have the first. ``fig`` itself is left in the narrow layout.

    Raises:
        InputError: as :func:`picture`, for either figure.
    """
    alt = _checked(fig, alt)
    engine = fig.get_layout_engine()
    wide = _drawn(fig, "", "ct-wide")
    fig.set_layout_engine("none")
    drawn = Picture("", fig, alt)
    _ = drawn.png  # as long as the figure is wide
    if narrow is None:
        narrow = fig
        fig.set_layout_engine(engine or "none")
        relayout(fig)
    else:
        _checked(narrow, alt)
    both = vector.pictures_once(wide + _drawn(narrow, "", "ct-narrow"))
    label = html.escape(alt, quote=True)
    drawn.svg = f'<div role="img" aria-label="{label}">{_SWITCH}{both}</div>'
    return drawn


def show(fig: Figure, alt: str, narrow: Figure | None = None) -> None:
    """Display a figure in the notebook or the book with its alternative text, and close it.

    Arguments and errors are those of :func:`twice`, which returns the same thing.
    """
    from IPython.display import display

    display(twice(fig, alt, narrow))


def _checked(fig: Figure, alt: str) -> str:
    """The words in one line."""
    from matplotlib.figure import Figure

    if not isinstance(fig, Figure):
        raise InputError(
            f"fig: expected a matplotlib Figure, got {type(fig).__name__}; "
            "pass the figure that plt.subplots returned"
        )
    alt = " ".join(alt.split())
    if not alt:
        raise InputError("alt: expected a sentence that describes the figure, got an empty string")
    return alt


def _drawn(fig: Figure, alt: str, kind: str = "") -> str:
    """A figure as a piece of a page; pyplot forgets it."""
    import matplotlib
    import matplotlib.pyplot as plt

    _rasterize_dense(fig)
    # A fixed salt makes the ids, and with them the built page, the same in every build.
    with matplotlib.rc_context({"svg.hashsalt": "contrastive-tutorial", "svg.fonttype": "none"}):
        svg = vector.drawn_once(fig, "svg", 2 * _PX_PER_INCH).decode()
    plt.close(fig)
    return vector.inline(svg, alt, fig.get_figwidth() * _PX_PER_INCH, INK, kind)


def _rasterize_dense(fig: Figure) -> None:
    """Let large clouds of points be stored as pixels: 2,000 vector markers weigh 200 kB a panel.
    A cloud may be drawn in parts, one for each class."""
    import numpy as np
    from matplotlib.collections import PathCollection

    for axes in fig.axes:
        clouds: dict[Artist, int] = {
            artist: len(np.asarray(artist.get_offsets()))
            for artist in axes.collections
            if isinstance(artist, PathCollection)
        }
        for line in axes.lines:
            if line.get_linestyle() == "None":  # markers alone
                clouds[line] = len(np.asarray(line.get_xdata()))
        if sum(clouds.values()) > _MAX_VECTOR_POINTS:
            for artist in clouds:
                artist.set_rasterized(True)
