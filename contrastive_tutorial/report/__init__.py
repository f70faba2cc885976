"""Reports: the book's style, figures and tables of records, and the written report.

Enters: records.
Leaves: Matplotlib figures with alternative text, data frames, one Markdown file for each preset.
Never: computes a metric, or shows a number that no record holds.
"""

from contrastive_tutorial.errors import require_extra

require_extra("notebook", "matplotlib", "seaborn", "pandas")

from contrastive_tutorial.report.figures import class_names
from contrastive_tutorial.report.glyphs import GLYPHS, glyph
from contrastive_tutorial.report.rows import Rows
from contrastive_tutorial.report.study_figures import (
    LEAK_KINDS,
    LEAK_PANELS,
    LEAK_SIZES,
    along_training,
    by_subsets,
    differences_along,
    differences_by_subsets,
    forest,
    leak,
    statistics_dots,
)
from contrastive_tutorial.report.style import INK, MARKERS, PALETTE
from contrastive_tutorial.report.tables import cell_table, page_table
from contrastive_tutorial.report.written import write_report

__all__ = [
    "GLYPHS",
    "INK",
    "LEAK_KINDS",
    "LEAK_PANELS",
    "LEAK_SIZES",
    "MARKERS",
    "PALETTE",
    "Rows",
    "along_training",
    "by_subsets",
    "cell_table",
    "class_names",
    "differences_along",
    "differences_by_subsets",
    "forest",
    "glyph",
    "leak",
    "page_table",
    "statistics_dots",
    "write_report",
]
