import pytest
from recorded import make_record

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.verdicts.pairing import (
    NotRecordedError,
    by_seed,
    nested_seeds,
    require_seeds,
    same_seeds,
    value,
)

SCOPE = ("cpu", "cifar10-jpeg75", 10)


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


def test_other_cells_presets_data_and_subset_counts_are_left_out():
    records = [
        make_record("B0", 0),
        make_record("B0", 0, preset="gpu"),
        make_record("B0", 0, data="shapes", data_hash="b"),
        make_record("B0", 0, num_subsets=5),
        make_record("X-bn", 0),
    ]
    assert by_seed(records, ["B0"], *SCOPE) == {"B0": {0: records[0]}}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"data_hash": "b"}, "mix data_hash: a, b"),
        ({"preset": "gpu"}, "mix preset: cpu, gpu"),
        ({"data": "shapes"}, "mix data: cifar10-jpeg75, shapes"),
        ({"hyperparameters": {"preset": {"steps": 9}}}, "mix 2 versions of preset 'cpu'"),
        ({"evaluation": "pooled"}, "B0: headline metrics mix evaluation statistics"),
        ({"seed": 0}, "B0: seed 0 is recorded twice with K = 10"),
    ],
)
def test_what_does_not_belong_together_is_refused(other, message):
    other = {"seed": 1, **other}
    records = [make_record("B0", 0), make_record("B0", **other)]
    with pytest.raises(InputError, match=message) as caught:
        by_seed(records, ["B0"], None, None, 10)
    assert not isinstance(caught.value, NotRecordedError)


def table(**seeds):
    return {
        cell: {seed: make_record(cell, seed) for seed in found} for cell, found in seeds.items()
    }


def test_same_seeds_refuses_a_seed_that_one_side_lacks():
    assert same_seeds(table(A=[1, 0], B=[0, 1])) == (0, 1)
    with pytest.raises(NotRecordedError, match="not paired: B lacks seed 2, 3"):
        same_seeds(table(A=[0, 1, 2, 3], B=[0, 1]))


def test_nested_seeds_takes_the_first_but_refuses_a_hole():
    assert nested_seeds(table(A=[0, 1, 2, 3], B=[0, 1])) == (0, 1)
    assert nested_seeds(table(A=[0, 1], B=[])) == ()
    with pytest.raises(NotRecordedError, match=r"not paired.*seed 1"):
        nested_seeds(table(A=[0, 1, 2, 3], B=[0, 2]))
    with pytest.raises(NotRecordedError, match="not paired"):
        nested_seeds(table(A=[0, 1], B=[1, 2]))


def test_too_few_seeds_says_how_many_it_takes():
    require_seeds([0, 1, 2], 3, table(A=[0, 1, 2]))
    with pytest.raises(
        NotRecordedError, match=r"A and B: too few seeds: 5 paired, 6 needed.*0\.0625"
    ):
        require_seeds(range(5), 6, table(A=range(5), B=range(5)))
    with pytest.raises(NotRecordedError, match="B: no run is recorded; 3 seeds"):
        require_seeds([], 3, table(A=[0], B=[]))
