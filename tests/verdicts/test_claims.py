"""Every claim of the article that a computer can check, checked.

One function for each claim, named after it; ``claims.yml`` names the function beside the claim.
The last part checks the ledger itself: that no check is missing and none is forgotten.
"""

import copy
import inspect
import io
import itertools
import math
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from recorded import make_record
from scipy.integrate import trapezoid
from torch import nn

from contrastive_tutorial import augment, data, losses, metrics, norm, verdicts
from contrastive_tutorial.data import loading
from contrastive_tutorial.data.subsets import SubsetBatches, partition
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.records.intervals import seeds_needed, sign_flip_p
from contrastive_tutorial.study import classifier, toy
from contrastive_tutorial.study.cells import CELLS
from contrastive_tutorial.train.encoders import build, seeded
from contrastive_tutorial.verdicts import contrast, decide
from contrastive_tutorial.verdicts.claims import VERDICTS, Ledger, load_claims
from contrastive_tutorial.verdicts.hypotheses import STUDIES, load_hypotheses

ROOT = Path(__file__).parents[2]
LEDGER = load_claims()
REGISTRY = load_hypotheses()
REGISTERED = Path(verdicts.__file__).parent
RESULTS = ROOT / "results"


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def kl(mean_p, std_p, mean_q, std_q):
    """KL between two one-dimensional normal distributions, as a float."""
    numbers = (mean_p, std_p, mean_q, std_q)
    return float(losses.kl_normal(*(torch.tensor(float(x), dtype=torch.float64) for x in numbers)))


def descend(optimizer, loss_of, steps):
    """The last loss."""
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def deep(depth, inputs, width, with_bn):
    """Linear layers as He et al. draw them, each with ReLU, and with BN before it if asked for."""
    layers = []
    for number in range(depth):
        linear = nn.Linear(width if number else inputs, width, bias=False)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers += [linear, *([nn.BatchNorm1d(width)] if with_bn else []), nn.ReLU()]
    return nn.Sequential(*layers)


def unit(*shape):
    return F.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


# -- contrastive learning ---------------------------------------------------------------------


def test_s1_1_contrastive_learning_is_older_than_either_date():
    years = [event.year for event in LEDGER.timeline]
    assert years == sorted(years)
    assert all(event.source.strip() for event in LEDGER.timeline)
    for claimed in (2017, 2019):
        assert years[0] < claimed
    assert 2017 not in years


def test_s1_3_new_statistics_alone_recover_accuracy_under_shift():
    """A classifier with BN, its inputs shifted and rescaled: new statistics, no new weights."""
    generator = torch.Generator().manual_seed(0)
    centers = 3 * torch.randn(4, 16, generator=generator)

    def draw(n):
        labels = torch.arange(n) % 4
        return centers[labels] + torch.randn(n, 16, generator=generator), labels

    model = nn.Sequential(
        nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32),
        nn.ReLU(), nn.Linear(32, 4),
    )  # fmt: skip

    def loss():
        x, labels = draw(128)
        return F.cross_entropy(model(x), labels)

    descend(torch.optim.Adam(model.parameters(), lr=0.01), loss, 80)
    weights = copy.deepcopy(dict(model.named_parameters()))

    def accuracy(x, labels):
        model.eval()
        with torch.no_grad():
            return float((model(x).argmax(1) == labels).float().mean())

    x, labels = draw(1_000)
    shifted = 0.3 * x + 10
    before, broken = accuracy(x, labels), accuracy(shifted, labels)
    norm.precise_bn(model, [0.3 * draw(500)[0] + 10 for _ in range(4)])
    recovered = accuracy(shifted, labels)
    assert before > 0.95
    assert broken < 0.6
    assert recovered > 0.95
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, weights[name])


def test_s2_3_the_same_loss_takes_pairs_from_labels_or_from_views():
    """Pairs built from labels lower the loss of embeddings that know the label, as views do."""
    codes = unit(20, 8)
    of_labels = nt_xent_of_label_pairs(codes)
    assert of_labels < float(losses.nt_xent(codes, codes[torch.randperm(20)], 0.1))
    assert of_labels == pytest.approx(float(losses.nt_xent(codes, codes, 0.1)))
    labels = torch.arange(20) % 5
    assert losses.batch_all_triplet_loss(codes, labels, 0.2).ndim == 0


def nt_xent_of_label_pairs(codes):
    """20 classes, two different images of each: a class has one code, whatever the image."""
    labels = torch.arange(20).repeat(2)
    embeddings = codes[labels]
    return float(losses.nt_xent(embeddings[:20], embeddings[20:], 0.1))


def test_s2_4_every_anchor_has_one_positive_and_all_other_views_as_negatives():
    n = 500
    # A constant embedding makes all candidates equal: the loss is the log of their number.
    constant = torch.ones(n, 4, dtype=torch.float64)
    candidates = math.exp(float(losses.nt_xent(constant, constant)))
    assert candidates == pytest.approx(1 + 2 * (n - 1))
    assert math.log(candidates) == pytest.approx(6.907, abs=5e-4)
    # Which of them is the positive: only the anchor's other view raises its score.
    z0, z1 = unit(6, 16), unit(6, 16)
    attracts = similarity_gradient(z0, z1) < 0
    assert attracts.sum(1).tolist() == [1] * 12
    assert (similarity_gradient(z0, z1) > 0).sum(1).tolist() == [2 * 6 - 2] * 12
    assert attracts.nonzero()[:, 1].tolist() == [(i + 6) % 12 for i in range(12)]


