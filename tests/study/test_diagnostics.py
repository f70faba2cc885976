"""diagnostics: protocols against direct calls, shifts against loops, moving averages against BN."""

import dataclasses

import pytest
import tiny
import torch
from tiny import shapes, stopping
from torch import nn

from contrastive_tutorial import metrics
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import kl_normal
from contrastive_tutorial.study import evaluator
from contrastive_tutorial.study.cells import CELLS
from contrastive_tutorial.study.diagnostics import (
    EarlyAccuracy,
    channel_norms,
    cluster_protocols,
    first_norm_shift,
)
from contrastive_tutorial.study.runner import Experiment

TINY = dataclasses.replace(tiny.TINY, steps=5, checkpoint_every=1)


@pytest.fixture(scope="module")
def sets():
    return shapes()


def blobs():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 4
    centres = 3 * torch.randn(4, 6, generator=generator)
    points = centres[labels] + torch.randn(120, 6, generator=generator)
    return points[:80], points[80:], labels[80:]


def test_protocols_are_means_over_single_starts():
    bank, test, labels = blobs()
    found = cluster_protocols({"h": (bank, test)}, labels, 4, restarts=3)
    names = {f"cluster_protocols/{p}/h/{n}" for p in ("raw", "hungarian", "purity10", "purity20")
             for n in ("l2", "none")}  # fmt: skip
    assert set(found) == names
    ids = metrics.cluster_fits(bank, test, 4, n_init=3)
    mean = sum(metrics.cluster_accuracy(labels, c) for c in ids) / 3
    assert found["cluster_protocols/hungarian/h/l2"] == pytest.approx(mean, abs=1e-12)
    for norm in ("l2", "none"):
        hungarian, purity = (
            found[f"cluster_protocols/{p}/h/{norm}"] for p in ("hungarian", "purity10")
        )
        assert purity >= hungarian
    assert found["cluster_protocols/hungarian/h/none"] > 0.8


def test_without_normalisation_length_counts():
    direction = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat_interleave(20, 0)
    points = direction * torch.tensor([1.0, 100.0]).repeat(20)[:, None]
    noise = 0.01 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    by_angle = metrics.cluster(points, points, 2, seed=0)
    (by_length, *_) = metrics.cluster_fits(points + noise, points, 3, normalize=False)
    assert metrics.cluster_accuracy(torch.arange(2).repeat_interleave(20), by_angle) == 1
    assert len(set(by_length[::2])) == 1  # the short ones lie together, whatever their direction


def test_norm_layers_are_known_by_their_type():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4))
    model.num_features = 4  # as models of timm have it
    assert channel_norms(model) == [model[1], model[2]]
    assert channel_norms(nn.Sequential(nn.Linear(2, 2))) == []


class Unused(nn.Module):
    """Its first norm layer is never called."""

    def __init__(self, body):
        super().__init__()
        self.unused, self.body = nn.BatchNorm2d(3), body

    def forward(self, x):
        for layer in self.body.children():
            x = layer(input=x)
        return x


def test_the_shift_is_what_the_first_layer_on_the_way_sees():
    views, ids = torch.rand(8, 3, 4, 4), torch.arange(2).repeat_interleave(4)
    body = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)).eval()
    expected = first_norm_shift(body, body, views, ids)
    unused = Unused(body)
    assert first_norm_shift(unused, unused, views, ids) == expected
    assert not body[1]._forward_pre_hooks
    for model in (nn.Conv2d(3, 5, 1), Unused(nn.Sequential(nn.Conv2d(3, 5, 1)))):
        with pytest.raises(InputError, match="norm layer"):
            first_norm_shift(model, model, views, ids)


class NowAndThen(nn.Module):
    """Skips its norm layer in every second pass, as stochastic depth may."""

    def __init__(self):
        super().__init__()
        self.norm, self.passes = nn.BatchNorm2d(3), 0

    def forward(self, x):
        self.passes += 1
        return self.norm(x) if self.passes % 2 else x


def test_policies_that_do_not_all_meet_a_norm_layer_are_not_compared():
    views, ids, model = torch.rand(8, 3, 4, 4), torch.arange(2).repeat_interleave(4), NowAndThen()
    with pytest.raises(InputError, match="norm layer"):
        first_norm_shift(model, model, views, ids)


def test_shift_of_policies_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    views = torch.rand(30, 3, 4, 4, generator=generator)
    ids = torch.arange(3).repeat_interleave(10)
    views[ids == 1] *= 0.5
    model = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)).eval()
    found = first_norm_shift(model, model, views, ids)
    x = model[0](views).double().detach()
    everything = x.transpose(0, 1).flatten(1)
    for k in range(3):
        part = x[ids == k].transpose(0, 1).flatten(1)
        expected = kl_normal(
            part.mean(1), part.std(1, correction=0),
            everything.mean(1), everything.std(1, correction=0),
        ).mean()  # fmt: skip
        assert found[f"kl_bn1_per_policy/{k}"] == pytest.approx(float(expected), rel=1e-6)
    assert found["kl_bn1_per_policy/1"] > 0
    assert not model[1]._forward_pre_hooks


