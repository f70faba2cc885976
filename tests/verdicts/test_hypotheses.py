from pathlib import Path

import pytest
import yaml

from contrastive_tutorial import verdicts
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records.intervals import BCA_FROM, seeds_needed
from contrastive_tutorial.study.cells import CELLS
from contrastive_tutorial.verdicts.hypotheses import STUDIES, load_hypotheses
from contrastive_tutorial.verdicts.rules import FUNCTIONS, cells_of

REGISTERED = Path(verdicts.__file__).with_name("hypotheses.yml")
CONTENT = yaml.safe_load(REGISTERED.read_text())


@pytest.fixture(scope="module")
def registry():
    return load_hypotheses()


def test_sixteen_hypotheses_and_the_articles_own_claims_are_registered(registry):
    assert [h.id for h in registry] == [f"H{i}" for i in range(1, 17)] + ["A1", "A2", "A3"]
    assert registry["H12"].title


def test_the_primary_family_is_the_four_contrasts_of_the_design(registry):
    assert dict(registry.rules.primary) == {
        "P1": ("S-P1", "B0"),
        "P2": ("M-P1", "B0"),
        "P3": ("S-P1", "W-bn"),
        "P4": ("M-bn", "B2"),
    }
    assert registry.rules.primary_metrics == ("cluster_accuracy",)
    assert registry.rules.primary_min_seeds == seeds_needed(comparisons=4)


def test_the_file_says_what_the_code_does(registry):
    assert CONTENT["statistics"]["bca_from_seeds"] == BCA_FROM
    assert CONTENT["statistics"]["alpha"] == CONTENT["primary_family"]["alpha"] == 0.05
    assert registry.rules.alpha == 0.05


def test_every_registered_cell_and_headline_statistics_are_the_engines(registry):
    named = {cell for h in registry for part in h.parts for cell in cells_of(part.spec)}
    # A cell that the engine does not know has to be described, so that it can be added.
    assert named - set(CELLS) <= set(CONTENT["needs"]["cells"])
    for name, how in registry.rules.headline.items():
        if name not in CELLS:
            continue
        if CELLS[name].reference in ("raw-pixels", "pca"):
            assert how == "none"
        else:
            assert how == CELLS[name].headline_statistics, name
    assert named <= set(registry.rules.headline)


@pytest.mark.parametrize("study", STUDIES)
def test_no_part_can_be_supported_and_contradicted_at_once(study):
    """The two regions of a bound must not overlap, or the order of evaluation would decide."""
    for part in (part for h in load_hypotheses(study) for part in h.parts):
        yes, no = part.supported_if, part.contradicted_if
        pairs = {
            ("above", "below"): no.high <= yes.low,
            ("below", "above"): yes.high <= no.low,
            ("inside", "outside"): no.low <= yes.low and yes.high <= no.high,
            ("every at_least", "some below"): yes.low == no.low,
        }
        assert pairs[yes.relation, no.relation], part.name


def test_amendment_a_is_a_study_of_its_own():
    found = load_hypotheses("amendment-a")
    assert [h.id for h in found] == [f"HA{i}" for i in range(1, 7)]
    assert found.rules.primary_metrics == ("knn10",)
    assert found.rules.primary_min_seeds == seeds_needed(comparisons=len(found.rules.primary))
    named = {cell for h in found for part in h.parts for cell in cells_of(part.spec)}
    assert named <= set(found.rules.headline)
    for name in named & set(CELLS):
        assert found.rules.headline[name] == CELLS[name].headline_statistics, name


def test_the_second_study_is_registered_whole():
    found = load_hypotheses("second-study")
    assert found.rules.primary_min_seeds == seeds_needed(comparisons=len(found.rules.primary))
    named = {cell for h in found for part in h.parts for cell in cells_of(part.spec)}
    named |= {found.rules.gate.baseline, *found.rules.gate.above}
    named |= {cell for pair in found.rules.primary.values() for cell in pair}
    assert named <= set(CELLS)
    assert named - {"raw-pixels", "pca"} <= set(found.rules.headline)
    assert set(found.rules.headline.values()) == {"reestimated"}
    for part in (part for h in found for part in h.parts):
        assert not (part.primary and part.supported_if.relation == "inside"), part.name


#: What a part of each kind needs, and the relations to one bound and to two.
NEEDS = {"difference": {"contrast", "metric"}, "level": {"cell", "metric"},
         "function": {"function", "cells"}}  # fmt: skip
KEYS = {"name", "kind", "cell", "cells", "contrast", "metric", "how", "index", "function",
        "min_seeds", "primary", "supported_if", "contradicted_if"}  # fmt: skip
ONE, TWO = {"above", "below", "every at_least", "some below"}, {"inside", "outside"}


@pytest.mark.parametrize("study", STUDIES)
def test_every_part_of_a_registered_file_can_be_decided(study):
    found = load_hypotheses(study)
    ids = [hypothesis.id for hypothesis in found]
    assert len(set(ids)) == len(ids)
    for hypothesis in found:
        assert hypothesis.parts, hypothesis.id
        for part in hypothesis.parts:
            where = f"{hypothesis.id}: {part.name}"
            assert NEEDS[part.kind] <= set(part.spec) <= KEYS, where
            assert part.kind != "function" or part.spec["function"] in FUNCTIONS, where
            for condition in (part.supported_if, part.contradicted_if):
                assert condition.relation in ONE | TWO, where
                assert (condition.low < condition.high) == (condition.relation in TWO), where
            if part.primary:
                assert tuple(part.spec["contrast"]) == found.rules.primary[part.primary], where
                assert part.spec["metric"] in found.rules.primary_metrics, where


def test_a_study_or_hypothesis_that_is_not_registered_is_refused(registry):
    with pytest.raises(InputError, match="unknown study 'amendment-b'"):
        load_hypotheses("amendment-b")
    with pytest.raises(InputError, match="no hypothesis 'H99'"):
        registry["H99"]
