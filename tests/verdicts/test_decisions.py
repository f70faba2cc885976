import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import ROOT
from recorded import make_record

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.verdicts import contrast, decide, gate, load_hypotheses, primary_results

REGISTRY = load_hypotheses()
ACC = "cluster_accuracy"


def runs(cell, values, metric=ACC, **changes):
    return [make_record(cell, seed, {metric: v}, **changes) for seed, v in enumerate(values)]


def around(center, n=8, spread=0.004):
    """``n`` different values with mean exactly ``center`` (up to rounding)."""
    return [center + spread * (i - (n - 1) / 2) / n for i in range(n)]


# -- contrast ---------------------------------------------------------------------------------


def test_contrast_is_paired_by_seed_whatever_the_order_of_records():
    records = runs("A", [0.3, 0.5, 0.4, 0.6, 0.2, 0.9]) + runs("B", [0.1, 0.2, 0.3, 0.1, 0.1, 0.2])
    found = contrast(records[::-1], "A", "B", ACC, "cpu", "cifar10-jpeg75")
    assert found.deltas == pytest.approx([0.2, 0.3, 0.1, 0.5, 0.1, 0.7])
    assert found.seeds == (0, 1, 2, 3, 4, 5)
    assert (found.n, found.mean) == (6, pytest.approx(1.9 / 6))
    assert found.p == pytest.approx(2 / 64)
    # sd of the deltas 0.240139; t(0.975, 5) = 2.570582; half width 0.2520103
    assert found.interval.low == pytest.approx(1.9 / 6 - 0.2520103, abs=1e-6)
    assert found.interval.high == pytest.approx(1.9 / 6 + 0.2520103, abs=1e-6)


values_of_six = st.lists(st.integers(0, 1000).map(lambda v: v / 1000), min_size=6, max_size=6)


@given(values_of_six, values_of_six, st.permutations(range(6)))
@settings(max_examples=40, deadline=None)
def test_contrast_is_antisymmetric_and_knows_no_order_of_seeds(a, b, order):
    records = runs("A", a) + runs("B", b)
    forth, back = contrast(records, "A", "B", ACC), contrast(records, "B", "A", ACC)
    assert back.deltas == tuple(-delta for delta in forth.deltas)
    assert (back.mean, back.p) == (-forth.mean, forth.p)
    assert back.interval.low == pytest.approx(-forth.interval.high, abs=1e-15)
    shuffled = runs("A", [a[i] for i in order]) + runs("B", [b[i] for i in order])
    after = contrast(shuffled, "A", "B", ACC)
    assert (after.mean, after.interval, after.p) == (forth.mean, forth.interval, forth.p)


def test_contrast_refuses_too_few_seeds_and_says_how_many_it_takes():
    records = runs("A", [0.1] * 5) + runs("B", [0.2] * 5)
    with pytest.raises(InputError, match=r"too few seeds: 5 paired, 6 needed.*p = 0\.0625 at best"):
        contrast(records, "A", "B", ACC)
    assert contrast(records, "A", "B", ACC, min_seeds=3).p == pytest.approx(2 / 32)
    with pytest.raises(InputError, match="B: no run is recorded"):
        contrast(records[:5], "A", "B", ACC)


def test_contrast_takes_the_first_seeds_of_both_and_refuses_what_cannot_be_compared():
    """``test_pairing`` has every way in which records may differ."""
    records = runs("A", [0.1 * i for i in range(8)]) + runs("B", [0.2] * 7)
    assert contrast(records, "A", "B", ACC).seeds == tuple(range(7))
    with pytest.raises(InputError, match="not paired: A and B differ at seed 2"):
        contrast([r for r in records if (r.cell, r.seed) != ("B", 2)], "A", "B", ACC)
    with pytest.raises(InputError, match="mix data_hash: a, other"):
        contrast(records[:8] + runs("B", [0.2] * 7, data_hash="other"), "A", "B", ACC)
    with pytest.raises(InputError, match=r"B-K10-s6: metrics has no 'cluster_accuracy'"):
        contrast([*records[:-1], make_record("B", 6, {"nmi": 0.1})], "A", "B", ACC)


def test_contrast_reads_other_evaluation_statistics():
    records = [
        make_record(cell, seed, evaluations={"reestimated": {ACC: level}})
        for (cell, level), seed in itertools.product([("A", 0.5), ("B", 0.25)], range(6))
    ]
    assert contrast(records, "A", "B", ACC, how="reestimated").mean == 0.25


# -- the primary family -----------------------------------------------------------------------


