"""Numbers of records and their means: what is missing is said the same way everywhere."""

import pytest
from recorded import make, make_record

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import NotRecordedError, Summary, load_records, summarize, value


def test_a_value_comes_from_metrics_evaluations_or_extra():
    record = make_record(
        "S-P1",
        0,
        metrics={"knn200": 0.5},
        evaluations={
            "pooled": {"knn200": 0.4},
            "branch:0": {"knn200": 0.3},
            "branch:7": {"knn200": 0.2},
        },
        extra={"group/a": 7.0},
    )
    assert value(record, "knn200") == 0.5
    assert value(record, "knn200", "pooled") == 0.4
    assert value(record, "knn200", "worst-branch") == 0.2
    assert value(record, "extra.group/a") == 7.0


@pytest.mark.parametrize(
    ("metric", "how", "message"),
    [
        ("ari", None, r"S-P1-K10-s3: metrics has no 'ari' \(an older record\?\)"),
        ("knn200", "pooled", r"evaluations\['pooled'\] has no 'knn200'"),
        ("extra.drift", None, "extra has no 'drift'"),
        ("knn200", "worst-branch", "no branch was evaluated"),
    ],
)
def test_a_missing_metric_names_record_and_key(metric, how, message):
    with pytest.raises(NotRecordedError, match=message):
        value(make_record("S-P1", 3, metrics={"knn200": 0.5}), metric, how)


def test_summary_against_a_hand_computation():
    summary = Summary.of([1.0, 2.0, 3.0])
    # sd 1, n 3, t(0.975, 2) = 4.302653
    assert summary.mean == 2.0
    assert summary.interval == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert summary.n == 3
    assert str(Summary.of([0.5])) == "0.500 (n=1)"
    assert str(summary) == "2.000 ± 2.484 (n=3)"
    with pytest.raises(InputError, match="at least 1"):
        Summary.of([])


def test_summarize_groups_by_cell_and_subsets():
    records = [make(seed=s, accuracy=0.1 * s) for s in range(3)] + [make("S-P1", accuracy=0.7)]
    found = summarize(records, "cluster_accuracy")
    assert set(found) == {("B0", 10), ("S-P1", 10)}
    assert found["B0", 10].mean == pytest.approx(0.1)
    assert found["S-P1", 10].interval is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make(seed=1, data_hash="f" * 64), "mix data_hash"),
        (make(seed=1, preset="gpu"), "mix preset"),
        (make(seed=1, evaluation="pooled"), "mix evaluation"),
        (make(seed=1, hyperparameters={"definition": [2]}), "mix definition"),
        (make(seed=1, hyperparameters={"preset": {"steps": 9}}), "mix versions of a preset"),
        (make(seed=1, hyperparameters={"cell": {"norm": "gn"}}), "mix versions of the cell"),
        (make(seed=0), "two records of one seed"),
        (make(seed=1, metrics={"nmi": 0.1}), "B0-K10-s1: metrics has no 'cluster_accuracy'"),
    ],
)
def test_summarize_never_averages_over_unlike_records(other, message):
    """``test_pairing`` has every way in which records may differ."""
    first = make(hyperparameters={"preset": {"steps": 3}, "cell": {"norm": "bn"}})
    with pytest.raises(InputError, match=message):
        summarize([first, other], "cluster_accuracy")


def test_two_records_of_one_seed_are_named_by_their_files(tmp_path):
    paths = [make().save(tmp_path / folder) for folder in ("a", "b")]
    with pytest.raises(InputError, match=r"two records of one seed: .*; remove one") as caught:
        summarize(load_records(tmp_path), "cluster_accuracy")
    assert all(str(path) in str(caught.value) for path in paths)


@pytest.mark.parametrize("settings", [{"encoder": "\x1b[2J"}, {"preset": {"\x1b[2J": 2}}])
def test_what_a_record_says_is_shown_without_control_characters(settings):
    plain = {"encoder": "a", "preset": {"\x1b[2J": 1}}
    with pytest.raises(InputError, match=r"mix .*\[2J") as caught:
        summarize([make(seed=s, hyperparameters=h) for s, h in enumerate((plain, settings))], "x")
    assert str(caught.value).isprintable()
