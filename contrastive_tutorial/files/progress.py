"""Progress bars for eyes only: none in a log, a test or a built page."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm.auto import tqdm


def bar(description: str, unit: str, total: int | None = None, **options: Any) -> tqdm:
    """A ``tqdm`` bar that draws itself only on a terminal or in a live notebook."""
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    built = os.environ.get("CONTRASTIVE_TUTORIAL_BOOK") == "1"
    return tqdm(
        desc=description,
        unit=unit,
        total=total,
        disable=built or not watched,
        mininterval=0.5,
        leave=False,
        **options,
    )
