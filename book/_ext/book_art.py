"""The cover, drawn while the book is built, and what other sites show when a page is linked.

The cover is a calculation, not a picture of one: ten subsets with means and spreads of their own go
through the formula of Batch Normalization once together and once each.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

COVER_ALT = (
    "Ten coloured bell curves, one for each subset of the data, in three panels. As they come: ten "
    "centres and ten widths. Normalised together: the cloud of all ten is centred and scaled, and "
    "each curve keeps its own place. Normalised apart: all ten coincide."
)
SHARE_IMAGE = "share.png"
SHARE_SIZE = (1200, 630)
SUBSETS = 10


def subset_moments() -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations, both (10,), of the activations of ten made-up subsets."""
    import numpy as np

    rng = np.random.default_rng(4)
    means = rng.permutation(np.linspace(-3.0, 5.0, SUBSETS)) + rng.normal(0, 0.3, SUBSETS)
    return means, rng.uniform(0.5, 1.4, SUBSETS)


def normalise_together(means: np.ndarray, stds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Batch Normalization of all subsets at once, by the law of total variance."""
    import numpy as np

    total = np.sqrt(np.mean(stds**2) + np.var(means))
    return (means - means.mean()) / total, stds / total


def normalise_apart(means: np.ndarray, stds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split Batch Normalization: every subset by its own mean and variance."""
    import numpy as np

    return np.zeros_like(means), np.ones_like(stds)


def draw_cover(width: float, height: float) -> Figure:
    import matplotlib.pyplot as plt
    import numpy as np

    from contrastive_tutorial.report import PALETTE

    raw = subset_moments()
    panels = {
        "as they come": raw,
        "normalised together": normalise_together(*raw),
        "normalised apart": normalise_apart(*raw),
    }
    fig, axes = plt.subplots(1, 3, figsize=(width, height))
    narrow = width < 5
    for ax, (title, (means, stds)) in zip(axes, panels.items(), strict=True):
        reach = float(np.max(np.abs(means) + 3 * stds))
        x = np.linspace(-reach, reach, 81)
        for k in range(SUBSETS):
            density = np.exp(-((x - means[k]) ** 2) / (2 * stds[k] ** 2))
            base = np.full_like(x, 0.55 * (SUBSETS - k))
            order = 2 * k
            ax.fill_between(
                x, base, base + density, color=PALETTE[k], alpha=0.55, lw=0, zorder=order
            )
            ax.plot(x, base + density, color=PALETTE[k], lw=1.4, zorder=order + 1)
        ax.set_title(
            title.replace("normalised ", "normalised\n") if narrow else title,
            loc="center", fontweight="normal", fontsize=9 if narrow else None,
        )  # fmt: skip
        ax.set_axis_off()
    return fig


class Cover(SphinxDirective):
    """``{book-cover}``: the cover figure, in the page's own colours."""

    def run(self) -> list[nodes.Node]:
        import matplotlib

        from contrastive_tutorial.report import style

        with matplotlib.rc_context():
            style.use()
            picture = style.twice(
                draw_cover(7.2, 3.0), COVER_ALT, narrow=draw_cover(style.NARROW, 2.2)
            )
        return [nodes.raw("", f'<div class="book-cover">{picture.svg}</div>', format="html")]


def draw_share_image(app: Sphinx, error: Exception | None) -> None:
    """The cover on a dark card: link previews have no theme and no transparency."""
    if error is not None or app.builder.format != "html":
        return
    import matplotlib
    import matplotlib.pyplot as plt

    from contrastive_tutorial.report import style

    with matplotlib.rc_context():
        style.use()
        light = "#e6e6e6"
        matplotlib.rcParams.update({"text.color": light, "axes.titlecolor": light})
        fig = draw_cover(SHARE_SIZE[0] / 100, SHARE_SIZE[1] / 100)
        fig.suptitle(app.config.html_title, fontsize=30, fontweight="bold")
        buffer = io.BytesIO()
        fig.savefig(
            buffer,
            format="png",
            dpi=100,
            facecolor="#121212",
            transparent=False,
            metadata={"Software": None},
        )
        plt.close(fig)
    (Path(app.outdir) / "_static" / SHARE_IMAGE).write_bytes(buffer.getvalue())


def first_sentences(doctree: nodes.document | None, limit: int = 200) -> str:
    """The opening paragraph of a page, for search engines and link previews."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        text = " ".join(paragraph.astext().split())
        if len(text) > 40:
            return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0] + " …"
    return ""


def add_open_graph(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    from html import escape

    base = app.config.html_baseurl
    title = re.sub(r"<[^>]+>", "", str(context.get("title", "")))
    tags = {
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": first_sentences(doctree) or app.config.html_title,
        "og:url": urljoin(base, f"{pagename}.html"),
        "og:image": urljoin(base, f"_static/{SHARE_IMAGE}"),
        "og:image:alt": COVER_ALT,
        "og:image:width": str(SHARE_SIZE[0]),
        "og:image:height": str(SHARE_SIZE[1]),
    }
    lines = [f'<meta property="{k}" content="{escape(v, quote=True)}">' for k, v in tags.items()]
    lines.append('<meta name="twitter:card" content="summary_large_image">')
    context["metatags"] = "\n".join([context.get("metatags") or "", *lines])


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("book-cover", Cover)
    app.connect("build-finished", draw_share_image)
    app.connect("html-page-context", add_open_graph)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