def primary_runs(n=8, **level):
    level = {"S-P1": 0.3, "B0": 0.3, "M-P1": 0.3, "W-bn": 0.3, "M-bn": 0.3, "B2": 0.3} | level
    noise = {cell: (-1) ** i * 0.001 * (i + 1) for i, cell in enumerate(level)}
    return [
        make_record(cell, seed, {ACC: value + noise[cell] * (-1) ** seed * (seed + 1) / 8})
        for cell, value in level.items()
        for seed in range(n)
    ]


def test_primary_p_values_are_holm_adjusted_over_exactly_four():
    found = primary_results(REGISTRY.rules, primary_runs(8, **{"S-P1": 0.4}))
    assert set(found) == {"P1", "P2", "P3", "P4"}
    # two contrasts in which all eight seeds agree: p = 1/128 each, times 4 (running maximum)
    assert found["P1"].p_adjusted == found["P3"].p_adjusted == pytest.approx(4 / 128)
    assert found["P2"].p_adjusted > 0.05


def test_contrasts_not_recorded_yet_do_not_weaken_the_correction():
    records = [r for r in primary_runs(8, **{"S-P1": 0.4}) if r.cell in ("S-P1", "B0")]
    found = primary_results(REGISTRY.rules, records)
    assert found["P1"].p_adjusted == pytest.approx(4 / 128)
    assert found["P2"].contrast is None
    assert found["P2"].p_adjusted == 1
    assert "M-P1: no run is recorded" in found["P2"].reason


def test_seven_seeds_cannot_decide_the_primary_family():
    found = primary_results(REGISTRY.rules, primary_runs(7, **{"S-P1": 0.9}))
    assert all(result.contrast is None for result in found.values())
    assert "too few seeds: 7 paired, 8 needed" in found["P1"].reason


# -- decide -----------------------------------------------------------------------------------


def test_without_records_everything_is_undecided_with_a_reason():
    for hypothesis in REGISTRY:
        verdict = decide(hypothesis, [])
        assert verdict.outcome == "undecided"
        assert "needed" in verdict.reason or "no run is recorded" in verdict.reason
        assert all(part.mean is None for part in verdict.parts)


@pytest.mark.parametrize(
    ("split", "outcome"), [(0.40, "supported"), (0.20, "contradicted"), (0.30, "undecided")]
)
def test_a_primary_claim_follows_the_sign_of_its_contrast(split, outcome):
    verdict = decide(REGISTRY["A3"], primary_runs(8, **{"S-P1": split}))
    assert verdict.outcome == outcome
    assert verdict.parts[0].p_adjusted is not None
    assert "Holm-adjusted p" in verdict.reason
    assert "n = 8" in verdict.reason


def test_a_primary_interval_without_holm_significance_is_undecided():
    # Seven seeds agree and one dissents a little: the t interval excludes 0, but the exact test
    # reaches p = 4/256 = 0.0156 and Holm makes 0.0625 of it.
    records = runs("W-bn", [0.3] * 8) + runs("S-P1", [0.4] * 7 + [0.2999], evaluation="branch:0")
    (part,) = decide(REGISTRY["A3"], records).parts
    assert part.interval.low > 0
    assert part.p_adjusted == pytest.approx(0.0625)
    assert part.outcome == "undecided"


@pytest.mark.parametrize(
    ("ghost", "outcome"),
    [(0.301, "supported"), (0.350, "contradicted"), (0.250, "contradicted"), (0.320, "undecided")],
)
def test_equivalence_h2(ghost, outcome):
    def both(cell, acc):
        return [make_record(cell, s, {ACC: v, "knn200": 0.4 + v / 100}) for s, v in enumerate(acc)]

    records = both("B0", [0.3, 0.3, 0.3]) + both("ghost-shuffle-50", around(ghost, 3))
    assert decide(REGISTRY["H2"], records).outcome == outcome


def test_one_contradicted_part_contradicts_the_conjunction():
    metrics = {"policy_probe_z": 0.9, "policy_probe_h": 0.9}
    records = [
        make_record("B2", s, {k: v - s / 1000 for k, v in metrics.items()}) for s in range(3)
    ]
    verdict = decide(REGISTRY["H5"], records)
    assert [part.outcome for part in verdict.parts] == ["contradicted", "supported", "contradicted"]
    assert verdict.outcome == "contradicted"
    assert "z is near chance" in verdict.reason
    assert "h keeps the policy" not in verdict.reason


EIGHT = runs("B0", around(0.3, 8), "knn200")


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (EIGHT[:2], "too few seeds: 2 paired, 3 needed"),
        ([EIGHT[0], *EIGHT[2:]], "not paired"),
        ([*EIGHT[:2], make_record("B0", 2, {"nmi": 0.1})], "B0-K10-s2: metrics has no 'knn200'"),
    ],
    ids=["too few", "a hole", "an older record"],
)
def test_seeds_are_cut_to_the_shared_first_ones_and_what_is_missing_decides_nothing(control, words):
    three = runs("GN", around(0.3, 3), "knn200")
    assert decide(REGISTRY["H13"], three + EIGHT).parts[0].seeds == (0, 1, 2)
    part = decide(REGISTRY["H13"], three + control).parts[0]
    assert part.outcome == "undecided"
    assert words in part.reason


