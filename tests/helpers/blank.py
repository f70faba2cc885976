"""Whether a figure of a built page shows nothing: a green build does not say that one was drawn."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from typing import Any

from bs4 import BeautifulSoup
from PIL import Image

#: What matplotlib draws of axes that hold nothing: a background, two axes with ticks, four spines.
_FURNITURE = re.compile(r"matplotlib\.axis_\d+$|text_\d+$")
_LINE = re.compile(r"\s*M\s*\S+\s+[^\sL]+\s*L\s*\S+\s+\S+\s*$")


def empty_pixels(content: bytes) -> bool:
    """Whether a picture has one colour, over white."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = image.convert("RGBA")
    over = Image.new("RGBA", pixels.size, "white")
    over.alpha_composite(pixels)
    return all(low == high for low, high in over.convert("RGB").getextrema())


def _name(group: Any) -> str:
    """The id that matplotlib gave it, without the prefix of the page."""
    return str(group.get("id", "")).rpartition("-")[2]


def _is_spine(group: Any) -> bool:
    paths = group.find_all("path")
    return (
        _name(group).startswith("patch_")
        and len(paths) == 1
        and bool(_LINE.match(paths[0].get("d", "")))
    )


def _shows(axes: Any) -> bool:
    """Whether axes hold more than their furniture; those that are switched off need not."""
    groups = axes.find_all("g", recursive=False)
    ticks = [group for group in groups if _name(group).startswith("matplotlib.axis_")]
    drawn = [group for group in groups if group.find(["path", "use", "image"])]
    held = [group for group in drawn if not _FURNITURE.search(_name(group))]
    background = 1 if held and _name(held[0]).startswith("patch_") else 0
    own = [group for group in held[background:] if not _is_spine(group)]
    images = axes.find_all("image")
    return bool(own or images or not ticks)


def empty_drawing(svg: Any) -> bool:
    """Whether an SVG has axes that hold nothing, or draws nothing at all."""
    axes = [group for group in svg.find_all("g") if re.match(r"axes_\d+$", _name(group))]
    if axes:
        return not all(map(_shows, axes)) or not any(
            group.find_all(["path", "use", "image"]) for group in axes
        )
    drawn = svg.find_all(["path", "use", "image", "text", "line", "polyline", "circle", "rect"])
    return len([shape for shape in drawn if shape.name != "rect"]) < 2  # one is the background


def blank_figures(article: Any, read: Callable[[str], bytes]) -> list[str]:
    """The executed figures of a page that show nothing, by the words that describe them.

    Args:
        article: of the built page.
        read: gives the bytes of a file by its address in the page.
    """
    blank = []
    for drawing in article.select("div.cell_output svg.ct-figure"):
        if empty_drawing(drawing):
            spoken = drawing if drawing.get("aria-label") else drawing.parent
            blank.append(spoken.get("aria-label", "")[:80])
    for image in article.select("div.cell_output img[src]"):
        source = image["src"]
        kind, _, body = source.partition(",")
        content = base64.b64decode(body) if kind.startswith("data:") else read(source)
        if (at := content[:1000].find(b"<svg")) >= 0:
            empty = empty_drawing(BeautifulSoup(content[at:], "html.parser"))
        else:
            empty = empty_pixels(content)
        if empty:
            blank.append(image.get("alt", source)[:80])
    return blank
