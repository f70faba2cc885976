"""A recorded ``interact``: every combination of the choices, computed once and played back.

:func:`record` calls the function for every combination and keeps what a reader would have seen:
text, tables, figures. Equal outputs are kept once. Figures stay vector graphics, drawn in the
text colour of the page, unless pixels are less than half as large. ``static/player.js`` plays
them without a kernel.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.widgets import fragment
from contrastive_tutorial.widgets.capture import captured, figure_text
from contrastive_tutorial.widgets.controls import Control

MAX_FRAMES = 200
MAX_BYTES = 2_000_000
_MAX_SPOKEN = 200
_SMALL_MARKUP = 20_000


@dataclass(frozen=True)
class Part:
    """One piece of a frame: ``type`` is ``"text"``, ``"error"``, ``"html"`` or ``"image"``."""

    type: str
    data: str
    alt: str = ""
    width: int = 0
    height: int = 0

    def spoken(self) -> str:
        """What a screen reader says for it, in at most 200 characters."""
        text = self.alt or (_without_tags(self.data) if self.type == "html" else self.data)
        text = " ".join(text.split())
        return text if len(text) <= _MAX_SPOKEN else text[: _MAX_SPOKEN - 1] + "…"


@dataclass(frozen=True)
class Frame:
    """What one combination shows: numbers of parts, and what is said."""

    parts: tuple[int, ...]
    spoken: str


class Player(fragment.Piece):
    """A widget that plays recorded frames; the last line of a cell shows it.

    Notebooks and the book show HTML, the PDF and GitHub's preview the first frame as PNG, and
    everything else one sentence.

    Attributes:
        name: of the function, or as given.
        controls: what the reader moves.
        num_frames: distinct frames, at most the number of combinations.
        html: the self-contained piece of HTML.
        png: the frame shown first, or ``None`` if it has no picture.
        summary: one sentence for places that show text only.
    """

    def __init__(
        self,
        name: str,
        controls: Sequence[Control],
        parts: Sequence[Part],
        frames: Sequence[Frame],
        order: Sequence[int],
        png: bytes | None,
    ) -> None:
        self.name = self.title = name = fragment.clean(name)
        self.controls = tuple(controls)
        self.num_frames = len(frames)
        self.png = png
        first = frames[order[_first_combination(controls)]]
        chosen = ", ".join(f"{c.label} = {c.labels[c.index]}" for c in controls)
        self.summary = fragment.clean(
            f"{name}: recorded for {len(order)} combinations of "
            f"{', '.join(c.label for c in controls)}. At {chosen}: {first.spoken}"
        )
        content = {
            "controls": [
                {
                    "label": c.label,
                    "kind": c.kind,
                    "labels": c.labels,
                    "index": c.index,
                    **({"values": c.values} if c.kind == "checkbox" else {}),
                }
                for c in controls
            ],
            "parts": [_compact(part) for part in parts],
            "frames": [{"parts": f.parts, "spoken": f.spoken} for f in frames],
            "order": order,
            "note": f"Recorded: all {len(order)} positions were computed beforehand.",
        }
        packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)
        state = {"title": name, "packed": base64.b64encode(packed).decode("ascii")}
        self.html = fragment.fragment("player", state, self.summary)


def record(
    fn: Callable[..., Any],
    controls: Sequence[Control],
    *,
    name: str,
    describe: Callable[..., str] | None = None,
) -> Player:
    """Call ``fn`` for every combination of the controls' values and keep what it shows.

    Raises:
        InputError: naming the widget, if there are more than ``MAX_FRAMES`` combinations, the
            HTML exceeds ``MAX_BYTES``, a combination shows nothing, or every combination fails.
    """
    combinations = math.prod(len(control.values) for control in controls)
    if combinations > MAX_FRAMES:
        sizes = " x ".join(f"{len(c.values)} {c.name}" for c in controls)
        raise InputError(
            f"widget {name!r}: {sizes} = {combinations} combinations, more than {MAX_FRAMES}; "
            "offer fewer values"
        )
    parts: dict[Part, int] = {}
    frames: dict[Frame, int] = {}
    order: list[int] = []
    size = 0
    first_png: bytes | None = None
    failures: list[Exception] = []
    first = _first_combination(controls)
    for number, values in enumerate(itertools.product(*(c.values for c in controls))):
        arguments = {control.name: value for control, value in zip(controls, values, strict=True)}
        described = None if describe is None else str(describe(**arguments))
        shown, png, failure = _call(fn, arguments, name, described, number == first)
        if failure is not None:
            failures.append(failure)
        if number == first:
            first_png = png
        size += sum(_cost(part.data) for part in {*shown} - parts.keys())
        if size > MAX_BYTES:  # before minutes are spent on the rest
            raise InputError(
                f"widget {name!r}: {size / 1e6:.2f} MB after {number + 1} of {combinations} "
                f"combinations, more than {MAX_BYTES / 1e6:.2f} MB; draw smaller figures or offer "
                "fewer values"
            )
        frame = Frame(
            tuple(parts.setdefault(part, len(parts)) for part in shown), _spoken(shown, described)
        )
        order.append(frames.setdefault(frame, len(frames)))
    if len(failures) == combinations:
        raise InputError(
            f"widget {name!r}: every combination fails, the first with "
            f"{type(failures[0]).__name__}: {failures[0]}"
        ) from failures[0]
    player = Player(name, controls, list(parts), list(frames), order, first_png)
    if len(player.html.encode()) > MAX_BYTES:
        raise InputError(
            f"widget {name!r}: {len(player.html) / 1e6:.2f} MB of HTML, more than "
            f"{MAX_BYTES / 1e6:.2f} MB; draw smaller figures or offer fewer values"
        )
    return player


def _first_combination(controls: Sequence[Control]) -> int:
    import numpy as np

    sizes = tuple(len(control.values) for control in controls)
    return int(np.ravel_multi_index([control.index for control in controls], sizes))


def _call(
    fn: Callable[..., Any],
    arguments: dict[str, Any],
    name: str,
    alt: str | None,
    need_png: bool,
) -> tuple[list[Part], bytes | None, Exception | None]:
    """What one combination shows, as parts and as PNG, and the error that ended it.

    Pixels take as long to draw as the figure itself: without ``need_png`` there may be no PNG.
    """
    failure = None
    with captured() as outputs:
        try:
            result = fn(**arguments)
        except Exception as error:
            failure = error
    items = outputs.items
    if failure is not None:
        outputs.close_figures()
    else:
        items = items + outputs.figures(result)
    shown = [_part(item, alt, name, need_png) for item in items]
    parts = [part for part, _ in shown]
    if failure is not None:
        message = f"{type(failure).__name__}: {' '.join(str(failure).split())}"
        parts.append(Part("error", fragment.clean(message)[:300]))
    if not parts:
        given = ", ".join(f"{key}={value!r}"[:60] for key, value in arguments.items())
        raise InputError(
            f"widget {name!r}: the function showed nothing for {given}; return a figure or a "
            "value, draw with matplotlib, or print"
        )
    return parts, next((png for _, png in shown if png), None), failure


def _part(item: Any, alt: str | None, name: str, need_png: bool) -> tuple[Part, bytes | None]:
    """One thing that was shown, as a part of a frame and as PNG if it is a picture."""
    from IPython.core.formatters import DisplayFormatter
    from matplotlib.figure import Figure

    from contrastive_tutorial.report import style

    if isinstance(item, str):
        return Part("text", fragment.clean(item)), None
    if isinstance(item, Figure):
        item = style.picture(item, alt or figure_text(item) or name)
    if isinstance(item, style.Picture) and not need_png and _cost(item.svg) <= _SMALL_MARKUP:
        return Part("html", fragment.clean(item.svg), fragment.clean(alt or item.alt)), None
    data, _ = DisplayFormatter().format(item)
    text = fragment.clean(alt or _plain(data.get("text/plain")) or name)
    markup = data.get("text/html") or data.get("image/svg+xml")
    png = data.get("image/png")
    if isinstance(png, str):
        png = base64.b64decode(png)
    # Markup is drawn in the page's colours and sharp at any zoom: worth twice the bytes, and not
    # worth the time to compare while it is small.
    if png is not None and (not isinstance(markup, str) or _cost(markup) > _SMALL_MARKUP):
        image = _image(png, text)
        if not isinstance(markup, str) or _cost(markup) > 2 * len(image.data):
            return image, png
    if isinstance(markup, str):
        return Part("html", fragment.clean(markup), text if png is not None or alt else ""), png
    return Part("text", fragment.clean(_plain(data.get("text/plain")) or repr(item))), None


def _plain(text: Any) -> str:
    return text if isinstance(text, str) and not re.match(r"<[\w.]+ .*>$", text) else ""


def _image(png: bytes, alt: str) -> Part:
    """A PNG at two pixels per unit, re-encoded as WebP, the smaller of two ways."""
    from PIL import Image

    from contrastive_tutorial.report import vector

    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGBA")
    encoded = [vector.webp(image, quality=85, method=4)]
    few = vector.few_colours(image, 1.5)
    if few is not None:
        encoded.append(vector.webp(few, lossless=True, quality=60, method=4))
    best = base64.b64encode(min(encoded, key=len)).decode("ascii")
    width, height = (max(1, side // 2) for side in image.size)
    return Part("image", f"data:image/webp;base64,{best}", alt, width, height)


def _cost(data: str) -> int:
    """Bytes that a part takes in the page, about: deflated, then base64."""
    return len(zlib.compress(data.encode(), 6)) * 4 // 3


def _spoken(parts: Sequence[Part], described: str | None) -> str:
    spoken = " ".join(part.spoken() for part in parts)
    if described is not None and not any(part.alt for part in parts):
        spoken = f"{described} {spoken}"
    return spoken


def _without_tags(markup: str) -> str:
    markup = re.sub(r"<(style|script)\b.*?</\1\s*>", " ", markup, flags=re.DOTALL | re.I)
    return html.unescape(re.sub(r"<[^>]*>", " ", markup))


def _compact(part: Part) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": part.type, "data": part.data}
    if part.type == "image":
        fields.update(alt=part.alt, width=part.width, height=part.height)
    return fields