def test_mixed_or_duplicate_records_raise_instead_of_giving_a_verdict():
    records = runs("GN", [0.3] * 3, "knn200") + runs("B0", [0.3] * 3, "knn200", data_hash="b")
    with pytest.raises(InputError, match="mix data_hash"):
        decide(REGISTRY["H13"], records)
    with pytest.raises(InputError, match="two records of one seed"):
        decide(REGISTRY["H13"], records[:3] * 2)


def test_headline_metrics_under_statistics_that_were_not_registered_are_refused():
    records = runs("M-P1", [0.3] * 8) + runs("B0", [0.3] * 8)
    changed = [
        r if r.cell == "B0" else make_record("M-P1", r.seed, r.metrics, evaluation="mean")
        for r in records
    ]
    with pytest.raises(InputError, match="recorded under 'mean', but 'branch:0' was registered"):
        decide(REGISTRY["A2"], changed)


def test_another_preset_gives_the_verdict_of_a_replication():
    records = primary_runs(8, **{"S-P1": 0.4})
    assert decide(REGISTRY["A3"], records, preset="resnet").outcome == "undecided"
    replicated = runs("W-bn", around(0.6), preset="resnet")
    replicated += runs("S-P1", around(0.5, spread=0.002), preset="resnet")
    verdict = decide(REGISTRY["A3"], records + replicated, preset="resnet")
    assert (verdict.outcome, verdict.preset) == ("contradicted", "resnet")


def test_raw_pixels_need_no_pairing():
    records = runs("raw-pixels", [0.25], "knn200", evaluation="none")
    records += [
        make_record("B1", s, {"knn200": v, ACC: 0.15}) for s, v in enumerate(around(0.35, 6))
    ]
    part = decide(REGISTRY["H11"], records).parts[2]
    assert part.outcome == "supported"
    assert part.mean == pytest.approx(0.1)
    assert decide(REGISTRY["H11"], records).parts[0].outcome == "undecided"


@pytest.mark.parametrize("study", ["hypotheses", "amendment-a"])
def test_every_part_of_a_complete_study_is_left_with_numbers(study):
    registry = load_hypotheses(study)
    rules = registry.rules
    records = load_records(
        ROOT / "results", data=rules.data, preset=rules.preset, num_subsets=rules.num_subsets
    )
    for hypothesis in registry:
        for part in decide(hypothesis, records).parts:
            assert part.interval is not None, (hypothesis.id, part.name, part.reason)


@pytest.mark.parametrize(
    ("study", "name", "decisive"), [("amendment-c", "HD1", (0, 3)), ("amendment-d", "HE1", (3, 8))]
)
def test_seeds_that_a_study_does_not_ask_for_change_no_verdict(study, name, decisive):
    """Amendment D asks the question of amendment C again, of fresh seeds alone."""
    registry = load_hypotheses(study)
    kept = {"preset": registry.rules.preset, "num_subsets": 20, "evaluation": "reestimated"}
    records = []
    for seed in range(10):
        own = 0.001 * (seed % 3) if seed in range(*decisive) else -0.3
        for cell, value in (("same-bn-cross", 0.5), ("same-split-within", 0.5 + own)):
            records.append(make_record(cell, seed, {"knn10": value}, **kept))
    (part,) = decide(registry[name], records, data=records[0].data).parts
    assert len(part.values) == decisive[1] - decisive[0]
    assert part.outcome == "supported"


def test_fresh_seeds_leave_the_primary_family_and_the_gate_of_the_second_study_alone():
    rules = load_hypotheses("second-study").rules
    records = load_records(
        ROOT / "results", data=rules.data, preset=rules.preset, num_subsets=rules.num_subsets
    )
    old = [record for record in records if record.seed in range(8)]
    fresh = [
        replace(record, seed=record.seed + 8, metrics={**record.metrics, "knn10": 0.9})
        for record in old
        if record.cell in ("equal-split-cross", "equal-dsbn-cross", "same-bn-cross", "untrained")
    ]
    for record in fresh:  # so that the pairs differ too
        record.metrics["knn10"] += 0.01 * (record.cell == "equal-dsbn-cross")
    registry = load_hypotheses("second-study")
    assert all(decide(one, old + fresh) == decide(one, old) for one in registry)
    assert primary_results(rules, old + fresh) == primary_results(rules, old)
    assert gate(rules, old + fresh) == gate(rules, old)
