"""toy: identities of its normalisation, what it must erase, and its two mechanisms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import SplitBatchNorm2d
from contrastive_tutorial.study import toy
from contrastive_tutorial.study.toy import CLASSES, NORMS, ToyScores

SETTINGS = {"num_subsets": 10, "group_size": 25}


@pytest.fixture(scope="module")
def grid():
    """Scores by (shift, norm), three seeds each."""
    return {
        (shift, norm): toy.run_toy(shift=shift, norm=norm, seeds=range(3), **SETTINGS)
        for shift in (0.0, 0.3, 1.0)
        for norm in NORMS
    }


def test_views_share_their_image_and_their_policy(monkeypatch):
    monkeypatch.setattr(toy, "NOISE", 0.0)
    clean = toy.toy_views(4, 10, shift=0.0)
    assert clean.views.shape == (2, 40, 64)
    assert clean.views.dtype == torch.float32
    assert torch.equal(clean.views[0], clean.views[1])
    moved = toy.toy_views(4, 10, shift=2.0)
    step = (moved.views - clean.views).unflatten(1, (4, 10))
    assert torch.allclose(step, step[:1, :, :1].expand_as(step), atol=1e-5)
    assert (step[0, 0, 0] - step[0, 1, 0]).norm() > 1


def test_every_subset_has_equally_many_of_every_class():
    _, subsets, labels = toy.toy_views(3, 15)
    counts = torch.stack([labels[subsets == k].bincount(minlength=CLASSES) for k in range(3)])
    assert (counts == 3).all()


def test_images_have_unit_variance(monkeypatch):
    monkeypatch.setattr(toy, "NOISE", 0.0)
    assert float(toy.toy_views(20, 50, shift=0.0).views.var()) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("norm", NORMS)
def test_normalisation_is_that_of_the_book(norm):
    rows = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    found = toy.normalize_groups(rows, norm, 4)
    if norm == "none":
        assert torch.equal(found, rows)
        return
    groups = 4 if norm == "split" else 1
    layer = SplitBatchNorm2d(5, groups)
    ordered = rows.unflatten(1, (groups, -1)).transpose(0, 1).reshape(24, 5, 1, 1)
    expected = layer(ordered).view(groups, 2, -1, 5).transpose(0, 1).flatten(1, 2)
    assert torch.allclose(found, expected, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(1, 16), st.integers(0, 10_000))
def test_repulsion_is_exact_after_normalisation(m, d, seed):
    """The identity -d / (M - 1), and the mean over explicit pairs."""
    rows = torch.randn(m, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pairs = rows @ rows.T
    pairs = (pairs.sum() - pairs.trace()) / (m * (m - 1))
    assert toy.repulsion(rows) == pytest.approx(float(pairs), abs=1e-9)
    normal = (rows - rows.mean(0)) / rows.std(0, correction=0)
    assert toy.repulsion(normal) == pytest.approx(-d / (m - 1), rel=1e-6)


def test_repulsion_of_the_registered_example():
    rows = toy.normalize_groups(torch.randn(2, 25, 32).double(), "split", 1).flatten(0, 1)
    assert toy.repulsion(rows) == pytest.approx(-0.65306, abs=1e-4)


def test_split_statistics_erase_any_shift(grid):
    assert grid[0.0, "split"] == pytest.approx(grid[1.0, "split"], abs=0.01)


def test_shortcut(grid):
    for norm in ("none", "global"):
        before, after = grid[0.0, norm], grid[1.0, norm]
        assert after.cross > before.cross + 0.1
        assert after.own_subset > 0.9
        assert after.policy_probe > 0.9
        assert after.class_knn < before.class_knn - 0.05
        assert abs(after.within - before.within) < 0.05


def test_leak(grid):
    blind = toy.chance(**SETTINGS)
    for shift in (0.0, 0.3, 1.0):
        assert grid[shift, "split"].own_subset < blind.own_subset / 2
        assert grid[shift, "split"].policy_probe < blind.policy_probe / 2


def test_nothing_shared_is_chance(grid):
    blind = toy.chance(**SETTINGS)
    assert grid[0.0, "none"].own_subset == pytest.approx(blind.own_subset, abs=0.03)
    assert grid[0.0, "none"].policy_probe == pytest.approx(blind.policy_probe, abs=0.06)


def test_chance_counts_candidates():
    assert toy.chance(10, 25) == ToyScores(1 / 499, 1 / 49, 48 / 498, 0.1, 1 / CLASSES)


def test_the_mean_over_seeds():
    one, two = (toy.run_toy(3, 10, seeds=[seed]) for seed in (0, 1))
    both = toy.run_toy(3, 10, seeds=(0, 1))
    assert both == pytest.approx([(a + b) / 2 for a, b in zip(one, two, strict=True)])
    assert one == toy.run_toy(3, 10, seeds=[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: toy.toy_views(1), "num_subsets"),
        (lambda: toy.toy_views(group_size=9), "group_size"),
        (lambda: toy.toy_views(shift=-1), "shift"),
        (lambda: toy.run_toy(norm="ghost"), "none, global, split"),
        (lambda: toy.run_toy(seeds=[]), "seeds"),
        (lambda: toy.normalize_groups(torch.zeros(2, 10, 3), "split", 3), "do not divide"),
        (lambda: toy.normalize_groups(torch.zeros(10, 3), "split", 2), "shape"),
        (lambda: toy.repulsion(torch.zeros(1, 3)), "M >= 2"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
