"""Which number a registered part looks at, against numbers worked out by hand."""

import pytest
from recorded import make_record

from contrastive_tutorial.verdicts.hypotheses import Condition, Part
from contrastive_tutorial.verdicts.pairing import NotRecordedError
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


def test_a_constant_right_side_averages_its_records():
    records = [make_record("A", 0, {"x": 1.0}), make_record("R", 4, {"x": 0.2})]
    records.append(make_record("R", 5, {"x": 0.4}))
    found = evaluate("difference", records, contrast=["A", "R"], metric="x", right_is_constant=True)
    assert found == pytest.approx(0.7)


def test_index_averages_entries_of_a_group():
    extra = {f"recall/{k}": float(k) for k in range(10)}
    record = make_record("A", 0, extra=extra)
    assert evaluate("level", [record], cell="A", metric="extra.recall", index=[2, 3, 7]) == 4
    found = evaluate(
        "level", [record], cell="A", metric="extra.recall", index=[2, 3, 7], minus_index=[8, 9]
    )
    assert found == -4.5


def test_spread_over_statistics_and_over_a_group():
    record = make_record(
        "A", 0, evaluations={"mean": {"x": 0.5}, "branch:1": {"x": 0.1}, "branch:0": {"x": 0.4}},
        extra={"p/a": 1.0, "p/b": 4.0, "q/c": 9.0},
    )  # fmt: skip
    spec = {"cell": "A", "metric": "x", "how": ["mean", "worst-branch"]}
    assert evaluate("spread", [record], **spec) == pytest.approx(0.4)
    assert evaluate("spread", [record], cell="A", metric="extra.p") == 3
    with pytest.raises(NotRecordedError, match="extra has no group 'q/'"):
        evaluate("spread", [record], cell="A", metric="extra.q")


def test_slope_recovers_a_line_in_one_over_m():
    sizes, left, right = [5, 10, 25, 50], [], []
    records = []
    for m in sizes:
        left.append(f"L{m}")
        right.append(f"R{m}")
        records += [
            make_record(left[-1], 0, {"x": 0.3 - 2.5 / m}),
            make_record(right[-1], 0, {"x": 0.1}),
        ]
    found = evaluate("slope", records, contrast=[left, right], metric="x", group_size=sizes)
    assert found == pytest.approx(-2.5)


def test_slope_of_differences_that_are_all_alike_is_zero():
    records = [make_record(name, 0, {"x": 0.25}) for name in ("a5", "a50", "b5", "b50")]
    spec = {"contrast": [["a5", "a50"], ["b5", "b50"]], "metric": "x", "group_size": [5, 50]}
    assert evaluate("slope", records, **spec) == 0


def test_rank_correlation_over_cells_is_oriented():
    cells = ["A", "B", "C", "D"]
    # ranks of x: 1 2 3 4; of y: 2 1 4 3; d^2 sums to 4: rho = 1 - 6*4/(4*15) = 0.6
    pairs = zip(cells, [1, 2, 3, 4], [2, 1, 4, 3], strict=True)
    records = [make_record(cell, 0, {"x": float(x), "y": float(y)}) for cell, x, y in pairs]
    spec = {"over": "cells", "cells": cells, "metric": "x", "against": {"metric": "y"}}
    assert evaluate("rank_correlation", records, **spec) == pytest.approx(0.6)
    assert evaluate("rank_correlation", records, orientation=-1, **spec) == pytest.approx(-0.6)
    flat = [make_record(cell, 0, {"x": 1.0, "y": 1.0}) for cell in cells]
    assert evaluate("rank_correlation", flat, **spec) == 0


def test_rank_correlation_over_policies_compares_falls_with_shifts():
    shift = {f"kl/{k}": float(k) for k in range(4)}
    before = {f"recall/{k}": 0.9 for k in range(4)}
    after = {f"recall/{k}": 0.9 - fall for k, fall in enumerate([0.2, 0.1, 0.4, 0.3])}
    records = [make_record("W", 0, extra=shift | before), make_record("S", 0, extra=after)]
    spec = {
        "over": "policies", "contrast": ["W", "S"], "metric": "extra.recall",
        "against": {"cell": "W", "metric": "extra.kl"},
    }  # fmt: skip
    assert evaluate("rank_correlation", records, **spec) == pytest.approx(0.6)
    spec["against"] = {"cell": "W", "metric": "extra.shift"}
    with pytest.raises(NotRecordedError, match="no group 'shift/'"):
        evaluate("rank_correlation", records, **spec)


def test_cells_of_names_each_cell_once():
    assert cells_of({"contrast": [["A", "B"], ["A", "C"]]}) == ("A", "B", "C")
    assert cells_of({"cells": ["A", "B"]}) == ("A", "B")
    assert cells_of({"cell": "A"}) == ("A",)


@pytest.mark.parametrize(
    ("relation", "low", "high", "expected"),
    [
        # the 95% interval of 1, 2, 3 is -0.484 to 4.484; the 90% one 0.314 to 3.686
        ("above", -0.5, -0.5, True),
        ("above", -0.4, -0.4, False),
        ("below", 4.5, 4.5, True),
        ("below", 4.4, 4.4, False),
        ("inside", -0.5, 4.5, True),
        ("inside", -0.4, 4.5, False),
        ("outside", 4.5, 9, True),
        ("outside", -9, -0.5, True),
        ("outside", 4.4, 9, False),
        ("every at_least", 1, 1, True),
        ("every at_least", 1.1, 1.1, False),
        ("some below", 1.1, 1.1, True),
        ("some below", 1, 1, False),
    ],
)
def test_conditions_ask_the_whole_interval_or_single_values(relation, low, high, expected):
    assert holds(Condition(relation, low, high), [1.0, 2.0, 3.0]) is expected


def test_confidence_narrows_the_interval():
    assert holds(Condition("above", 0.3, 0.3, confidence=0.9), [1.0, 2.0, 3.0])
    assert not holds(Condition("above", 0.3, 0.3), [1.0, 2.0, 3.0])
