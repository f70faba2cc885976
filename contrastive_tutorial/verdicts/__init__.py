"""Verdicts: registered claims and hypotheses, and the rules that decide them from records.

Enters: records, and the registry that was fixed before them (YAML files in this folder).
Leaves: *supported*, *contradicted* or *undecided* for each statement, with its numbers.
Never: types a verdict, pools presets or data sets, or decides from too few seeds.
"""

from contrastive_tutorial.errors import require_extra

require_extra("study", "scipy", "yaml")

from contrastive_tutorial.verdicts.claims import VERDICTS, load_claims
from contrastive_tutorial.verdicts.contrasts import (
    EFFECTS,
    Effect,
    Measured,
    effects_of,
    measure,
    seeds_for,
)
from contrastive_tutorial.verdicts.decisions import (
    Contrast,
    PartVerdict,
    PrimaryResult,
    Verdict,
    contrast,
    decide,
    gate,
    primary_results,
)
from contrastive_tutorial.verdicts.hypotheses import (
    STUDIES,
    Condition,
    Hypothesis,
    Part,
    load_hypotheses,
)
from contrastive_tutorial.verdicts.listed import studies_of, verdict_lines
from contrastive_tutorial.verdicts.pairing import by_seed

__all__ = [
    "EFFECTS",
    "STUDIES",
    "VERDICTS",
    "Condition",
    "Contrast",
    "Effect",
    "Hypothesis",
    "Measured",
    "Part",
    "PartVerdict",
    "PrimaryResult",
    "Verdict",
    "by_seed",
    "contrast",
    "decide",
    "effects_of",
    "gate",
    "load_claims",
    "load_hypotheses",
    "measure",
    "primary_results",
    "seeds_for",
    "studies_of",
    "verdict_lines",
]
