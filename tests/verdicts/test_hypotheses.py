import copy
import json
from pathlib import Path

import pytest
import yaml

from contrastive_tutorial import verdicts
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records.intervals import BCA_FROM, seeds_needed
from contrastive_tutorial.study.cells import CELLS
from contrastive_tutorial.verdicts.hypotheses import STUDIES, load_hypotheses
from contrastive_tutorial.verdicts.rules import cells_of

REGISTERED = Path(verdicts.__file__).with_name("hypotheses.yml")
CONTENT = yaml.safe_load(REGISTERED.read_text())


@pytest.fixture(scope="module")
def registry():
    return load_hypotheses(REGISTERED)


def test_sixteen_hypotheses_and_the_articles_own_claims_are_registered(registry):
    assert [h.id for h in registry.hypotheses] == [f"H{i}" for i in range(1, 17)]
    assert [h.id for h in registry.article] == ["A1", "A2", "A3"]
    assert len(registry) == 19
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


def test_no_part_can_be_supported_and_contradicted_at_once(registry):
    """The two regions of a bound must not overlap, or the order of evaluation would decide."""
    for part in (part for h in registry for part in h.parts):
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
    assert found.title == STUDIES["amendment-a"]
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


def test_a_name_that_is_no_study_is_a_path():
    with pytest.raises(InputError, match="amendment-b: cannot be read"):
        load_hypotheses("amendment-b")


def broken(path, change):
    content = copy.deepcopy(CONTENT)
    change(content)
    path.write_text(json.dumps(content, default=str))  # which is YAML
    return path


def part_of(content, name="H2"):
    return next(h for h in content["hypotheses"] if h["id"] == name)["parts"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema_version=9), "schema_version: expected 1, got 9"),
        (lambda c: c.pop("scope"), "key 'scope' is missing"),
        (lambda c: c["hypotheses"][1].pop("statement"), "key 'statement' is missing"),
        (lambda c: c["hypotheses"][1].update(parts=[]), "H2: parts: expected at least one"),
        (lambda c: c["hypotheses"][1].update(family="main"), "H2: family: expected primary"),
        (lambda c: c["hypotheses"][1].update(id="H1"), "H1: registered twice"),
        (lambda c: part_of(c).pop("contrast"), "H2: .*key 'contrast' is missing"),
        (lambda c: part_of(c).update(kind="hunch"), "kind: expected one of .* got 'hunch'"),
        (lambda c: part_of(c).update(metrik="nmi"), "unknown key 'metrik'"),
        (lambda c: part_of(c)["supported_if"].update(bound=0.1), "bound: expected .low, high."),
        (lambda c: part_of(c)["supported_if"].update(bound=[1, 0]), "bound: expected .low, high."),
        (lambda c: part_of(c)["supported_if"].pop("bound"), "key 'bound' is missing"),
        (lambda c: part_of(c)["supported_if"].update(interval="near"), "interval: expected one of"),
        (lambda c: part_of(c, "H5")["supported_if"].update(bound="x"), "bound: expected a number"),
        (lambda c: part_of(c, "H5").update(contradicted_if={"bound": 1}), "expected interval, eve"),
        (lambda c: part_of(c).update(primary="P9"), "primary: no such contrast 'P9'"),
        (lambda c: part_of(c).update(primary="P1"), "contrast differs from that of P1"),
    ],
)
def test_what_cannot_be_decided_is_refused_with_its_place(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load_hypotheses(broken(tmp_path / "hypotheses.yml", change))


def test_a_file_that_is_missing_or_no_mapping_is_refused(tmp_path, registry):
    with pytest.raises(InputError, match="cannot be read"):
        load_hypotheses(tmp_path / "none.yml")
    (tmp_path / "list.yml").write_text("- 1\n")
    with pytest.raises(InputError, match="expected a mapping, got list"):
        load_hypotheses(tmp_path / "list.yml")
    (tmp_path / "bad.yml").write_text("a: [1\n")
    with pytest.raises(InputError, match="not valid YAML"):
        load_hypotheses(tmp_path / "bad.yml")
    with pytest.raises(InputError, match="no hypothesis 'H99'"):
        registry["H99"]
