import pytest
from recorded import make_record

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import NotRecordedError
from contrastive_tutorial.verdicts.pairing import by_seed, mixed, nested_seeds, require_seeds

SCOPE = ("cpu", "cifar10-jpeg75", 10)


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
        ({"hyperparameters": {"preset": {"steps": 9}}}, "mix versions of a preset"),
        ({"evaluation": "pooled"}, "B0 mix evaluation statistics: pooled, running"),
        ({"hyperparameters": {"cell": {"temperature": 0.1}}}, "B0 mix versions of the cell"),
        ({"hyperparameters": {"definition": 2}}, "B0 mix definition: 1, 2"),
        ({"hyperparameters": {"encoder": "Mine()"}}, "B0 mix encoder: Mine"),
        ({"hyperparameters": {"batch_norm": "local"}}, "B0 mix batch_norm: local, sync"),
        ({"hyperparameters": {"policies": "ab"}}, "B0 mix policies: ab, cd"),
        ({"hyperparameters": {"test_hash": "ef"}}, "B0 mix test images: ef, gh"),
        ({"seed": 0}, "B0 with K = 10: two records of one seed"),
    ],
)
def test_what_does_not_belong_together_is_refused(other, message):
    other = {"seed": 1, **other}
    first = {"preset": {"steps": 450}, "cell": {"negatives": "cross"}, "policies": "cd"}
    first["test_hash"] = "gh"
    records = [make_record("B0", 0, hyperparameters=first), make_record("B0", **other)]
    with pytest.raises(InputError, match=message) as caught:
        by_seed(records, ["B0"], None, None, 10)
    assert not isinstance(caught.value, NotRecordedError)


def table(**seeds):
    return {
        cell: {seed: make_record(cell, seed) for seed in found} for cell, found in seeds.items()
    }


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


def test_fields_that_are_younger_than_a_record_have_their_defaults_and_words_mean_nothing():
    older = {"preset": {"steps": 9, "summary": "old"}, "cell": {"policy": "P0", "article": "1"}}
    newer = {
        "preset": {"steps": 9, "summary": "new", "passes": 1, "grayscale": None},
        "cell": {"policy": "P0", "early_steps": [], "temperature": None},
        "definition": 1,
    }
    records = [make_record("B0", s, hyperparameters=h) for s, h in enumerate((older, newer))]
    assert set(by_seed(records, ["B0"], *SCOPE)["B0"]) == {0, 1}


def test_cells_may_differ_in_their_policies():
    kinds = {"A": "ab", "B": "cd"}
    runs = [make_record(cell, 0, hyperparameters={"policies": p}) for cell, p in kinds.items()]
    assert set(by_seed(runs, ["A", "B"], *SCOPE)) == {"A", "B"}


def test_a_reference_that_no_seed_changes_stands_for_every_seed():
    runs = [make_record("B1", s) for s in (0, 2)] + [make_record("raw-pixels", 5)]
    found = by_seed(runs, ["B1", "raw-pixels"], *SCOPE)
    assert found["raw-pixels"] == {0: runs[2], 2: runs[2]}
    assert by_seed(runs[2:], ["B1", "raw-pixels"], *SCOPE)["B1"] == {}


def test_another_device_or_commit_is_remarked_and_not_refused():
    runs = [make_record("A", 0, device="a CPU"), make_record("A", 1, device="another")]
    assert mixed(runs) == "the runs are of 2 devices"
    assert mixed(runs[:1]) == mixed([]) == ""
    runs.append(make_record("A", 2, git_commit="ab", device="another"))
    assert mixed(runs) == "the runs are of 2 devices and 2 commits"
