"""subsets: a partition is a partition, and a batch is a function of (seed, step)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.data.subsets import SubsetBatches, partition
from contrastive_tutorial.errors import InputError


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(1, 80), st.integers(0, 1_000)
)
def test_partition_is_stratified_and_complete(classes, num_subsets, seed):
    labels = torch.tensor(classes)
    num_subsets = min(num_subsets, len(labels))
    ids = partition(labels, num_subsets, seed)
    assert ids.shape == labels.shape
    sizes = ids.bincount(minlength=num_subsets)
    assert len(sizes) == num_subsets
    assert int(sizes.max() - sizes.min()) <= 1
    for value in labels.unique():
        per_subset = ids[labels == value].bincount(minlength=num_subsets)
        assert int(per_subset.max() - per_subset.min()) <= 1
    assert torch.equal(ids, partition(labels, num_subsets, seed))


def test_partition_depends_on_the_seed():
    labels = torch.arange(100) % 10
    assert not torch.equal(partition(labels, 10, 0), partition(labels, 10, 1))


@pytest.mark.parametrize("num_subsets", [0, -1, 5])
def test_partition_refuses_impossible_counts(num_subsets):
    with pytest.raises(InputError, match="expected 1 to 4"):
        partition(torch.zeros(4, dtype=torch.int64), num_subsets)
    with pytest.raises(InputError, match="shape"):
        partition(torch.zeros(2, 2), 1)


def test_balanced_batches_are_sorted_and_equal():
    ids = partition(torch.arange(200) % 10, 5, 0)
    batches = SubsetBatches(ids, 20, seed=3)
    for step in range(25):
        index = batches.indices(step)
        assert ids[index].tolist() == [k for k in range(5) for _ in range(4)]
        assert len(index.unique()) == 20


def test_one_epoch_sees_every_image_once():
    ids = partition(torch.arange(200) % 10, 5, 0)
    for balanced in (True, False):
        batches = SubsetBatches(ids, 20, balanced=balanced)
        for epoch in range(2):
            seen = torch.cat([batches.indices(10 * epoch + step) for step in range(10)])
            assert seen.sort().values.tolist() == list(range(200))


def test_steps_need_no_history():
    ids = partition(torch.arange(120) % 10, 3, 0)
    forward = SubsetBatches(ids, 12, seed=7)
    in_order = [forward.indices(step) for step in range(40)]
    fresh = SubsetBatches(ids, 12, seed=7)
    for step in (39, 0, 17, 18, 5):
        assert torch.equal(fresh.indices(step), in_order[step])
    other = SubsetBatches(ids, 12, seed=8)
    assert not torch.equal(other.indices(0), in_order[0])


def test_only_one_subset():
    ids = partition(torch.arange(100) % 10, 10, 0)
    batches = SubsetBatches(ids, 5, only_subset=3)
    assert all((ids[batches.indices(step)] == 3).all() for step in range(6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 7}, r"7 images do not divide into K = 5"),
        ({"batch_size": 1}, "at least 2"),
        ({"batch_size": 500}, r"each of 5 subsets, .* smallest holds 20.*batch_size="),
        ({"batch_size": 101, "balanced": False}, "101 images a step, but there are only 100"),
        ({"batch_size": 30, "only_subset": 1}, "30 images a step, but there are only 20"),
        ({"batch_size": 4, "only_subset": 5}, "expected 0 to 4"),
    ],
)
def test_impossible_batches_are_refused(options, message):
    ids = partition(torch.arange(100) % 10, 5, 0)
    with pytest.raises(InputError, match=message):
        SubsetBatches(ids, **options)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**20])
def test_seeds_that_no_generator_takes(seed):
    with pytest.raises(InputError, match="seed: expected 0 to 4,294,967,295"):
        partition(torch.arange(10), 2, seed)


def test_every_seed_that_is_allowed_gives_batches():
    batches = SubsetBatches(partition(torch.arange(40) % 4, 2, 0), 8, seed=2**32 - 1)
    assert len(set(batches.indices(7).tolist())) == 8


@pytest.mark.parametrize(("balanced", "fits"), [(True, 30), (False, 32)])
def test_a_batch_that_is_too_large_names_the_largest_that_works(balanced, fits):
    ids = torch.arange(32) % 3
    with pytest.raises(InputError, match=rf"batch_size={fits} fits"):
        SubsetBatches(ids, 60, balanced=balanced)
    assert len(SubsetBatches(ids, fits, balanced=balanced).indices(0)) == fits
