"""The rows of the field guide: run them, keep what came out, and show them in the page.

A row is a function that runs a library and returns what it saw (`row.py`); the rows stand in a
module for each table. What they saw once is in `recorded.json`, with versions, so that the page
can show a row whose library is not installed. From the folder `book`:

    python -m guide [NAME ...]            run every row, or some, and say which no longer hold
    python -m guide [NAME ...] --record   keep what they saw
"""

from . import norms, losses, clustering, images, machinery  # noqa: I001 - the order of the page
from .page import controls, table
from .row import ROWS, Row
from .run import Outcome, observe, outcome, recorded

TABLES = {
    module.TABLE: (module.__doc__ or "").strip()
    for module in (norms, losses, clustering, images, machinery)
}

__all__ = [
    "ROWS",
    "TABLES",
    "Outcome",
    "Row",
    "controls",
    "observe",
    "outcome",
    "recorded",
    "table",
]
