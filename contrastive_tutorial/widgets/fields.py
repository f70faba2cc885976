"""What an exercise or a prediction leaves in the built page, where no kernel will judge it."""

from __future__ import annotations

import base64
import html
import json
import math
from typing import Any

from contrastive_tutorial.errors import unknown
from contrastive_tutorial.files import in_book
from contrastive_tutorial.widgets import fragment

_LETTERS = "ABCDEF"


class Field(fragment.Piece):
    """An exercise's field in the static page: a number to type, or one of several choices.

    Attributes:
        html: the self-contained piece of HTML.
        summary: what a front end without HTML shows.
    """

    def __init__(self, name: str, state: dict[str, Any]) -> None:
        self.title, self.summary = name, f"{name}: your turn"
        # Not in clear text: who reads the page's source should not read the solution by accident.
        hidden = base64.b64encode(json.dumps(state).encode()).decode("ascii")
        self.html = fragment.fragment(
            "exercise", {"name": fragment.clean(name), "sealed": hidden}, self.summary
        )


def settle(name: str, *letters: str, because: str = "") -> None:
    """Print which choices of the prediction ``name`` are right; the page compares them.

    Args:
        name: what the box of the prediction gives as its ``answer``.
        letters: one for each question of the box, ``"A"`` for its first choice.
        because: the numbers that decide, in words.

    Raises:
        InputError: naming a letter that no choice can have.

    >>> settle("seeds", "B", because="6 seeds")
    Answer: B (6 seeds)
    """
    for letter in letters:
        if letter not in _LETTERS or len(letter) != 1:
            raise unknown("letter", letter, list(_LETTERS))
    line = f"Answer: {', '.join(letters)}" + (f" ({because})" if because else "")
    named = f'data-ct-answer="{html.escape(name)}" data-ct-right="{" ".join(letters)}"'
    shown = f'<p class="ct-answer" {named}>{html.escape(fragment.clean(line))}</p>'
    if in_book():
        show({"text/html": shown, "text/plain": line}, raw=True)
    else:
        print(line)


def show(what: Any, raw: bool = False) -> None:
    """Display ``what`` below the cell; ``raw``: it is a dictionary from MIME type to content."""
    from IPython.display import display

    display(what, raw=raw)


def sealed(number: float) -> float | str:
    """``number`` as JSON can hold it: as text (``"inf"``, ``"nan"``) where it is not finite."""
    return number if math.isfinite(number) else str(number)
