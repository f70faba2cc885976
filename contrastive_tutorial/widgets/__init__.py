"""Widgets: pieces of the book that a reader moves, with a kernel and without one.

Enters: functions with choices, records, answers to exercises.
Leaves: ipywidgets where a kernel runs; self-contained HTML for the static page, the saved file and
every other front end.
Never: asks another host for anything, or turns text of a record into markup.
"""

from contrastive_tutorial.errors import require_extra

require_extra("notebook", "matplotlib", "ipywidgets")

from contrastive_tutorial.widgets.batch import BatchBuilder
from contrastive_tutorial.widgets.board import Board
from contrastive_tutorial.widgets.exercises import check_choice, check_function, check_number
from contrastive_tutorial.widgets.explorer import EmbeddingExplorer
from contrastive_tutorial.widgets.fields import settle
from contrastive_tutorial.widgets.fragment import save_module
from contrastive_tutorial.widgets.interaction import interact
from contrastive_tutorial.widgets.lab import Lab
from contrastive_tutorial.widgets.live import Formula
from contrastive_tutorial.widgets.player import Player
from contrastive_tutorial.widgets.sandbox import Sandbox

__all__ = [
    "BatchBuilder",
    "Board",
    "EmbeddingExplorer",
    "Formula",
    "Lab",
    "Player",
    "Sandbox",
    "check_choice",
    "check_function",
    "check_number",
    "interact",
    "save_module",
    "settle",
]