def similarity_gradient(z0, z1, temperature=0.5):
    """Derivative of NT-Xent with respect to every entry of the (2N, 2N) similarity matrix.

    Unit vectors with prescribed similarities need not exist, so the entries are moved one by one
    in a naive loop over anchors, which the package's loss has to agree with.
    """
    z = torch.cat([z0, z1])
    n = len(z0)
    similarity = (z @ z.T).requires_grad_()
    total = torch.zeros((), dtype=z.dtype)
    for i in range(2 * n):
        others = [j for j in range(2 * n) if j != i]
        logits = similarity[i, others] / temperature
        total = total + torch.logsumexp(logits, 0) - similarity[i, (i + n) % (2 * n)] / temperature
    loss = total / (2 * n)
    assert loss.item() == pytest.approx(losses.nt_xent(z0, z1, temperature).item())
    return torch.autograd.grad(loss, similarity)[0]


def test_s2_5_positives_attract_and_negatives_repel():
    gradient = similarity_gradient(unit(5, 8), unit(5, 8))
    positive = torch.eye(10, dtype=torch.bool).roll(5, 1)
    negative = ~positive & ~torch.eye(10, dtype=torch.bool)
    assert (gradient[positive] < 0).all()
    assert (gradient[negative] > 0).all()


def test_s2_9_an_easy_shared_feature_wins_the_task_and_takes_the_neighbours():
    """Nothing is trained: random networks on subsets whose policies are shifts."""

    def measured(shift, kind):
        return toy.run_toy(10, 25, shift, kind, seeds=range(3))

    chance = toy.chance(10, 25).own_subset
    without, shortcut = measured(0.0, "none"), measured(1.0, "none")
    assert without.own_subset == pytest.approx(chance, abs=0.03)
    assert shortcut.cross > without.cross + 0.02  # the contrastive task looks better solved
    assert shortcut.own_subset > 0.85  # while neighbours are policy neighbours
    assert measured(1.0, "global").own_subset > 0.85  # one BN for all does nothing about it
    split = measured(1.0, "split")
    assert split.own_subset < chance / 2  # own statistics remove it, and overshoot


def test_s2_10_training_needs_no_labels_but_every_accuracy_does():
    assert not any("label" in name for name in inspect.signature(losses.nt_xent).parameters)
    for accuracy in (metrics.cluster_accuracy, metrics.knn_accuracy, metrics.linear_probe):
        assert any("labels" in name for name in inspect.signature(accuracy).parameters)


# -- KL divergence ----------------------------------------------------------------------------


def test_s3_1_closed_form_equals_the_integral():
    x = np.linspace(-30, 30, 200_001)

    def log_density(mean, std):
        return -((x - mean) ** 2) / (2 * std**2) - math.log(std * math.sqrt(2 * math.pi))

    for p, q in [((0, 1), (1, 2)), ((-1, 0.5), (0, 1.5)), ((2, 3), (2, 1.2))]:
        integrand = np.exp(log_density(*p)) * (log_density(*p) - log_density(*q))
        assert kl(*p, *q) == pytest.approx(float(trapezoid(integrand, x)), abs=1e-8)


def test_s3_2_it_grows_with_difference_so_it_is_no_similarity():
    apart = [kl(0, 1, shift, 1) for shift in (0, 0.5, 1, 2, 4)]
    assert apart[0] == 0
    assert apart == sorted(apart)
    assert apart[2] == pytest.approx(0.5)


def test_s3_3_it_is_not_symmetric():
    assert kl(0, 1, 0, 2) == pytest.approx(0.3181, abs=5e-5)
    assert kl(0, 2, 0, 1) == pytest.approx(0.8069, abs=5e-5)


def test_s3_4_it_is_zero_for_equal_distributions():
    for mean, std in [(0, 1), (-3, 0.1), (7, 12)]:
        assert kl(mean, std, mean, std) == pytest.approx(0, abs=1e-12)


def test_s3_5_minus_d_is_one_of_four_terms():
    zero, half = torch.zeros(5, dtype=torch.float64), torch.full((5,), 0.5, dtype=torch.float64)
    one = torch.eye(5, dtype=torch.float64)
    equal = losses.kl_multivariate_normal_terms(zero, one, zero, one)
    assert float(equal.dimension) == -2.5
    assert float(equal.total) == pytest.approx(0, abs=1e-12)  # not -5: the trace makes up for it
    assert float(losses.kl_multivariate_normal(half, one, zero, one)) == pytest.approx(0.625)
    mean_p, std_p, mean_q, std_q = 0.3, 1.2, -0.5, 0.7
    trace, mean = std_p**2 / std_q**2, (mean_p - mean_q) ** 2 / std_q**2
    determinant = 2 * math.log(std_q / std_p)
    expected = 0.5 * (trace - 1 + mean + determinant)
    assert kl(mean_p, std_p, mean_q, std_q) == pytest.approx(expected)


