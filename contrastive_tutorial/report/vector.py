"""matplotlib's stand-alone SVG file as a light piece of a page: text as text, pixels as WebP.

Text is set in the font that matplotlib measured it with, or in Verdana, which is as wide.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Widths of DejaVu Sans, on systems that lack it.
FONTS = "'DejaVu Sans',Verdana,sans-serif"

# Ids that nothing refers to, but that say what a group is: axes, their ticks, their frame.
_NAMES = re.compile(r"(axes|matplotlib\.axis|patch)_\d+$")
_NUMBER = re.compile(r"(?<![\w#.])-?\d+\.\d+(?![\w.])")


def drawn_once(fig: Figure, form: str, dpi: float) -> bytes:
    """A figure as a file; ``savefig`` would draw it twice, the first time to lay it out.

    Args:
        fig: laid out anew if it has a layout engine.
        form: ``"svg"`` or ``"png"``.
        dpi: of what is stored as pixels.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.BytesIO()
    canvas, before = fig.canvas, fig.dpi
    fig.dpi = dpi
    try:
        if form == "svg":
            FigureCanvasSVG(fig).print_svg(file, metadata={"Date": None})
        else:
            FigureCanvasAgg(fig).print_png(file, metadata={"Software": None})
    finally:
        fig.set_canvas(canvas)
        fig.dpi = before
    return file.getvalue()


def inline(source: str, alt: str, width_px: float, ink: str, kind: str = "") -> str:
    """An SVG file of matplotlib, fit to sit inside a page beside others like it.

    Args:
        source: the file.
        alt: what a screen reader says for it; without, it is hidden from screen readers.
        width_px: CSS pixels across, where there is room.
        ink: the colour that becomes the page's own text colour.
        kind: a further class of the element.
    """
    body = source[source.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    # matplotlib's style sheet has the selector *, which would apply to the whole page.
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", body, count=1, flags=re.DOTALL)
    body = body.replace(ink, "currentColor")
    body = re.sub(r'"data:image/png;base64,([^"]*)"', lambda png: f'"{_smaller(png[1])}"', body)
    body = re.sub(r"<[^>]+>", lambda tag: _lighter(tag[0]), body)
    body = _named_anew(re.sub(r">\s+<", "><", body))
    match = re.match(r'<svg[^>]*viewBox="([^"]+)"[^>]*>', body)
    assert match is not None, "matplotlib wrote an SVG without a viewBox"
    role = (
        f'role="img" aria-label="{html.escape(alt, quote=True)}"' if alt else 'aria-hidden="true"'
    )
    opening = (
        f'<svg class="{f"ct-figure {kind}".strip()}" {role} '
        f'xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{match[1]}" width="{width_px:.0f}" '
        f'stroke-linejoin="round" stroke-linecap="butt" font-family="{FONTS}" '
        'style="max-width:100%;height:auto;background:transparent;color:inherit">'
    )
    return (opening + body[match.end() :]).strip()


def pictures_once(markup: str) -> str:
    """Pixels that are drawn several times, kept once: a thumbnail on two edges of a matrix."""
    tag = r'<image ([^>]*?)href="(data:[^"]*)"([^>]*?)/>'
    count = Counter(found[2] for found in re.finditer(tag, markup))
    ids: dict[str, str] = {}
    kept: list[str] = []

    def use(found: re.Match[str]) -> str:
        around, source = f"{found[1]}{found[3]}", found[2]
        if count[source] == 1:
            return found[0]
        moved = " ".join(re.findall(r'\b(?:x|y|transform)="[^"]*"', around))
        rest = re.sub(r'\b(?:x|y|transform|id)="[^"]*"', "", around)
        if source not in ids:
            ids[source] = "p" + hashlib.sha256((source + rest).encode()).hexdigest()[:8]
            kept.append(f'<image id="{ids[source]}" {" ".join(rest.split())} href="{source}"/>')
        return f'<use href="#{ids[source]}" {moved}/>'

    markup = re.sub(tag, use, markup)
    start = markup.index(">") + 1
    return f"{markup[:start]}<defs>{''.join(kept)}</defs>{markup[start:]}" if kept else markup


def _named_anew(body: str) -> str:
    """Short ids, of what is referred to or says what it is, with a prefix of the drawing's own.

    Ids are global to a page: two figures with the same clip path would share one definition.
    """
    prefix = "f" + hashlib.sha256(body.encode()).hexdigest()[:8] + "-"
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', body))
    short = {old: f"{prefix}{number}" for number, old in enumerate(used)}
    body = re.sub(r'(href="|url\()#([^")]+)', lambda to: f"{to[1]}#{short[to[2]]}", body)

    def named(found: re.Match[str]) -> str:
        known = prefix + found[1] if _NAMES.match(found[1]) else ""
        new = short.get(found[1], known)
        return f' id="{new}"' if new else ""

    return re.sub(r' id="([^"]+)"', named, body)


def _lighter(tag: str) -> str:
    """A tag without line breaks, idle turns, fonts that the root names, and idle digits."""
    if "data:image" in tag:
        return tag.replace("xlink:href", "href")
    tag = _NUMBER.sub(_rounded, re.sub(r"\s+", " ", tag)).replace("xlink:href", "href")
    tag = re.sub(r' d="[^"]*"', lambda d: " d" + re.sub(r" ?([A-Za-z\"]) ?", r"\1", d[0][2:]), tag)
    tag = re.sub(r" font-family: [^;\"]*;?", "", tag)
    tag = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 " + FONTS, tag)
    tag = re.sub(r' transform="rotate\(-?0(\.0*)? [^"]*\)"', "", tag)
    return re.sub(r"([:;]) ", r"\1", tag)


def _smaller(packed: str) -> str:
    """A PNG in base64 as the address of the smallest picture that looks the same."""
    from PIL import Image

    png = base64.b64decode(packed)
    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGBA")
    found = [("png", png)]
    for each in (image, few_colours(image, 0.5)):
        if each is not None:
            found.append(("webp", webp(each, lossless=True, quality=80, method=4)))
    kind, best = min(found, key=lambda each: len(each[1]))
    return f"data:image/{kind};base64,{base64.b64encode(best).decode('ascii')}"


def few_colours(image: Any, most: float) -> Any:
    """An RGBA image in 256 colours, as a drawing has them and as stays sharp when it is packed.

    ``None`` where the eye sees a difference: more than ``most`` levels of 255 in the mean.
    """
    import numpy as np
    from PIL import Image

    few = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few = few.convert("RGBA")
    error = np.abs(np.asarray(few, dtype=int) - np.asarray(image, dtype=int)).mean()
    return few if error < most else None


def webp(image: Any, **options: Any) -> bytes:
    """An image as a WebP file."""
    buffer = io.BytesIO()
    image.save(buffer, "webp", **options)
    return buffer.getvalue()


def _rounded(number: re.Match[str]) -> str:
    """A hundredth of a point is a thousandth of what a label's stroke is wide."""
    value = float(number[0])
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"
