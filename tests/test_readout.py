"""readout: what is there is summarised, what is not is named, and nothing is averaged over."""

import pytest
from recorded import make_record

from contrastive_tutorial import readout
from contrastive_tutorial.errors import InputError

METRICS = {"knn200": "kNN", "extra.cross_branch_top1": "retrieval"}


def records():
    return [
        make_record("B0", 0, {"knn200": 0.4}, extra={"cross_branch_top1": 0.2}),
        make_record("B0", 1, {"knn200": 0.5}),
        make_record("B2", 0, {"knn200": 0.3}),
    ]


def test_relabel_keeps_the_records_that_have_everything():
    found = readout.relabel(records(), METRICS)
    assert [(r.cell, r.seed, r.metrics) for r in found] == [
        ("B0", 0, {"kNN": 0.4, "retrieval": 0.2})
    ]


def test_summary_counts_the_seeds_that_have_the_metric():
    assert readout.summary(records(), "B0", "knn200").mean == pytest.approx(0.45)
    assert readout.summary(records(), "B0", "knn200").n == 2
    assert readout.summary(records(), "B0", "extra.cross_branch_top1").interval is None
    assert readout.summary(records(), "M-bn", "knn200") is None


def test_a_table_says_what_is_missing():
    table = readout.cell_table(records(), ["B0", "B2", "M-bn"], METRICS)
    assert list(table.index) == ["Baseline (B0)", "B2", "M-bn"]
    assert list(table.columns) == ["kNN", "retrieval"]
    assert table.loc["Baseline (B0)", "kNN"].startswith("0.450 ±")
    assert table.loc["B2", "kNN"] == "0.300 (n=1)"
    assert table.loc["B2", "retrieval"] == readout.MISSING
    assert set(table.loc["M-bn"]) == {readout.MISSING}


def test_missing_cells_are_named():
    assert readout.missing_cells(records(), ["B0", "B2"]) == "All 2 cells are recorded."
    words = readout.missing_cells(records(), ["B0", "M-bn", "no-such-cell"])
    assert words == "No record yet: M-bn, no-such-cell."


def test_verdicts_without_runs_are_undecided():
    table = readout.verdict_table(records(), ["H3", "H5"])
    assert list(table.index[[0, 4]]) == [
        "H3: Both views in one group leak",
        "H5: Pairing views across policies makes z forget the policy",
    ]
    assert list(table["outcome"]) == ["UNDECIDED", *["undecided"] * 3] * 2
    assert set(table["measured"]) == {"", "too few runs yet"}


def test_verdicts_with_runs_show_the_interval():
    runs = [
        make_record("B2", seed, {"policy_probe_z": 0.11 + seed / 1000, "policy_probe_h": 0.7})
        for seed in range(3)
    ]
    table = readout.verdict_table(runs, ["H5"])
    assert list(table["outcome"]) == ["SUPPORTED", *["supported"] * 3]
    assert table["measured"].iloc[1].startswith("+0.111 [+0.109, +0.113], n = 3")


def test_mixed_records_are_refused():
    runs = [make_record("B2", s, {"policy_probe_z": 0.1}, data_hash=str(s)) for s in range(3)]
    with pytest.raises(InputError, match="data_hash"):
        readout.verdict_table(runs, ["H5"])