def test_s3_6_it_is_positive_for_different_distributions():
    rng = np.random.default_rng(0)
    for mean_p, std_p, mean_q, std_q in np.abs(rng.normal(size=(200, 4))) + 0.01:
        assert kl(mean_p, std_p, mean_q, std_q) > 0


def test_s3_7_it_is_not_monotone_in_its_parameters():
    values = [kl(0, 1, 2, s) for s in (1, 1.5, math.sqrt(5), 3, 5)]
    assert values == pytest.approx([2.0, 1.017, 0.805, 0.876, 1.209], abs=5e-4)
    fine = np.linspace(1, 5, 4_001)
    two, zero, one = (torch.full((len(fine),), x, dtype=torch.float64) for x in (2.0, 0.0, 1.0))
    best = fine[int(losses.kl_normal(zero, one, two, torch.from_numpy(fine)).argmin())]
    assert best**2 == pytest.approx(5, abs=0.01)


def test_s3_8_the_triangle_inequality_fails():
    direct, first, second = kl(0, 1, 2, 1), kl(0, 1, 1, 1), kl(1, 1, 2, 1)
    assert direct == pytest.approx(2.0)
    assert first + second == pytest.approx(1.0)
    assert direct > first + second


# -- triplet loss -----------------------------------------------------------------------------


def triple(to_positive, to_negative):
    """Anchor, positive and negative at given Euclidean distances of the anchor."""
    anchor = torch.zeros(1, 2, dtype=torch.float64)
    positive = torch.tensor([[to_positive, 0.0]], dtype=torch.float64)
    negative = torch.tensor([[0.0, to_negative]], dtype=torch.float64)
    return anchor, positive, negative


def test_s4_2_a_hard_negative_is_close():
    """For a fixed positive the loss is largest for near negatives and zero for far ones."""
    margin, positive = 0.3, 0.5
    values = [float(losses.triplet_loss(*triple(positive, d), margin)) for d in (0.2, 0.6, 1.2)]
    hard, semi_hard, easy = values
    assert hard > margin  # closer than the positive
    assert 0 < semi_hard < margin  # farther than the positive, within the margin
    assert easy == 0


def test_s4_3_the_formula():
    for to_positive, to_negative, expected in [(0.5, 1.2, 0), (0.5, 0.7, 0.1), (0.8, 0.5, 0.6)]:
        found = float(losses.triplet_loss(*triple(to_positive, to_negative), 0.3))
        assert found == pytest.approx(expected, abs=1e-6)


def test_s4_4_useful_margins_are_bounded():
    u, v = unit(2_000, 3), unit(2_000, 3)
    squared = (u - v).square().sum(1)
    assert float(squared.max()) <= 4
    assert float((u + u).square().sum(1).max()) == pytest.approx(4)  # opposite points reach it
    same = torch.ones(8, 4, dtype=torch.float64)
    for margin in (0.0, 0.3, 5.0):
        assert float(losses.triplet_loss(same, same, same, margin)) == pytest.approx(margin)


def test_s4_5_a_satisfied_triple_has_no_gradient():
    easy = [t.clone().requires_grad_() for t in triple(0.5, 1.2)]
    losses.triplet_loss(*easy, 0.3).backward()
    assert all(t.grad.abs().sum() == 0 for t in easy)
    violated = [t.clone().requires_grad_() for t in triple(0.8, 0.5)]
    losses.triplet_loss(*violated, 0.3).backward()
    assert all(t.grad.abs().sum() > 0 for t in violated)


