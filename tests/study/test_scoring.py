"""scoring: what cannot be scored is refused before any training; the menu in one pass."""

import dataclasses

import pytest
import torch
from tiny import TINY, files_in, run, shapes
from torch import nn

from contrastive_tutorial import metrics, norm
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study import scoring
from contrastive_tutorial.study.cells import CELLS, PRESETS
from contrastive_tutorial.study.scoring import (
    downstream,
    features,
    features_under,
    headline_statistics,
    require_scorable,
)

LIVE = PRESETS["live"]


@pytest.fixture(scope="module")
def sets():
    return dict(zip(("train", "val", "test"), shapes(300, 30, 40), strict=True))


def test_enough_is_enough(sets):
    for name in ("B0", "S-P1", "pca"):
        require_scorable(CELLS[name], LIVE, **sets)
    require_scorable(
        CELLS["B0"], LIVE, sets["train"].subset(range(20)), sets["val"].subset([0, 1]),
        sets["test"].subset([0, 1]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("split", "keep", "changes", "message"),
    [
        ("train", 9, {}, "train: 9 images, but 10 neighbours"),
        ("train", 300, {"bank": 5}, "bank: 5 images, but 10 neighbours"),
        ("train", 300, {"menu_bank": 15}, "menu_bank: 15 images, but 20 clusters"),
        ("val", 1, {}, "val: expected at least 2 images, got 1"),
        ("test", 1, {}, "test: expected at least 2 images, got 1"),
    ],
)
def test_too_little_to_score(sets, split, keep, changes, message):
    some = sets | {split: sets[split].subset(range(keep))}
    with pytest.raises(InputError, match=message):
        require_scorable(CELLS["B0"], dataclasses.replace(LIVE, **changes), **some)


def test_more_classes_than_images_to_cluster(sets):
    many = dataclasses.replace(sets["train"], class_names=tuple(map(str, range(120))))
    require_scorable(CELLS["B2"], LIVE, **(sets | {"train": many.subset(range(200))}))
    with pytest.raises(InputError, match="200 images, but 240 clusters"):
        require_scorable(CELLS["B0"], LIVE, **(sets | {"train": many.subset(range(200))}))


def test_a_run_that_could_not_be_scored_does_not_start(sets, tmp_path):
    few = (sets["train"].subset(range(15)), sets["val"], sets["test"])
    preset = "live+batch_size=10+steps=1000000"  # would take hours
    with pytest.raises(InputError, match="train: 15 images, but 20 clusters"):
        run("B0", few, preset, 0, 10, tmp_path)
    assert not files_in(tmp_path)


def test_the_preset_has_the_first_word_on_the_headline():
    for name, own in (("B0", "running"), ("S-P1", "branch:0"), ("M-P0", "pooled")):
        assert headline_statistics(CELLS[name], TINY) == own
        for asked in ("reestimated", "pooled"):
            preset = dataclasses.replace(TINY, headline=asked)
            assert headline_statistics(CELLS[name], preset) == asked


def test_cluster_accuracy_is_of_the_best_start_and_its_mean_of_all():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 4
    points = torch.eye(4)[labels] + torch.randn(120, 4, generator=generator)
    found = downstream(points[:80], labels[:80], points[80:], labels[80:], 4, 3, 6)
    fits = metrics.cluster_fits(points[:80], points[80:], 4, 3, 6)
    each = [metrics.cluster_accuracy(labels[80:], ids) for ids in fits]
    assert len(set(each)) > 1
    assert found["cluster_accuracy"] == each[0]
    assert found["cluster_accuracy_mean"] == pytest.approx(sum(each) / 6)


def encoder(activation):
    """Two convolutions; the first one's output is written into, if ``activation`` does so."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), activation, nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5),
        nn.Flatten(),
    )  # fmt: skip


def bytes_of(n):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, 8, 8), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True)])
def test_the_whole_menu_in_one_pass_is_every_choice_on_its_own(activation):
    images = bytes_of(12)
    network = norm.convert_norm(encoder(activation), "split", 3)
    norm.precise_bn(network, [images.float() / 255])
    norm.reestimate(network, [images.float() / 255])
    menu = ["pooled", "test-batch", "ensemble", "reestimated", "branch:0", "branch:1", "branch:2"]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    found = features_under(network, menu, images, order)
    assert list(found) == menu
    for how in menu:
        with torch.no_grad(), norm.evaluation_statistics(network, how) as forward:
            assert torch.allclose(found[how], forward(images.float() / 255), atol=1e-5), how
    assert not any("forward" in module.__dict__ for module in network.modules())
    some = ["branch:0", "ensemble", "branch:2"]  # a branch that is missing is no less a part of it
    assert torch.equal(features_under(network, some, images, order)["branch:0"], found["branch:0"])
    ensemble = features_under(network, some, images, order)["ensemble"]
    assert torch.allclose(ensemble, found["ensemble"], atol=1e-5)


class InPlace(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x.sub_(0.5))


def test_a_network_that_writes_into_its_images_is_refused():
    """Another choice of statistics, or another branch, would see other images."""
    network = norm.convert_norm(InPlace(encoder(nn.ReLU())), "split", 3).eval()
    with pytest.raises(InputError, match="writes into the images"):
        features_under(network, ["pooled", "branch:0"], bytes_of(4))
    with norm.evaluation_statistics(network, "ensemble") as forward:
        with pytest.raises(InputError, match="writes into the images"), torch.no_grad():
            forward(torch.rand(4, 3, 8, 8))
        with torch.inference_mode():  # where nobody can tell
            forward(torch.rand(4, 3, 8, 8))
    with pytest.raises(InputError, match="writes into the images"):
        features(InPlace(encoder(nn.ReLU())).eval(), torch.rand(4, 3, 8, 8))


@pytest.mark.parametrize(("activation", "first"), [(nn.ReLU(), 2), (nn.ReLU(inplace=True), 4)])
def test_the_first_convolution_is_computed_once_a_chunk_unless_it_is_overwritten(
    activation, first, monkeypatch
):
    monkeypatch.setattr(scoring, "_CHUNK", 4)
    channels, compute = [], nn.Conv2d.forward

    def counted(self, x):
        channels.append(x.shape[1])
        return compute(self, x)

    monkeypatch.setattr(nn.Conv2d, "forward", counted)
    features_under(encoder(activation).eval(), ["running", "test-batch"], bytes_of(8))
    assert (channels.count(3), channels.count(4)) == (first, 4)
