"""Which number a registered part looks at, against numbers worked out by hand."""

import pytest
from recorded import make_record

from contrastive_tutorial.records import NotRecordedError
from contrastive_tutorial.verdicts.hypotheses import Condition, Part
from contrastive_tutorial.verdicts.rules import cells_of, holds, number

ANY = Condition("above", 0, 0)


def evaluate(kind, records, **spec):
    table = {}
    for record in records:
        table.setdefault(record.cell, {})[record.seed] = record
    return number(Part("part", kind, ANY, ANY, 2, spec=spec), table, 0)


def test_difference_pairs_cells_metrics_and_statistics():
    a = make_record("A", 0, {"x": 5.0, "y": 1.0}, evaluations={"mean": {"x": 7.0}, "e": {"x": 4.0}})
    b = make_record("B", 0, {"x": 3.0})
    c = make_record("C", 0, {"x": 6.0})
    assert evaluate("difference", [a, b], contrast=["A", "B"], metric="x") == 2
    assert evaluate("difference", [a], contrast=["A", "A"], metric=["x", "y"]) == 4
    assert evaluate("difference", [a], contrast=["A", "A"], metric="x", how=["mean", "e"]) == 3
    # (5 + 3) / 2 - 6
    assert evaluate("difference", [a, b, c], contrast=[["A", "B"], "C"], metric="x") == -2


def test_index_averages_entries_of_a_group():
    extra = {f"recall/{k}": float(k) for k in range(10)}
    record = make_record("A", 0, extra=extra)
    assert evaluate("level", [record], cell="A", metric="extra.recall", index=[2, 3, 7]) == 4


def function(name, records, **spec):
    cells = list(dict.fromkeys(record.cell for record in records))
    return evaluate("function", records, function=name, cells=cells, **spec)


def test_spread_over_statistics_and_over_protocols():
    scores = {"branch:1": 0.1, "branch:0": 0.4, "reestimated": 0.3, "pooled": 0.2, "mean": 0.5}
    evaluations = {how: {"cluster_accuracy": score} for how, score in scores.items()}
    record = make_record("S-P1", 0, evaluations=evaluations)
    assert function("statistics_spread", [record]) == pytest.approx(0.4)
    groups = {"cluster_protocols/a": 1.0, "cluster_protocols/b": 4.0, "q/c": 9.0}
    assert function("protocol_spread", [make_record("B0", 0, extra=groups)]) == 3
    with pytest.raises(NotRecordedError, match="extra has no group 'cluster_protocols/'"):
        function("protocol_spread", [make_record("B0", 0)])


def leak(lost):
    kinds = {"same": lost, "shuffle": lambda m: 0.0}
    return [
        make_record(f"ghost-{kind}-{m}", 0, {"knn200": 0.3 + of(m)})
        for kind, of in kinds.items()
        for m in (5, 10, 25, 50)
    ]


def test_the_slope_of_the_leak_is_that_of_a_line_in_one_over_m():
    assert function("leak_slope", leak(lambda m: -2.5 / m)) == pytest.approx(-2.5)
    assert function("leak_slope", leak(lambda m: 0.125)) == pytest.approx(0)


def test_photometric_policies_less_geometric_ones():
    def recalls(cell, photometric, geometric):
        values = {k: photometric if 2 <= k < 8 else geometric for k in range(2, 10)}
        extra = {f"policy_recall_z_own_branch/{k}": v for k, v in values.items()}
        return make_record(cell, 0, extra=extra)

    records = [recalls("S-P1", 0.5, 0.7), recalls("W-bn", 0.9, 0.8)]
    assert function("beyond_geometric", records) == pytest.approx(-0.2 - 0.1)


def test_rank_correlation_over_cells_is_oriented_as_the_metric_is():
    # ranks: 1 2 3 4 against 2 1 4 3; d^2 sums to 4: rho = 1 - 6*4/(4*15) = 0.6
    pairs = zip("ABCD", [1, 2, 3, 4], [2, 1, 4, 3], strict=True)
    records = [
        make_record(cell, 0, {"rankme": float(x), "alignment": float(x), "knn200": float(y)})
        for cell, x, y in pairs
    ]
    assert function("ranks_as_knn", records, metric="rankme") == pytest.approx(0.6)
    assert function("ranks_as_knn", records, metric="alignment") == pytest.approx(-0.6)
    flat = [make_record(cell, 0, {"rankme": 1.0, "knn200": 1.0}) for cell in "ABCD"]
    assert function("ranks_as_knn", flat, metric="rankme") == 0


def test_rank_correlation_over_policies_compares_falls_with_shifts():
    shift = {f"kl_bn1_per_policy/{k}": float(k) for k in range(4)}
    before = {f"policy_recall_z_own_branch/{k}": 0.9 for k in range(4)}
    falls = enumerate([0.2, 0.1, 0.4, 0.3])
    after = {f"policy_recall_z_own_branch/{k}": 0.9 - fall for k, fall in falls}
    records = [make_record("W-bn", 0, extra=shift | before), make_record("S-P1", 0, extra=after)]
    assert function("fall_follows_shift", records) == pytest.approx(0.6)
    records[0] = make_record("W-bn", 0, extra=before)
    with pytest.raises(NotRecordedError, match="no group 'kl_bn1_per_policy/'"):
        function("fall_follows_shift", records)


def test_cells_of_names_each_cell_once():
    assert cells_of({"contrast": [["A", "B"], ["A", "C"]]}) == ("A", "B", "C")
    assert cells_of({"cells": ["A", "B"]}) == ("A", "B")
    assert cells_of({"cell": "A"}) == ("A",)


@pytest.mark.parametrize(
    ("relation", "low", "high", "expected"),
    [  # the 95% interval of 1, 2, 3 is -0.484 to 4.484; the 90% one 0.314 to 3.686
        ("above", -0.5, -0.5, True), ("above", -0.4, -0.4, False), ("below", 4.5, 4.5, True),
        ("below", 4.4, 4.4, False), ("inside", -0.5, 4.5, True), ("inside", -0.4, 4.5, False),
        ("outside", 4.5, 9, True), ("outside", -9, -0.5, True), ("outside", 4.4, 9, False),
        ("every at_least", 1, 1, True), ("every at_least", 1.1, 1.1, False),
        ("some below", 1.1, 1.1, True), ("some below", 1, 1, False),
    ],
)  # fmt: skip
def test_conditions_ask_the_whole_interval_or_single_values(relation, low, high, expected):
    assert holds(Condition(relation, low, high), [1.0, 2.0, 3.0]) is expected


def test_confidence_narrows_the_interval():
    assert holds(Condition("above", 0.3, 0.3, confidence=0.9), [1.0, 2.0, 3.0])
    assert not holds(Condition("above", 0.3, 0.3), [1.0, 2.0, 3.0])
