"""Progress bars for eyes only: none in a log, a test or a built page."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm.auto import tqdm

#: Set by the book's build, in which nobody sees a bar and no kernel will answer a reader.
BOOK_VARIABLE = "CONTRASTIVE_TUTORIAL_BOOK"


def in_book() -> bool:
    """Whether the book is being built: the variable is set, and not to 0, false, no or off."""
    return os.environ.get(BOOK_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")


def bar(description: str, unit: str, total: int | None = None, **options: Any) -> tqdm:
    """A ``tqdm`` bar that draws itself only on a terminal or in a live notebook."""
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(
        desc=description,
        unit=unit,
        total=total,
        disable=in_book() or not watched,
        mininterval=0.5,
        leave=False,
        **options,
    )