def fit_projection(mined_loss, steps=300):
    """Noisy classes projected to the plane: spread before and after training, and the last loss."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.arange(60) % 6
    samples = normal(6, 8)[labels] + 2 * normal(60, 8)
    projection = normal(8, 2).requires_grad_()
    optimizer = torch.optim.Adam([projection], lr=0.02)
    spreads = []
    for _ in range(steps):
        points = samples @ projection
        spreads.append(float(torch.pdist(points.detach()).mean()))
        loss = mined_loss(points, labels, 0.2, distance="squared")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return spreads[0], spreads[-1], float(loss.detach())


def test_s4_6_a_collapsed_embedding_is_a_trap():
    """The hardest triplets shrink all distances to nothing, semi-hard ones do not.

    At a single point squared distances have no slope: the loss is its margin, for ever.
    """
    before, after, loss = fit_projection(losses.batch_hard_triplet_loss)
    assert after < before / 100
    assert loss == pytest.approx(0.2, abs=0.005)
    before, after, _ = fit_projection(losses.semi_hard_triplet_loss)
    assert after > before / 2
    points = torch.ones(6, 2, dtype=torch.float64, requires_grad=True)
    anchor, positive, negative = points[:2], points[2:4], points[4:]
    apart = (anchor - positive).square().sum(1) - (anchor - negative).square().sum(1)
    loss = F.relu(apart + 0.2).mean()
    assert loss.item() == pytest.approx(0.2)
    assert float(torch.autograd.grad(loss, points)[0].abs().max()) == 0
    collapsed = torch.ones(6, 2, dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    hardest = losses.batch_hard_triplet_loss(collapsed, labels, 0.2)
    assert float(hardest) == pytest.approx(0.2, abs=1e-6)


# -- Batch Normalization ----------------------------------------------------------------------


def test_s5_2_training_output_depends_on_batch_mates():
    layer = nn.BatchNorm2d(3)
    image, mates = torch.randn(1, 3, 4, 4), torch.randn(2, 7, 3, 4, 4)
    batches = [torch.cat([image, others]) for others in mates]
    layer.train()
    first, second = (layer(batch)[0] for batch in batches)
    assert (first - second).abs().max() > 0.01
    layer.eval()
    first, second = (layer(batch)[0] for batch in batches)
    assert torch.equal(first, second)


def test_s5_3_mean_and_variance_are_per_channel_and_before_the_affine():
    x = 3 * torch.randn(32, 4, 5, 5, dtype=torch.float64) + torch.arange(4.0).view(1, 4, 1, 1)
    layer = nn.BatchNorm2d(4).double()
    y = layer(x)
    assert y.mean((0, 2, 3)).abs().max() < 1e-12
    assert (y.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-4
    assert y[0].mean().abs() > 1e-3  # of one image, or one position, it is not
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        layer.bias.copy_(torch.tensor([4.0, 3.0, 2.0, 1.0]))
    y = layer(x)
    assert torch.allclose(y.mean((0, 2, 3)), layer.bias)
    assert torch.allclose(y.std((0, 2, 3), correction=0), layer.weight, rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_s5_4_a_step_that_breaks_a_plain_network_trains_one_with_batch_normalization(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(512) % 4
    samples = torch.randn(4, 16, generator=generator)[labels]
    samples = samples + torch.randn(512, 16, generator=generator)

    def last_loss(with_bn, lr):
        torch.manual_seed(seed)
        model = nn.Sequential(deep(6, 16, 32, with_bn), nn.Linear(32, 4))
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        return descend(optimizer, lambda: F.cross_entropy(model(samples), labels), 60)

    chance = math.log(4)
    assert last_loss(with_bn=False, lr=0.1) < chance / 4  # it can learn, by small steps
    assert not last_loss(with_bn=False, lr=2.0) < chance / 2  # nan counts as broken
    assert last_loss(with_bn=True, lr=2.0) < chance / 20


def test_s5_5_gradients_explode_with_depth_because_of_batch_normalization():
    def first_layer_gradient(depth, with_bn):
        torch.manual_seed(depth)
        net = deep(depth, 64, 64, with_bn)
        out = net(torch.randn(128, 64))
        (out * torch.randn_like(out)).sum().backward()
        return float(net[0].weight.grad.norm())

    with_bn = [np.log(first_layer_gradient(depth, True)) for depth in (10, 30, 50)]
    without = [np.log(first_layer_gradient(depth, False)) for depth in (10, 30, 50)]
    per_layer = (with_bn[2] - with_bn[0]) / 40
    # Yang et al. find a factor of sqrt(pi / (pi - 1)) per layer in the limit of wide layers.
    assert per_layer == pytest.approx(0.5 * math.log(math.pi / (math.pi - 1)), abs=0.05)
    assert with_bn == sorted(with_bn)
    assert abs(without[2] - without[0]) < with_bn[2] - with_bn[0]


@pytest.mark.slow
def test_s5_7_at_equal_training_accuracy_batch_normalization_tests_worse():
    """Two networks fit the same 200 images; who gets more test images right once both have?"""
    parts = [data.load("shapes", split, "cpu") for split in ("train", "test")]
    images, test = (F.avg_pool2d((part.images.float() / 255 - 0.5) / 0.25, 2) for part in parts)
    labels, test_labels = (part.labels for part in parts)

    def when_fitted(kind, seed):
        """Steps until 99% of the training images are right, and the test accuracy there."""
        draw = torch.Generator().manual_seed(seed)
        few = torch.randperm(len(images), generator=draw)[:200]
        torch.manual_seed(seed)
        model = norm.convert_norm(classifier(10), kind)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def accuracy(x, y):
            with torch.no_grad():
                return float((model.eval()(x).argmax(1) == y).float().mean())

        for step in range(1, 1001):
            rows = few[torch.randperm(200, generator=draw)[:100]]
            loss = F.cross_entropy(model.train()(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 10 == 0 and accuracy(images[few], labels[few]) >= 0.99:
                return step, accuracy(test[:1000], test_labels[:1000])
        raise AssertionError(f"{kind}, seed {seed}: has not fitted 200 images in 1,000 steps")

    for seed in range(2):
        (plain_steps, plain), (bn_steps, bn) = (when_fitted(k, seed) for k in ("none", "bn"))
        assert bn_steps < plain_steps  # it memorises sooner ...
        assert bn < plain - 0.05  # ... and generalises worse, in this small setting


def test_s5_8_batch_renormalization_removes_the_difference_to_evaluation():
    layer = norm.BatchRenorm2d(3, total_steps=0, r_max=math.inf, d_max=math.inf).double()
    layer(2 * torch.randn(16, 3, 4, 4, dtype=torch.float64) + 1)
    frozen = copy.deepcopy(layer).eval()
    x = 5 * torch.randn(16, 3, 4, 4, dtype=torch.float64) - 3
    assert (layer(x) - frozen(x)).abs().max() < 1e-12
    # With r = 1 and d = 0 forced it is Batch Normalization.
    plain = norm.BatchRenorm2d(3, total_steps=0, r_max=1, d_max=0).double()
    assert torch.allclose(plain(x), nn.BatchNorm2d(3).double()(x))


def test_s5_9_batch_renormalization_adds_no_weights():
    renorm, plain = norm.BatchRenorm2d(8), nn.BatchNorm2d(8)
    assert {n: p.shape for n, p in renorm.named_parameters()} == {
        n: p.shape for n, p in plain.named_parameters()
    }


# -- split Batch Normalization ----------------------------------------------------------------


def test_s6_1_one_network_with_k_statistics_not_k_networks():
    plain = build("two_conv_strided").encoder
    split = norm.convert_norm(copy.deepcopy(plain), "split", 10)
    weights = sum(p.numel() for p in plain.parameters())
    assert sum(p.numel() for p in split.parameters()) == weights
    statistics = {m.running_mean.shape[0] for m in split.modules() if hasattr(m, "running_mean")}
    assert statistics == {10}


def test_s6_2_split_equals_k_separate_layers_and_concatenation():
    k, x = 4, torch.randn(32, 6, 3, 3, dtype=torch.float64)
    split = norm.SplitBatchNorm2d(6, k).double()
    separate = [nn.BatchNorm2d(6).double() for _ in range(k)]
    expected = torch.cat([bn(part) for bn, part in zip(separate, x.chunk(k), strict=True)])
    assert torch.allclose(split(x), expected)


def test_s6_3_subsets_share_weights_though_not_statistics():
    conv, bn = nn.Conv2d(3, 4, 3).double(), norm.SplitBatchNorm2d(4, 2).double()
    x = torch.randn(8, 3, 6, 6, dtype=torch.float64)
    changed = x.clone()
    changed[4:] += torch.randn_like(changed[4:])  # the second subset only

    def run(batch):
        y = bn(conv(batch))
        conv.zero_grad()
        y.pow(3).sum().backward()
        return y.detach(), conv.weight.grad.clone()

    (before, gradient), (after, other_gradient) = run(x), run(changed)
    assert torch.allclose(before[:4], after[:4])  # the first subset is normalised as before
    assert (gradient - other_gradient).abs().max() > 1e-3  # but its network will learn otherwise


def test_s6_4_smaller_groups_fluctuate_more_unless_subsets_differ():
    k, m = 10, 50
    noise = torch.randn(4_000, k, m, dtype=torch.float64)
    of_batch, of_group = noise.mean((1, 2)).std(), noise[:, 0].mean(1).std()
    assert float(of_group / of_batch) == pytest.approx(math.sqrt(k), rel=0.05)
    # Error of the statistics against the subset's own mean: the batch's ignore where a subset is.
    for spread, split_is_better in [(0.0, False), (0.05, False), (0.3, True), (1.0, True)]:
        centers = spread * torch.linspace(-1.5, 1.5, k, dtype=torch.float64)
        x = noise + centers[:, None]
        split_error = (x.mean(2) - centers).square().mean()
        batch_error = (x.mean((1, 2))[:, None] - centers).square().mean()
        assert bool(split_error < batch_error) is split_is_better


def test_s6_5_one_image_has_as_many_outputs_as_branches():
    layer = norm.SplitBatchNorm2d(3, 4)
    subset = torch.arange(4.0).repeat_interleave(8).view(32, 1, 1, 1)
    for _ in range(30):
        layer((1 + subset) * torch.randn(32, 3, 4, 4) + subset)
    image = torch.randn(1, 3, 4, 4)
    outputs = []
    for how in ("branch:0", "branch:1", "branch:2", "branch:3", "mean", "pooled"):
        with torch.no_grad(), norm.evaluation_statistics(layer, how) as forward:
            outputs.append(forward(image))
    for first, second in itertools.combinations(outputs, 2):
        assert (first - second).abs().max() > 1e-3


def test_s6_6_two_published_groupings_differ():
    """Constant rows 0..15 in four groups: the group's mean says who shares one."""
    rows = torch.arange(16.0, dtype=torch.float64).view(16, 1, 1, 1)

    def members(grouping):
        layer = norm.SplitBatchNorm2d(1, 4, momentum=1.0, grouping=grouping).double()
        layer(rows)
        means = layer.running_mean.flatten()
        return [float(mean) for mean in means]

    assert members("interleaved") == [6, 7, 8, 9]  # {0,4,8,12}, {1,5,9,13}, ...
    assert members("contiguous") == [1.5, 5.5, 9.5, 13.5]  # {0,1,2,3}, {4,5,6,7}, ...
    moco = rows.flatten().view(-1, 4)  # rows i of view(-1, C * K, H, W) hold samples i mod K
    assert moco.mean(0).tolist() == members("interleaved")


