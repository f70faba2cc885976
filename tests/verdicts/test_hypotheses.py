from pathlib import Path

import pytest
import yaml

from contrastive_tutorial import verdicts
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records.intervals import BCA_FROM, seeds_needed
from contrastive_tutorial.study.cells import CELLS
from contrastive_tutorial.train import preset
from contrastive_tutorial.verdicts.hypotheses import STUDIES, load_hypotheses
from contrastive_tutorial.verdicts.rules import FUNCTIONS, cells_of

REGISTERED = Path(verdicts.__file__).with_name("hypotheses.yml")
CONTENT = yaml.safe_load(REGISTERED.read_text())


@pytest.fixture(scope="module")
def registry():
    return load_hypotheses()


def test_sixteen_hypotheses_and_the_articles_own_claims_are_registered(registry):
    assert [h.id for h in registry] == [f"H{i}" for i in range(1, 17)] + ["A1", "A2", "A3"]
    amended = load_hypotheses("amendment-a")
    assert [h.id for h in amended] == [f"HA{i}" for i in range(1, 7)]
    assert amended.rules.primary_metrics == ("knn10",)
    assert registry["H12"].title


def test_the_primary_family_is_the_four_contrasts_of_the_design(registry):
    assert dict(registry.rules.primary) == {
        "P1": ("S-P1", "B0"),
        "P2": ("M-P1", "B0"),
        "P3": ("S-P1", "W-bn"),
        "P4": ("M-bn", "B2"),
    }
    assert registry.rules.primary_metrics == ("cluster_accuracy",)


def test_the_file_says_what_the_code_does(registry):
    assert CONTENT["statistics"]["bca_from_seeds"] == BCA_FROM
    assert CONTENT["statistics"]["alpha"] == CONTENT["primary_family"]["alpha"] == 0.05
    assert registry.rules.alpha == 0.05


@pytest.mark.parametrize("study", STUDIES)
def test_cells_headline_statistics_and_numbers_of_seeds_are_the_engines(study):
    found = load_hypotheses(study)
    rules = found.rules
    if rules.primary:
        assert rules.primary_min_seeds == seeds_needed(comparisons=len(rules.primary))
    named = {cell for h in found for part in h.parts for cell in cells_of(part.spec)}
    named |= {cell for pair in rules.primary.values() for cell in pair}
    if rules.gate is not None:
        named |= {rules.gate.baseline, *rules.gate.above}
    # A cell that the engine does not know has to be described, so that it can be added.
    assert named - set(CELLS) <= set(CONTENT["needs"]["cells"])
    assert named - {"raw-pixels", "pca"} <= set(rules.headline)
    for name in set(rules.headline) & set(CELLS):
        fixed = CELLS[name].reference in ("raw-pixels", "pca")
        own = "none" if fixed else CELLS[name].headline_statistics
        assert rules.headline[name] == (preset(rules.preset).headline or own), name


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
                assert study != "second-study" or part.supported_if.relation != "inside", where


def test_a_study_or_hypothesis_that_is_not_registered_is_refused(registry):
    with pytest.raises(InputError, match="unknown study 'amendment-z'"):
        load_hypotheses("amendment-z")
    with pytest.raises(InputError, match="no hypothesis 'H99'"):
        registry["H99"]
