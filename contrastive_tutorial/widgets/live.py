"""Closed formulas that a reader moves: drawn in the page, at every value, not recorded.

``Formula`` packs a kind of picture (``static/live/``) and ``static/live.js`` into one piece of HTML
that needs neither kernel nor network. What a reader may move is listed in ``formulas.KINDS``.
"""

from __future__ import annotations

import functools
from typing import Any

from contrastive_tutorial.errors import InputError, unknown
from contrastive_tutorial.widgets import fragment
from contrastive_tutorial.widgets.formulas import KINDS, Kind


class Formula(fragment.Piece):
    """A formula drawn live in the reader's browser, with sliders and marks to drag.

    The last line of a cell shows it: HTML that moves in notebooks, in the book and in a saved file;
    a picture where scripts do not run; a sentence elsewhere.

    Args:
        kind: ``"normals"``, ``"sweep"``, ``"vectors"``, ``"triplet"``, ``"weights"``,
            ``"floor"``, ``"noise"``, ``"memory"``, ``"flips"`` or ``"sheet"``.
        start: where controls stand at first, by name; the others stand at their own default.

    Attributes:
        html: the self-contained piece of HTML.
        numbers: what the picture shows at the start, computed by the package.
        summary: the same in words.

    Raises:
        InputError: naming an unknown kind or control, or a value outside a control's range.

    >>> round(Formula("sweep").numbers["best"], 4)
    2.2361
    """

    def __init__(self, kind: str, **start: Any) -> None:
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        chosen = KINDS[kind]
        self._kind, self._values = chosen, _checked(chosen, start)
        self.numbers = chosen.numbers(**self._values)
        self.summary = fragment.clean(f"{chosen.title}: {chosen.words(self.numbers)}")
        state = {
            "title": chosen.title,
            "kind": kind,
            "controls": [
                {
                    "name": c.name, "label": c.label, "min": c.least, "step": c.step,
                    "max": len(c.among) - 1 if c.among else c.most, "digits": c.digits,
                    "log": c.log, "among": c.among, "words": c.words,
                    "value": c.position(self._values[c.name]),
                }
                for c in chosen.controls
            ],
        }  # fmt: skip
        self.title = chosen.title
        self.html = fragment.fragment(
            f"live/{chosen.file or kind}+live", state, self.summary, self.still(480)
        )

    @functools.cached_property
    def png(self) -> bytes:
        """The formula at its first values."""
        import matplotlib.pyplot as plt

        fig, ax = plt.subplots(figsize=(5, 3))
        self._kind.still(ax, self._values, self.numbers)
        return fragment.png_of(fig, 110)


def _checked(kind: Kind, start: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {c.name: c.value for c in kind.controls}
    for name, value in start.items():
        if name not in values:
            raise unknown("control", name, list(values))
        control = next(c for c in kind.controls if c.name == name)
        if expected := control.refusal(value):
            raise InputError(f"{name}: expected {expected}, got {value!r}")
        # One of few is that very one: 5.0 counts nothing.
        values[name] = control.among[control.position(value)] if control.among else value
    return values
