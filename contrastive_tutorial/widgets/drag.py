"""Marks in a figure that a reader may drag, as a second way to move the choices of a widget.

A figure function gives a ``gid`` to a marker that it plots. Where that mark lies in the figure is
measured once the figure is drawn, for every combination of the choices. A pointer that drags the
mark then selects, among the values of the choices that follow it, those whose mark lies nearest:
no formula is needed, whatever the axes look like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.widgets.controls import Control


@dataclass(frozen=True)
class Mark:
    """A marker plotted with this ``gid`` and the positions, among the controls, that follow it."""

    gid: str
    follows: tuple[int, ...]


def read_drag(drag: Mapping[str, Any] | None, controls: Sequence[Control]) -> tuple[Mark, ...]:
    """The marks of ``widgets.interact(drag=...)``: ``gid`` to the name or names of choices.

    Raises:
        InputError: naming the mark that follows no choice, or one that does not exist.
    """
    if drag is None:
        return ()
    if not isinstance(drag, Mapping):
        raise InputError(
            f"drag: expected a dict of gid and names of choices, got {type(drag).__name__}"
        )
    names = [control.name for control in controls]
    marks = []
    for gid, choices in drag.items():
        chosen = [choices] if isinstance(choices, str) else list(choices)
        unknown = [name for name in chosen if name not in names]
        if unknown or not chosen or len(set(chosen)) < len(chosen):
            raise InputError(
                f"drag: the mark {gid!r} should follow one or more of the choices {names}, "
                f"each once, got {chosen}"
            )
        marks.append(Mark(str(gid), tuple(names.index(name) for name in chosen)))
    return tuple(marks)


def places(figure: Any, marks: Iterable[Mark]) -> dict[str, tuple[float, float]]:
    """Where marks lie in a figure that has been drawn.

    Args:
        figure: a matplotlib figure whose layout no longer changes.
        marks: to look for.

    Returns:
        By ``gid`` of what ``axes.plot`` drew, its centre as parts of the figure's width and
        height, from the left and upper edge. A mark that is hidden, outside or not there is left
        out.
    """
    from matplotlib.lines import Line2D

    wanted = {mark.gid for mark in marks}
    found: dict[str, tuple[float, float]] = {}
    for line in figure.findobj(Line2D) if wanted else []:
        if line.get_gid() in wanted and line.get_visible():
            pixels = line.get_transform().transform(line.get_xydata()).mean(0)
            x, y = pixels / (figure.bbox.width, figure.bbox.height)
            if 0 <= x <= 1 and 0 <= y <= 1:  # not so if it is NaN
                found[line.get_gid()] = (round(float(x), 4), round(1 - float(y), 4))
    return found


def check_marks(name: str, marks: Iterable[Mark], seen: Sequence[Mapping[str, Any]]) -> None:
    """Every mark must lie in at least two places, or a reader would pull at it in vain.

    Args:
        name: of the widget.
        marks: that were asked for.
        seen: for every combination, the places that were found.

    Raises:
        InputError: naming the widget and the mark.
    """
    for mark in marks:
        distinct = {frame[mark.gid] for frame in seen if mark.gid in frame}
        if not distinct:
            raise InputError(
                f"widget {name!r}: drag: no figure shows a mark {mark.gid!r}; give what is to be "
                f"dragged that name: axes.plot(x, y, 'o', gid={mark.gid!r})"
            )
        if len(distinct) == 1:
            raise InputError(
                f"widget {name!r}: drag: the mark {mark.gid!r} lies in one place whatever is "
                "chosen, so it cannot be dragged; draw it where the choices that follow it say"
            )