# -- the algorithm ----------------------------------------------------------------------------


def test_s7_1_both_views_use_the_same_parameters():
    model = seeded(0, "two_conv_strided")
    twin = copy.deepcopy(model)
    images = torch.rand(8, 3, 32, 32)
    _, z0 = model(images)
    _, z1 = model(images.flip(3))
    losses.nt_xent(z0, z1).backward()
    both = [p.grad.clone() for p in model.parameters()]
    # The gradient is the sum of the two views' contributions to the *same* tensors.
    _, z0 = twin(images)
    _, z1 = twin(images.flip(3))
    total = [torch.zeros_like(p) for p in twin.parameters()]
    for views in ((z0, z1.detach()), (z0.detach(), z1)):
        grads = torch.autograd.grad(
            losses.nt_xent(*views), list(twin.parameters()), retain_graph=True
        )
        total = [t + g for t, g in zip(total, grads, strict=True)]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(both, total, strict=True))


def test_s7_2_z_is_a_function_of_h():
    model = seeded(0, "two_conv").eval()
    images = torch.rand(4, 3, 32, 32)
    h, z = model(images)
    assert h.shape == (4, 2048)
    assert z.shape == (4, 128)
    assert torch.equal(model.head(h), z)
    assert torch.equal(model.encode(images), h)


