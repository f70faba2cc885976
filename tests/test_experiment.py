"""experiment: a cell made ready to train is what its name says."""

import pytest
import torch
from test_experiments import TINY

from contrastive_tutorial import data
from contrastive_tutorial.cells import PRESETS
from contrastive_tutorial.experiment import Experiment


@pytest.fixture(scope="module")
def sets():
    sizes = {"train": 600, "val": 60, "test": 200}
    return tuple(data.load("shapes", split, num_images=n) for split, n in sizes.items())


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


def test_split_with_one_subset_trains_like_plain_bn_with_the_weak_policy(sets):
    split = Experiment("S-P1", sets, TINY, num_subsets=1)
    plain = Experiment("M-bn", sets, TINY, num_subsets=1)
    assert torch.allclose(
        split.train(progress=False).losses, plain.train(progress=False).losses, atol=1e-5
    )


def test_ghost_groups_are_those_of_the_row_order(sets):
    from contrastive_tutorial.norm import GhostBatchNorm2d

    for name in ("ghost-same-10", "ghost-shuffle-10"):
        experiment = Experiment(name, sets, TINY)
        layers = [m for m in experiment.model.modules() if isinstance(m, GhostBatchNorm2d)]
        assert len(layers) == 2
        assert {layer.grouping for layer in layers} == {"contiguous"}
        assert {layer.num_groups for layer in layers} == {experiment.order.groups}


def test_training_and_test_images_share_nothing(sets):
    train_set, val_set, test_set = sets
    flat = [
        set(map(bytes, part.images.flatten(1).numpy())) for part in (train_set, val_set, test_set)
    ]
    assert not flat[0] & flat[1]
    assert not flat[0] & flat[2]
    assert not flat[1] & flat[2]
