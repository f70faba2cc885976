"""The study: cells, one experiment, its scores, and the runner of many runs.

Enters: names of cells and presets, images, seeds, a folder for records.
Leaves: one record for each run, written once, whole or not at all.
Never: decides a hypothesis or draws a figure.
"""

from contrastive_tutorial.errors import require_extra

require_extra("study", "sklearn", "scipy")

from contrastive_tutorial.study.cells import CELLS, DEFINITION, THREE, Cell, cell
from contrastive_tutorial.study.diagnostics import first_norm_shift
from contrastive_tutorial.study.embedding import embed_records
from contrastive_tutorial.study.experiment import Experiment
from contrastive_tutorial.study.norms import (
    CONDITIONS,
    NORMS,
    TINTS,
    Setting,
    Trial,
    classifier,
    shift,
)
from contrastive_tutorial.study.reproduction import reproduce
from contrastive_tutorial.study.request import NORM_PRESET, Request
from contrastive_tutorial.study.runner import Outcome, missing, parse_budget, plan, run, study
from contrastive_tutorial.study.scoring import features
from contrastive_tutorial.study.views import contrastive_loss, policies

__all__ = [
    "CELLS",
    "CONDITIONS",
    "DEFINITION",
    "NORMS",
    "NORM_PRESET",
    "THREE",
    "TINTS",
    "Cell",
    "Experiment",
    "Outcome",
    "Request",
    "Setting",
    "Trial",
    "cell",
    "classifier",
    "contrastive_loss",
    "embed_records",
    "features",
    "first_norm_shift",
    "missing",
    "parse_budget",
    "plan",
    "policies",
    "reproduce",
    "run",
    "shift",
    "study",
]