def test_s7_5_one_step_separates_and_the_reversed_sign_collapses():
    x0 = torch.randn(32, 20)
    x1 = x0 + 0.3 * torch.randn_like(x0)

    def train(objective, steps, lr):
        torch.manual_seed(1)
        head = nn.Linear(20, 8, bias=True)
        optimizer = torch.optim.SGD(head.parameters(), lr=lr)

        def similarity():
            with torch.no_grad():
                return metrics.dot_product_similarity(head(x0), head(x1))

        before = similarity()
        descend(optimizer, lambda: objective(head(x0), head(x1)), steps)
        with torch.no_grad():
            z = torch.cat([head(x0), head(x1)])
        return before, similarity(), metrics.uniformity(z)

    before, after, _ = train(losses.nt_xent, steps=1, lr=0.5)
    assert after.positive - after.negative > before.positive - before.negative

    def as_written(z0, z1):  # make every image similar to its negatives
        z = F.normalize(torch.cat([z0, z1]), dim=1)
        return -(z @ z.T).mean()

    _, after, spread = train(as_written, steps=400, lr=1.0)
    assert after.negative > 0.95
    assert spread > -0.2  # 0 is a single point
    _, after, spread = train(losses.nt_xent, steps=400, lr=1.0)
    assert after.negative < 0.2
    assert spread < -1


def test_s7_8_positive_and_negative_are_relations():
    gradient = similarity_gradient(unit(4, 8), unit(4, 8))
    off_diagonal = ~torch.eye(8, dtype=torch.bool)
    for view in range(8):
        column = gradient[:, view][off_diagonal[:, view]]
        assert int((column < 0).sum()) == 1  # the positive of one anchor
        assert int((column > 0).sum()) == 6  # and a negative of all others


def test_s7_9_splits_are_disjoint_and_stratified():
    parts = {split: data.load("shapes", split, num_images=1_000) for split in loading.SPLITS}
    seen = {
        split: {bytes(i.numpy().tobytes()) for i in part.images} for split, part in parts.items()
    }
    for first, second in itertools.combinations(seen, 2):
        assert not seen[first] & seen[second]
    for part in parts.values():
        counts = torch.bincount(part.labels, minlength=len(part.class_names))
        assert int(counts.max() - counts.min()) <= 1
        assert int(counts.min()) > 0


def test_s7_10_nothing_but_weights_and_statistics_is_kept():
    model = seeded(0, "two_conv_strided")
    kept = {name.rpartition(".")[2] for name, _ in model.named_buffers()}
    assert kept == {"running_mean", "running_var", "num_batches_tracked"}
    z0, z1 = unit(8, 4), unit(8, 4)
    first = losses.nt_xent(z0, z1)
    losses.nt_xent(unit(8, 4), unit(8, 4))
    assert torch.equal(losses.nt_xent(z0, z1), first)


def test_s8_3_a_partition_puts_every_image_in_one_subset():
    labels = torch.arange(4_500) % 10
    ids = partition(labels, 10, seed=3)
    members = [torch.nonzero(ids == k).flatten() for k in range(10)]
    assert sorted(torch.cat(members).tolist()) == list(range(4_500))  # all images, none added
    # A random partition leaves each subset the distribution of the whole.
    values = torch.randn(4_500, dtype=torch.float64) + labels
    for index in members:
        assert torch.bincount(labels[index]).tolist() == [45] * 10
        standard_error = 1 / math.sqrt(len(index))
        assert abs(float(values[index].mean() - values.mean())) < 4 * standard_error


# -- experiments ------------------------------------------------------------------------------


def test_s9_1_ten_subsets_of_equal_size():
    ids = partition(torch.arange(45_000) % 10, 10)
    assert torch.bincount(ids).tolist() == [4_500] * 10
    batch = SubsetBatches(ids, batch_size=500).indices(0)
    assert torch.bincount(ids[batch]).tolist() == [50] * 10


