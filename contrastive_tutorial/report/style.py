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
import hashlib
import html
import io
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from contrastive_tutorial.errors import InputError

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

_PX_PER_INCH = 96
_MAX_VECTOR_POINTS = 500


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
            "image.interpolation": "nearest",
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
        png = io.BytesIO()
        self._figure.savefig(png, format="png", dpi=2 * _PX_PER_INCH, metadata={"Software": None})
        return png.getvalue()

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

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    alt : str
        What a reader who cannot see the figure should know: what is plotted and what it shows.

    Raises
    ------
    InputError
        If ``alt`` is empty, or ``fig`` is not a matplotlib figure.
    """
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    if not isinstance(fig, Figure):
        raise InputError(
            f"fig: expected a matplotlib Figure, got {type(fig).__name__}; "
            "pass the figure that plt.subplots returned"
        )
    alt = " ".join(alt.split())
    if not alt:
        raise InputError("alt: expected a sentence that describes the figure, got an empty string")
    _rasterize_dense(fig)
    svg = io.StringIO()
    # A fixed salt makes the ids, and with them the built page, the same in every build.
    with matplotlib.rc_context({"svg.hashsalt": "contrastive-tutorial"}):
        fig.savefig(svg, format="svg", dpi=2 * _PX_PER_INCH, metadata={"Date": None})
    fig.set_layout_engine("none")  # it is laid out: the pixels need not be laid out again
    width = fig.get_figwidth() * _PX_PER_INCH
    plt.close(fig)
    return Picture(_inline_svg(svg.getvalue(), alt, width), fig, alt)


def show(fig: Figure, alt: str) -> None:
    """Display a figure in the notebook or the book with its alternative text, and close it.

    ``picture`` returns the same thing instead of displaying it, for a function that a widget calls.
    """
    from IPython.display import display

    display(picture(fig, alt))


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


def _inline_svg(source: str, alt: str, width_px: float) -> str:
    """Make matplotlib's stand-alone SVG file fit to sit inside a page, beside others like it."""
    body = source[source.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    # matplotlib's style sheet has the selector *, which would apply to the whole page.
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", body, count=1, flags=re.DOTALL)
    body = body.replace(INK, "currentColor")
    # Ids are global to a page: two figures with the same clip path would share one definition.
    prefix = "f" + hashlib.sha256(body.encode()).hexdigest()[:8] + "-"
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = re.sub(r'href="#', f'href="#{prefix}', body)
    body = body.replace("url(#", f"url(#{prefix}")
    match = re.match(r'<svg[^>]*viewBox="([^"]+)"[^>]*>', body)
    assert match is not None, "matplotlib wrote an SVG without a viewBox"
    opening = (
        f'<svg class="ct-figure" role="img" aria-label="{html.escape(alt, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{match[1]}" width="{width_px:.0f}" '
        'stroke-linejoin="round" stroke-linecap="butt" '
        'style="max-width:100%;height:auto;background:transparent;color:inherit">'
    )
    # Blank lines would end an HTML block in Markdown-based renderers.
    return re.sub(r"\n\s*\n", "\n", opening + body[match.end() :]).strip()