def test_moving_averages_are_those_of_batch_norm():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=0.1))
    seen = {}

    def score(twin):
        assert not twin.training
        seen.setdefault("means", []).append(twin[1].running_mean.clone())
        return 0.5

    early = EarlyAccuracy(encoder, (3,), score, lambda twin: twin[1].running_mean.zero_())
    for step in range(3):
        encoder(torch.randn(8, 3, 4, 4))
        early.after_step(step, torch.zeros(()))
    encoder(torch.randn(8, 3, 4, 4))
    slow, fast, exact = seen["means"]
    own = early.get_buffer("ema90_0_mean")
    assert torch.allclose(own, encoder[1].running_mean, atol=1e-6)
    assert torch.allclose(early.get_buffer("ema90_0_var"), encoder[1].running_var, atol=1e-6)
    assert slow.abs().max() < fast.abs().max()
    assert exact.abs().max() == 0
    assert early.close() == {
        f"early_accuracy/{name}/3": 0.5 for name in ("ema0.99", "ema0.9", "precise")
    }
    before = early.get_buffer("ema90_0_mean").clone()
    encoder(torch.randn(8, 3, 4, 4))
    assert torch.equal(before, early.get_buffer("ema90_0_mean"))


def watched(case):
    if case == "early":
        return dataclasses.replace(CELLS["B0-ema"], early_steps=(2, 4)), TINY
    return CELLS["M-P0"], dataclasses.replace(TINY, measured=2, headline=case)


@pytest.mark.parametrize("case", ["early", "pooled", "reestimated"])
def test_scores_along_training_change_nothing_and_survive_a_restart(case, sets, tmp_path):
    cell, preset = watched(case)
    whole = Experiment(cell, sets, preset)
    losses = whole.train(progress=False).losses
    plain = Experiment("B0" if case == "early" else cell, sets, TINY)
    assert torch.equal(plain.train(progress=False).losses, losses)
    assert len(whole.early) == 6

    broken = Experiment(cell, sets, preset)
    with pytest.raises(KeyboardInterrupt):
        broken.train(tmp_path / "c", progress=False, on_step=stopping(2))
    again = Experiment(cell, sets, preset)
    assert torch.equal(again.train(tmp_path / "c", progress=False).losses, losses)
    assert again.early == whole.early
    assert whole.early.items() <= whole.evaluate().extra.items()


def test_along_training_validation_images_are_scored_at_the_squares_of_equal_parts(
    sets, monkeypatch
):
    monkeypatch.setattr(evaluator, "_CLEAN_ALONG", 20)  # as many batches as at the end
    assert dataclasses.replace(TINY, steps=1000, measured=10).measured_steps == (
        10, 40, 90, 160, 250, 360, 490, 640, 810, 1000,
    )  # fmt: skip
    preset = dataclasses.replace(TINY, measured=2, headline="reestimated", menu_bank=600, bank=None)
    experiment = Experiment("B0", sets, preset)
    experiment.train(progress=False)
    names = ("knn10", "linear_probe", "cluster_accuracy_mean")
    assert set(experiment.early) == {f"along/{name}/{step}" for name in names for step in (1, 5)}
    bank, val = (experiment.features(part, "reestimated") for part in sets[:2])
    labels = sets[0].labels, sets[1].labels
    knn = metrics.knn_accuracy(bank, labels[0], val, labels[1], k=10, temperature=None)
    assert experiment.early["along/knn10/5"] == pytest.approx(knn, abs=1e-6)
    probe = metrics.linear_probe(bank, labels[0], val, labels[1])
    assert experiment.early["along/linear_probe/5"] == pytest.approx(probe, abs=0.02)


def test_cells_measure_what_their_hypotheses_need(sets):
    protocols = Experiment("B0", sets, TINY).evaluate().extra
    assert sum(key.startswith("cluster_protocols/") for key in protocols) == 16
    for name in ("W-bn", "S-P1"):
        extra = Experiment(name, sets, TINY).evaluate().extra
        recalls = [extra[f"policy_recall_z_own_branch/{k}"] for k in range(10)]
        assert sum(recalls) / 10 == pytest.approx(extra["policy_probe_z_own_branch"], abs=1e-6)
        assert all(extra[f"kl_bn1_per_policy/{k}"] >= 0 for k in range(10))


def test_raw_dot_products(sets):
    experiment = Experiment("B0-dot", sets, TINY)
    z = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    from contrastive_tutorial.losses import nt_xent
    from contrastive_tutorial.study.views import contrastive_loss

    found = contrastive_loss(z, experiment.cell, experiment.order, 0.5)
    expected = nt_xent(*experiment.order.views(z), 10.0, normalize=False)
    assert torch.equal(found, expected)
    z0 = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert metrics.contrastive_accuracy(z0, z0 * 2) == 1
    long = torch.tensor([[1.0, 0.0], [1.0, 0.1]])
    assert metrics.contrastive_accuracy(long, 9 * long, normalize=False) < 1