def test_s9_2_both_readings_of_the_augmentation_are_registered():
    for same, different in [("S-P0", "S-P1"), ("M-P0", "M-P1")]:
        assert (CELLS[same].policy, CELLS[different].policy) == ("P0", "P1")
        for what in ("negatives", "norm", "balanced"):
            assert getattr(CELLS[same], what) == getattr(CELLS[different], what)
    assert len({policy.name for policy in augment.POLICIES}) == 10
    assert (CELLS["M-P1"].norm, CELLS["S-P1"].norm) == ("dsbn", "split")


def test_s9_3_one_joint_pass_differs_from_a_pass_per_view():
    encoder = build("two_conv_strided").encoder.train()
    views = torch.rand(2, 8, 3, 32, 32)
    views[1] *= 0.5
    with torch.no_grad():
        joint = encoder(torch.cat(list(views)))
        apart = torch.cat([encoder(view) for view in views])
    assert (joint - apart).abs().max() > 0.01


def test_s9_4_on_unit_vectors_dot_product_and_distance_rank_alike():
    def orders(points):
        query, others = points[0], points[1:]
        by_dot = (others @ query).argsort(descending=True)
        by_distance = (others - query).square().sum(1).argsort()
        return by_dot.tolist(), by_distance.tolist()

    u, v = unit(50, 8), unit(50, 8)
    assert torch.allclose((u - v).square().sum(1), 2 - 2 * (u * v).sum(1))
    by_dot, by_distance = orders(unit(50, 8))
    assert by_dot == by_distance
    by_dot, by_distance = orders(torch.tensor([[1.0, 0], [3.0, 3.0], [1.0, 0.1]]))
    assert by_dot != by_distance  # without normalisation the longer vector wins the dot product


def test_s9_5_accuracy_needs_a_map_from_clusters_to_classes():
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=2_000)
    clusters = np.where(rng.random(2_000) < 0.7, labels, rng.integers(10, size=2_000))
    matched, raw = [], []
    for _ in range(20):
        renamed = rng.permutation(10)[clusters]
        matched.append(metrics.cluster_accuracy(labels, renamed))
        raw.append(metrics.raw_accuracy(labels, renamed))
    assert max(matched) == min(matched) > 0.7
    assert max(raw) - min(raw) > 0.05
    assert np.mean(raw) < 0.3


def test_s9_6_counting_the_anchor_as_its_own_target_leaves_a_floor():
    """Targets tile(eye(N), (2, 2)) hold the anchor and its positive: half the target is trivial."""
    z = torch.eye(6, dtype=torch.float64)  # every image its own code, both views alike: solved
    both = torch.cat([z, z])
    target = torch.eye(6, dtype=torch.float64).tile(2, 2) / 2

    def with_self(temperature):
        return float(F.cross_entropy(both @ both.T / temperature, target))

    assert with_self(0.01) == pytest.approx(math.log(2))
    assert float(losses.nt_xent(z, z, 0.01)) == pytest.approx(0, abs=1e-12)


def test_s9_9_thirteen_percent_is_chance():
    rng = np.random.default_rng(0)

    def chance(n, num_clusters, score):
        return np.mean(
            [
                score(rng.permutation(np.arange(n) % 10), rng.integers(num_clusters, size=n))
                for _ in range(25)
            ]
        )

    for n, expected in [(5_000, 0.119), (6_000, 0.117), (10_000, 0.113)]:
        assert chance(n, 10, metrics.cluster_accuracy) == pytest.approx(expected, abs=0.002)
    assert chance(5_000, 20, metrics.purity) == pytest.approx(0.131, abs=0.002)
    assert chance(6_000, 20, metrics.purity) == pytest.approx(0.128, abs=0.002)
    assert chance(5_000, 10, metrics.ari) == pytest.approx(0, abs=0.001)


def test_s9_10_separate_statistics_erase_a_shift_between_subsets():
    subset = torch.arange(10.0).repeat_interleave(20).view(200, 1, 1, 1)
    x = (1 + 0.1 * subset) * torch.randn(200, 4, 3, 3) + subset

    def between(layer):
        means = layer(x).detach().unflatten(0, (10, 20)).mean((1, 3, 4))
        return float(means.var(0).mean())

    assert between(norm.SplitBatchNorm2d(4, 10)) < 1e-10 < 0.5 < between(nn.BatchNorm2d(4))


def test_s9_12_single_runs_decide_nothing():
    assert seeds_needed() == 6
    assert sign_flip_p([0.1]) == 1.0
    assert sign_flip_p([0.1, 0.2, 0.1, 0.3, 0.1]) == pytest.approx(0.0625)
    assert sign_flip_p([0.1, 0.2, 0.1, 0.3, 0.1, 0.2]) == pytest.approx(0.03125)
    five = [
        make_record(cell, seed, {"cluster_accuracy": accuracy})
        for cell, accuracy in [("B0", 0.267), ("S-P1", 0.37)]
        for seed in range(5)
    ]
    with pytest.raises(InputError, match="5 paired, 6 needed"):
        contrast(five, "S-P1", "B0", "cluster_accuracy")


