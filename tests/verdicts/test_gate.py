"""A study with a gate decides nothing before its encoders have learned something."""

import dataclasses

import pytest
from recorded import make_record

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.verdicts import decide, gate, load_hypotheses, primary_results
from contrastive_tutorial.verdicts.rules import FUNCTIONS

SECOND = load_hypotheses("second-study")
PRESET = SECOND.rules.preset
LEVELS = {"raw-pixels": 0.30, "pca": 0.40, "untrained": 0.35}
FAMILY = {cell for pair in SECOND.rules.primary.values() for cell in pair}


def recorded(levels):
    """Runs of each cell around its level, with a spread that every seed shares."""
    records = []
    for cell, level in levels.items():
        how = "none" if cell in ("raw-pixels", "pca") else "reestimated"
        for seed in range(1 if how == "none" else 8):
            found = dict.fromkeys(("knn10", "linear_probe"), level + 0.001 * seed)
            records.append(make_record(cell, seed, found, preset=PRESET, evaluation=how))
    return records


def study(baseline=0.50, **others):
    return LEVELS | dict.fromkeys(FAMILY, baseline) | {"same-bn-cross": baseline} | others


def test_the_gate_opens_where_the_baseline_is_five_points_above_everything_untrained():
    assert gate(SECOND.rules, recorded(study(0.46))).outcome == "supported"


@pytest.mark.parametrize(
    ("levels", "named"),
    [(study(0.44), "pca"), (study(0.50, **{"ten-dsbn-cross": 0.34}), "ten-dsbn-cross")],
)
def test_a_gate_that_fails_says_where(levels, named):
    found = gate(SECOND.rules, recorded(levels))
    assert found.outcome == "contradicted"
    (failed,) = {part for part in found.reason.split("; ") if "too little" in part and named in part
                 and "linear_probe" in part}  # fmt: skip
    assert failed


def test_behind_a_closed_gate_nothing_is_decided_but_everything_is_shown():
    levels = study(0.44, **{"same-dsbn-cross": 0.36, "same-affine-cross": 0.36,
                            "equal-affine-cross": 0.36, "equal-bn-cross": 0.44,
                            "equal-dsbn-cross": 0.36})  # fmt: skip
    closed = decide(SECOND["HB2"], recorded(levels))
    assert closed.outcome == "undecided"
    assert "not passed" in closed.reason
    assert {part.outcome for part in closed.parts} == {"undecided"}
    assert all(part.interval is not None for part in closed.parts)
    ajar = dataclasses.replace(SECOND["HB2"], rules=dataclasses.replace(SECOND.rules, gate=None))
    assert decide(ajar, recorded(levels)).outcome == "supported"


def test_too_few_runs_leave_the_gate_open():
    records = [r for r in recorded(study(0.50)) if not (r.cell == "untrained" and r.seed > 1)]
    assert gate(SECOND.rules, records).outcome == "undecided"
    found = decide(SECOND["HB7"], records)
    assert (found.outcome, "untrained" in found.reason) == ("undecided", True)


def test_a_study_without_a_gate_says_so():
    with pytest.raises(InputError, match="none"):
        gate(load_hypotheses().rules, [])


def test_co_primary_metrics_must_both_find_a_contrast():
    """Eight seeds that all point one way give p = 2/256; one metric alone is not enough."""
    both = recorded(study(0.50, **{"same-dsbn-cross": 0.40}))
    assert primary_results(SECOND.rules, both)["CB2"].contrast.p == pytest.approx(2 / 256)
    assert primary_results(SECOND.rules, both)["CB2"].p_adjusted < 0.05
    one = [
        dataclasses.replace(r, metrics=r.metrics | {"linear_probe": 0.5 + (-1) ** r.seed * 0.01})
        if r.cell in ("same-dsbn-cross",) else r
        for r in both
    ]  # fmt: skip
    assert primary_results(SECOND.rules, one)["CB2"].p_adjusted > 0.05


def test_the_largest_difference_over_training_is_that_of_the_worst_cell_and_step():
    def curve(cell, *values):
        steps = zip((5, 30, 60, 100), values, strict=True)
        return make_record(
            cell, 0, {}, preset=PRESET, extra={f"along/knn10/{step}": v for step, v in steps}
        )

    runs = {"a": curve("a", 0.1, 0.4, 0.5, 0.5), "b": curve("b", 0.9, 0.3, 0.45, 0.4),
            "c": curve("c", 0.1, 0.38, 0.3, 0.3)}  # fmt: skip
    found = FUNCTIONS["largest_over_training"](runs, {"cells": ["a", "b", "c"]})
    assert found == pytest.approx(-0.02)
