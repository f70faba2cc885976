"""The batch builder: whose mean and variance is an image normalised by?

A reader puts small images (plain, dark, washed out, reddish) into a batch, chooses a kind of
normalisation, and sees which values share a mean and where one marked image lands; then the image
is tested alone, under statistics of their choice. ``static/batch.js`` computes everything in the
page; the tests hold it to the layers of :mod:`contrastive_tutorial.norm`.
"""

from __future__ import annotations

import numpy as np

from contrastive_tutorial.report import style
from contrastive_tutorial.study import TINTS
from contrastive_tutorial.widgets import fragment

KINDS = ("batch", "layer", "instance", "group", "split")
NAMES = ("normal", "dark", "washed out", "reddish")


def patterns() -> np.ndarray:
    """The eight images before any tint: float64 ``(8, 3, 9)`` in [0, 1], two decimals.

    Three colour channels of 3 x 3 positions, always the same.
    """
    draw = np.random.default_rng(4)
    colours = draw.uniform(0.25, 0.75, (8, 3, 1))
    return (colours + draw.uniform(-0.25, 0.25, (8, 3, 9))).clip(0, 1).round(2)


def shared(kind: str, subsets: list[int]) -> np.ndarray:
    """Which values share their statistics: int ``(N, 4)``, equal where they do.

    Args:
        kind: one of :data:`KINDS`; ``group`` takes channels in pairs, ``split`` images by subset.
        subsets: of every image.
    """
    n, c = np.indices((len(subsets), 4))
    keys = {
        "batch": c,
        "layer": n,
        "instance": n * 4 + c,
        "group": n * 4 + c // 2,
        "split": np.array(subsets)[:, None] * 4 + c,
    }
    return keys[kind]


class BatchBuilder(fragment.Piece):
    """The widget; the last line of a cell shows it.

    Notebooks and the book show it alive; without scripts, and in the PDF, a figure shows what
    shares a mean under each kind of normalisation.

    Attributes:
        html: the self-contained piece of HTML.
        summary: one sentence for places that show text only.
    """

    title = "Batch builder"

    def __init__(self) -> None:
        self.summary = (
            "Batch builder. Batch Normalization takes one mean for each channel over all images; "
            "layer, instance and group normalisation take it within one image; split "
            "normalisation takes it over the images of one subset."
        )
        tints = [
            {"name": name, "gain": gain, "offset": offset}
            for name, (gain, offset) in zip(NAMES, TINTS, strict=True)
        ]
        content = {"title": self.title, "patterns": patterns().tolist(), "tints": tints}
        figure = _figure(self.summary)
        self.png = figure.png
        self.html = (
            fragment.fragment("batch", {"content": content}, self.summary)
            + f"\n<noscript>{figure.svg}</noscript>"
        )


def _figure(alt: str) -> style.Picture:
    """A grid of images and channels for each kind; filled: what shares a mean with the star."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, len(KINDS), figsize=(6.6, 1.9), sharey=True)
    subsets = [0, 0, 1, 1]
    for ax, kind in zip(axes, KINDS, strict=True):
        keys = shared(kind, subsets)
        for n, c in np.ndindex(keys.shape):
            one = keys[n, c] == keys[1, 0]
            ax.add_patch(
                plt.Rectangle(
                    (c + 0.08, n + 0.08), 0.84, 0.84, lw=1.2, edgecolor=style.INK,
                    facecolor=style.PALETTE[0] if one else "none",
                )
            )  # fmt: skip
        ax.text(0.5, 1.5, "★", ha="center", va="center", color="white", fontfamily="DejaVu Sans")
        ax.set(xlim=(0, 4), ylim=(4, 0), xticks=[], yticks=[], aspect="equal", title=kind)
        ax.set_xlabel("channels")
        ax.grid(visible=False)
    axes[0].set_ylabel("images")
    picture = style.picture(fig, alt)
    plt.close(fig)
    return picture