def test_s9_13_counts_of_cifar10(cifar10_archive):
    if not tarfile.is_tarfile(cifar10_archive):
        pytest.skip("the images at hand are in no archive")
    counts, sizes = {}, set()
    with tarfile.open(cifar10_archive) as archive:
        for member in archive:
            if member.isfile():
                split, name, _ = member.name.rsplit("/", 2)
                key = split.rpartition("/")[2], name
                counts[key] = counts.get(key, 0) + 1
                if counts[key] == 1:
                    image = Image.open(io.BytesIO(archive.extractfile(member).read()))
                    sizes.add((image.size, image.mode))
    assert sum(n for (split, _), n in counts.items() if split == "train") == 50_000
    assert sum(n for (split, _), n in counts.items() if split == "test") == 10_000
    assert set(counts.values()) == {5_000, 1_000}
    assert len(counts) == 20
    assert sizes == {((32, 32), "RGB")}


# -- the ledger itself ------------------------------------------------------------------------


def claims_with(kind):
    return [claim for claim in LEDGER.claims if kind in claim.check]


def test_every_claim_has_a_check_that_exists_or_says_why_not():
    for claim in LEDGER.claims:
        if "none" in claim.check:
            assert len(claim.check["none"].split()) >= 5, claim.id
            assert set(claim.check) == {"none"}
        else:
            assert {"test", "records", "contrast"} & set(claim.check), claim.id
    for claim in claims_with("test"):
        assert callable(globals().get(claim.check["test"])), claim.id
    for claim in claims_with("records"):
        assert REGISTRY[claim.check["records"]], claim.id
    for claim in claims_with("contrast"):
        assert set(claim.check["contrast"]) <= set(CELLS), claim.id


def test_every_check_belongs_to_a_claim():
    named = {claim.check["test"] for claim in claims_with("test")}
    here = {name for name in globals() if name.startswith("test_s")}
    assert here == named


def test_every_claim_is_told_in_few_words_of_our_own():
    assert {claim.verdict for claim in LEDGER.claims} == set(VERDICTS)
    ids = [claim.id for claim in LEDGER.claims]
    assert len(set(ids)) == len(ids)
    for claim in LEDGER.claims:
        assert claim.sources, claim.id
        assert set(claim.contradicts) <= set(ids), claim.id
        assert claim.contradicts or claim.verdict != "contradictory", claim.id
        assert claim.claim.isascii(), f"{claim.id}: not in English"
        assert len(claim.claim) < 260, claim.id
        assert claim.correct.strip().endswith("."), claim.id


def test_recorded_contrasts_can_be_computed_once_both_cells_are_recorded():
    rules = REGISTRY.rules
    records = load_records(RESULTS, preset=rules.preset, data=rules.data)
    for claim in claims_with("contrast"):
        for record in (record for record in records if record.cell in claim.check["contrast"]):
            assert claim.check["metric"] in record.metrics, f"{claim.id}: {record.stem}"


def test_the_ledger_filters_by_verdict_and_section():
    assert LEDGER.select() == LEDGER
    wrong = LEDGER.select("wrong").claims
    assert {claim.verdict for claim in wrong} == {"wrong"}
    assert sum(len(LEDGER.select(verdict).claims) for verdict in VERDICTS) == len(LEDGER.claims)
    assert {c.section for c in LEDGER.select(section="4").claims} == {
        c.section for c in LEDGER.claims if c.section.startswith("4")
    }
    assert {c.section for c in LEDGER.select(section="2.3").claims} == {"2.3"}
    assert LEDGER.select("right", "1").claims == ()
    with pytest.raises(InputError, match="verdict: expected all, right"):
        LEDGER.select("true")


def test_the_table_shows_every_claim_once_and_escapes_its_text():
    table = LEDGER._repr_html_()
    for claim in LEDGER.claims:
        assert table.count(f">{claim.id}<br>") == 1
        assert claim.check.get("test", "") in table.replace("<wbr>", "")
    assert table.count("<tr>") == len(LEDGER.claims) + 1
    assert 'href="https://arxiv.org/abs/2002.05709"' in table
    script = replace(LEDGER.claims[0], claim="<script>", sources=("<b>",))
    assert "<script>" not in Ledger((script,), ())._repr_html_()
    assert "<caption" in Ledger((), ())._repr_html_()


def test_the_verdicts_in_the_prose_are_those_of_the_records():
    verdict = re.compile(r"\*\*([HA][A-Z]?\d+) \((supported|contradicted|undecided)\)\*\*")
    pages = {page.stem: page.read_text("utf-8") for page in (ROOT / "book").glob("*.md")}
    written = [each for page in pages.values() for each in verdict.findall(page)]
    assert len(verdict.findall(pages["10-verdicts"])) >= 20
    assert verdict.search(pages["intro"])
    registered = {
        hypothesis.id: hypothesis for study in STUDIES for hypothesis in load_hypotheses(study)
    }
    records = load_records(RESULTS, data=REGISTRY.rules.data)
    found = {name: decide(registered[name], records).outcome for name, _ in written}
    assert set(written) == set(found.items())
    assert {name for name in registered if re.fullmatch(r"H\d+|HA\d+", name)} <= set(found)
