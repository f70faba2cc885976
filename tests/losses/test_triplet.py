"""Triplet loss and mining: explicit loops over triplets, a peer, invariances, memory, bad input."""

import math
import weakref

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import randn as draw
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from watched import WAITS, Operations, fake_gpu

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import (
    TripletKind,
    batch_all_triplet_loss,
    batch_hard_triplet_loss,
    mining,
    semi_hard_triplet_loss,
    triplet_kind,
    triplet_loss,
)
from contrastive_tutorial.losses.triplet import DISTANCES

MINED = {
    "all": batch_all_triplet_loss,
    "hard": batch_hard_triplet_loss,
    "semi-hard": semi_hard_triplet_loss,
}


def classes(n, k, seed=0):
    """Labels in random order; the first two classes have at least two samples each."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat(
        [torch.tensor([0, 0, 1, 1]), torch.randint(k, (n - 4,), generator=generator)]
    )
    return labels[torch.randperm(n, generator=generator)] * 7 - 3  # any integers will do


def distance_between(x, y, distance):
    if distance == "cosine":
        return 1 - F.cosine_similarity(x, y, dim=0)
    square = (x - y).square().sum()
    return square if distance == "squared" else square.sqrt()


def mined_by_hand(embeddings, labels, margin, distance, mining):
    """The losses of the triplets that the definition of ``mining`` selects, one by one."""
    n = len(labels)

    def d(i, j):
        return distance_between(embeddings[i], embeddings[j], distance)

    losses = []
    for a in range(n):
        positives = [i for i in range(n) if i != a and labels[i] == labels[a]]
        negatives = [i for i in range(n) if labels[i] != labels[a]]
        if mining == "hard" and positives and negatives:
            losses.append(
                max(d(a, p) for p in positives) - min(d(a, i) for i in negatives) + margin
            )
        elif mining == "all":
            losses += [d(a, p) - d(a, i) + margin for p in positives for i in negatives]
        elif mining == "semi-hard":
            losses += [
                d(a, p) - d(a, i) + margin
                for p in positives
                for i in negatives
                if d(a, p) < d(a, i) < d(a, p) + margin
            ]
    active = [loss for loss in losses if loss > 0]
    return torch.stack(active).mean() if active else embeddings.sum() * 0


# Given triplets


@pytest.mark.parametrize(
    ("d_ap", "d_an", "expected", "kind"),
    [
        (0.5, 1.2, 0.0, TripletKind.EASY),
        (0.5, 0.7, 0.1, TripletKind.SEMI_HARD),
        (0.8, 0.5, 0.6, TripletKind.HARD),
    ],
)
def test_known_triplets(d_ap, d_an, expected, kind):
    a, p, n = (torch.tensor([[x]], dtype=torch.float64) for x in (0.0, d_ap, -d_an))
    assert float(triplet_loss(a, p, n, 0.3)) == pytest.approx(expected, abs=1e-12)
    assert triplet_kind(d_ap, d_an, 0.3) == kind


@pytest.mark.parametrize("distance", DISTANCES)
def test_triplet_loss_is_its_formula(distance):
    a, p, n = draw(3, 5, 4, seed=1), draw(3, 5, 4, seed=2), draw(3, 5, 4, seed=3)
    expected = torch.zeros(3, 5, dtype=torch.float64)
    for i in range(3):
        for j in range(5):
            d_ap = distance_between(a[i, j], p[i, j], distance)
            d_an = distance_between(a[i, j], n[i, j], distance)
            expected[i, j] = max(d_ap - d_an + 0.4, 0)
    torch.testing.assert_close(triplet_loss(a, p, n, 0.4, distance=distance), expected.mean())
    assert 0 < (expected > 0).sum() < expected.numel()  # some are easy, and count as zero


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 3), st.floats(0, 3), st.floats(0, 2))
def test_kinds_partition_the_plane_and_say_what_the_loss_is(d_ap, d_an, margin):
    kind = int(triplet_kind(d_ap, d_an, margin))
    excess = d_ap - d_an + margin
    if d_an > d_ap and d_an >= d_ap + margin:
        assert kind == TripletKind.EASY
        assert excess <= 1e-6
    elif d_an > d_ap:
        assert kind == TripletKind.SEMI_HARD
        assert excess <= margin
    else:
        assert kind == TripletKind.HARD
        assert excess >= margin


def test_kinds_broadcast():
    kinds = triplet_kind(torch.tensor([[0.1], [0.9]]), torch.tensor([0.2, 0.5, 1.5]), 0.3)
    assert kinds.tolist() == [[1, 0, 0], [2, 2, 0]]
    assert kinds.dtype == torch.int64
    assert triplet_kind(torch.tensor([1, 2]), 1.5, 0.3).tolist() == [0, 2]


def test_triplet_kind_keeps_every_digit_of_numbers_and_stays_on_the_device_of_tensors():
    # float32 would not tell the two distances apart, and a tie is hard.
    assert triplet_kind(0.1, 0.1 + 1e-12, 0.3) == TripletKind.SEMI_HARD
    elsewhere = torch.empty(2, device="meta")
    assert triplet_kind(elsewhere, elsewhere, 0.3).device.type == "meta"
    assert triplet_kind(elsewhere, 0.5, 0.3).device.type == "meta"
    with pytest.raises(InputError, match="got -1"):  # the bad one, not the first one
        triplet_kind(torch.tensor([0.0, 0.5, -1.0]), 0.5, 0.3)


# Mined batches


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("mining", MINED)
@pytest.mark.parametrize("margin", [0.0, 0.3, 3.0])
def test_mining_is_the_explicit_loop(mining, distance, margin):
    for seed, k in ((10, 2), (11, 4), (12, 12)):  # twelve classes: some have a single sample
        embeddings, labels = draw(13, 3, seed=seed).requires_grad_(), classes(13, k, seed)
        expected = mined_by_hand(embeddings, labels, margin, distance, mining)
        found = MINED[mining](embeddings, labels, margin, distance=distance)
        torch.testing.assert_close(found, expected)
        (found_gradient,) = torch.autograd.grad(found, embeddings)
        (expected_gradient,) = torch.autograd.grad(expected, embeddings)
        torch.testing.assert_close(found_gradient, expected_gradient)


@pytest.mark.parametrize("distance", ["euclidean", "squared", "cosine"])
@pytest.mark.parametrize("mining", ["all", "hard", "semi-hard"])
def test_mining_agrees_with_pytorch_metric_learning(mining, distance):
    embeddings, labels = draw(40, 6, seed=13), classes(40, 5, seed=13)
    margin = 0.5
    if distance == "cosine":  # the peer's margin is on the similarity: the same inequality
        measure = CosineSimilarity()
    else:  # and it normalises by default, which these functions leave to the caller
        power = 2 if distance == "squared" else 1
        measure = LpDistance(normalize_embeddings=False, power=power)
    miner = {
        "all": TripletMarginMiner(margin, "all", distance=measure),
        "semi-hard": TripletMarginMiner(margin, "semihard", distance=measure),
        "hard": BatchHardMiner(distance=measure),
    }[mining]
    loss = TripletMarginLoss(margin, distance=measure)
    peer = loss(embeddings, labels, miner(embeddings, labels))
    found = MINED[mining](embeddings, labels, margin, distance=distance)
    torch.testing.assert_close(found, peer, rtol=1e-6, atol=1e-9)


def test_distances_of_near_duplicates_are_accurate():
    # torch.cdist's fast path cancels there.
    base = 100 + draw(30, 8, seed=14)
    embeddings = torch.cat([base, base + 1e-3 * draw(30, 8, seed=15)])
    labels = torch.arange(60) % 30
    exact = float(batch_hard_triplet_loss(embeddings, labels, 5.0))
    assert float(batch_hard_triplet_loss(embeddings.float(), labels, 5.0)) == pytest.approx(
        exact, abs=2e-5
    )


@pytest.mark.parametrize("mining", MINED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_collapsed_embedding_costs_exactly_the_margin(mining, dtype):
    embeddings = torch.full((12, 5), 0.3, dtype=dtype, requires_grad=True)
    for distance in DISTANCES:
        loss = MINED[mining](embeddings, torch.arange(12) % 3, 0.25, distance=distance)
        (gradient,) = torch.autograd.grad(loss, embeddings)
        costs = 0 if mining == "semi-hard" else 0.25  # there is no such triplet
        assert float(loss.detach()) == pytest.approx(costs, abs=1e-6)
        assert torch.isfinite(gradient).all()
        if distance != "cosine":  # nothing pulls it apart: the trap of hard mining
            assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("mining", MINED)
def test_when_every_triplet_is_easy_the_loss_is_zero_and_so_is_the_gradient(mining):
    labels = torch.arange(8) % 2
    embeddings = (10.0 * labels[:, None] + 0.01 * draw(8, 3, seed=16).float()).requires_grad_()
    loss = MINED[mining](embeddings, labels, 1.0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(embeddings.grad, torch.zeros_like(embeddings))


def test_chunks_change_nothing(monkeypatch):
    embeddings, labels = draw(37, 4, seed=17), classes(37, 5, seed=17)
    for mine in (batch_all_triplet_loss, semi_hard_triplet_loss):
        whole = mine(embeddings, labels, 0.5)
        with monkeypatch.context() as patch:
            patch.setattr(mining, "_CHUNK", 100)  # two anchors at a time, and one left over
            assert torch.equal(mine(embeddings, labels, 0.5), whole)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("mining", MINED)
def test_mined_gradcheck(mining, distance):
    embeddings, labels = draw(9, 2, seed=18).requires_grad_(), classes(9, 3, seed=18)
    assert torch.autograd.gradcheck(
        lambda x: MINED[mining](x, labels, 0.5, distance=distance), (embeddings,)
    )


@pytest.mark.parametrize("distance", DISTANCES)
def test_triplet_gradcheck(distance):
    leaves = [draw(4, 3, seed=s).requires_grad_() for s in (19, 20, 21)]
    assert torch.autograd.gradcheck(lambda *x: triplet_loss(*x, 1.0, distance=distance), leaves)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1.0, 1e8, 1e18])
@pytest.mark.parametrize("mining", MINED)
def test_extreme_inputs_stay_finite(mining, scale, dtype):
    embeddings = (draw(12, 4, seed=22) * scale).to(dtype).requires_grad_()
    labels = classes(12, 3, seed=22)
    for distance in DISTANCES:
        loss = MINED[mining](embeddings, labels, 0.2, distance=distance)
        (gradient,) = torch.autograd.grad(loss, embeddings)
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
        row = triplet_loss(embeddings, embeddings.flip(0), embeddings.roll(1, 0), distance=distance)
        assert torch.isfinite(row)


def plain(embeddings, labels, margin, distance):
    return triplet_loss(embeddings, embeddings.flip(0), embeddings.roll(1, 0), margin,
                        distance=distance)  # fmt: skip


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("loss", [*MINED.values(), plain])
def test_inside_bfloat16_autocast_the_loss_is_that_of_float32(loss, distance):
    embeddings, labels = draw(24, 8, seed=23).float(), classes(24, 4, seed=23)
    exact = loss(embeddings.double(), labels, 0.5, distance=distance)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(embeddings, labels, 0.5, distance=distance)
    assert torch.equal(inside, loss(embeddings, labels, 0.5, distance=distance))
    assert float(inside) == pytest.approx(float(exact), rel=1e-5)


class LiveBytes(TorchDispatchMode):
    """Adds up the storages that are alive at once, and remembers the most; backward included."""

    def __init__(self):
        super().__init__()
        self.alive, self.most, self.seen = 0, 0, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes():
                storage = tensor.untyped_storage()
                if storage._cdata not in self.seen:
                    self.seen.add(storage._cdata)
                    self.alive += storage.nbytes()
                    weakref.finalize(storage, self.forget, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.alive)
        return made

    def forget(self, key, size):
        self.seen.discard(key)
        self.alive -= size


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("mining", MINED)
def test_a_batch_of_1024_stays_far_below_a_gibibyte(mining, distance):
    n = 1024
    embeddings = draw(n, 32, seed=26).float().requires_grad_()
    with LiveBytes() as memory:
        MINED[mining](embeddings, torch.arange(n) % 10, 0.5, distance=distance).backward()
    assert 4 * n * n <= memory.most <= 2**30 / 8  # n**3 floats would take 4 GiB


# Bad input

GOOD, LABELS = torch.eye(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(MINED)), st.sampled_from([math.nan, math.inf, -math.inf]),
    st.integers(0, 5), st.integers(0, 3), st.sampled_from([torch.float32, torch.bfloat16]),
)  # fmt: skip
def test_embeddings_that_are_not_finite_are_named(mining, value, row, column, dtype):
    bad = GOOD.to(dtype).clone()
    bad[row, column] = value
    with pytest.raises(InputError, match=rf"^embeddings: expected finite values, got {value}"):
        MINED[mining](bad, LABELS)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(MINED)), st.integers(1, 12), st.integers(-5, 5))
def test_batches_without_triplets_are_named(mining, n, label):
    embeddings = draw(n, 3, seed=25)
    with pytest.raises(InputError, match=r"^labels: expected at least two classes, got 1"):
        MINED[mining](embeddings, torch.full((n,), label))
    if n > 1:
        with pytest.raises(
            InputError, match=r"^labels: expected a class with at least two samples"
        ):
            MINED[mining](embeddings, torch.arange(n) + label)


@pytest.mark.parametrize("strategy", MINED)
@pytest.mark.parametrize("labels", [torch.zeros(5), torch.arange(5)])
def test_without_triplets_a_gpu_gets_zero_and_no_gradient(strategy, labels, monkeypatch):
    monkeypatch.setattr(mining, "looks_at_values", lambda *_: False)  # as there
    leaf = draw(5, 3, seed=25).requires_grad_()
    loss = MINED[strategy](leaf, labels.long())
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert float(loss.detach()) == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("mining", MINED)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"embeddings": GOOD[0]}, "embeddings"),
        ({"embeddings": GOOD[:, :0]}, "embeddings"),
        ({"embeddings": GOOD.long()}, "embeddings"),
        ({"embeddings": GOOD.tolist()}, "embeddings"),
        ({"labels": LABELS[:5]}, "labels"),
        ({"labels": LABELS[:, None]}, "labels"),
        ({"labels": LABELS.float()}, "labels"),
        ({"labels": LABELS.tolist()}, "labels"),
        ({"labels": LABELS.to("meta")}, "labels"),
        ({"margin": -0.1}, "margin"),
        ({"margin": math.nan}, "margin"),
        ({"margin": math.inf}, "margin"),
        ({"distance": "manhattan"}, "distance"),
        ({"embeddings": GOOD * 1e25, "distance": "squared"}, "embeddings"),
    ],
)
def test_bad_arguments_are_named(mining, arguments, named):
    with pytest.raises(InputError, match=rf"^{named}: expected .*got") as caught:
        MINED[mining](**({"embeddings": GOOD, "labels": LABELS} | arguments))
    assert "\n" not in str(caught.value)


NAN = torch.full((6, 4), math.nan)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: triplet_loss(GOOD, GOOD[:2], GOOD), "positive"),
        (lambda: triplet_loss(GOOD, GOOD, GOOD.double()), "negative"),
        (lambda: triplet_loss(GOOD.long(), GOOD, GOOD), "anchor"),
        (lambda: triplet_loss(GOOD[:0], GOOD[:0], GOOD[:0]), "anchor"),
        (lambda: triplet_loss(GOOD[0, 0], GOOD[0, 0], GOOD[0, 0]), "anchor"),
        (lambda: triplet_loss(NAN, GOOD, GOOD), "anchor"),
        (lambda: triplet_loss(GOOD, NAN, GOOD), "positive"),
        (lambda: triplet_loss(GOOD, GOOD, NAN), "negative"),
        (lambda: triplet_loss(GOOD.tolist(), GOOD, GOOD), "anchor"),
        (lambda: triplet_loss(GOOD, GOOD.tolist(), GOOD), "positive"),
        (lambda: triplet_loss(GOOD, GOOD, GOOD.tolist()), "negative"),
        (lambda: triplet_loss(GOOD, GOOD, GOOD[:2]), "negative"),
        (lambda: triplet_loss(GOOD, GOOD * 1e25, -GOOD, distance="squared"), "positive"),
        (lambda: triplet_loss(GOOD, GOOD, GOOD, -1), "margin"),
        (lambda: triplet_loss(GOOD, GOOD, GOOD, distance="l1"), "distance"),
        (lambda: triplet_kind(-1.0, 0.5, 0.3), "d_ap"),
        (lambda: triplet_kind(1.0, math.nan, 0.3), "d_an"),
        (lambda: triplet_kind(1.0, 0.5, -0.3), "margin"),
        (lambda: triplet_kind(torch.ones(2), torch.ones(3), 0.3), "d_an"),
    ],
)
def test_other_bad_arguments_are_named(call, named):
    with pytest.raises(InputError, match=rf"^{named}: expected .*got"):
        call()


def test_what_is_not_said():
    a, p, n = (2 * draw(8, 3, seed=s) for s in (40, 41, 42))
    said = triplet_loss(a, p, n, 0.2, distance="euclidean")
    assert torch.equal(triplet_loss(a, p, n), said)
    embeddings, labels = draw(13, 3, seed=43), classes(13, 3, seed=43)
    for mine in (batch_all_triplet_loss, batch_hard_triplet_loss, semi_hard_triplet_loss):
        said = mine(embeddings, labels, 0.2, distance="euclidean")
        assert torch.equal(mine(embeddings, labels), said)


def test_what_all_embeddings_share_costs_no_digits_of_the_gradient():
    embeddings, labels = (draw(16, 4, seed=47) + 1e5).float(), classes(16, 4, seed=47)
    wide, narrow = embeddings.double().requires_grad_(), embeddings.clone().requires_grad_()
    batch_all_triplet_loss(wide, labels, 1.0).backward()
    batch_all_triplet_loss(narrow, labels, 1.0).backward()
    error = (narrow.grad - wide.grad).norm() / wide.grad.norm()
    assert error < 1e-4


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("mining", MINED)
def test_second_order(mining, distance):
    """Against the loop over triplets, whose distances are plain operations of torch."""
    embeddings, labels = draw(9, 3, seed=50).requires_grad_(), classes(9, 3, seed=50)

    def bent(loss):
        (first,) = torch.autograd.grad(loss, embeddings, create_graph=True)
        return torch.autograd.grad(first.square().sum(), embeddings)[0]

    found = bent(MINED[mining](embeddings, labels, 1.0, distance=distance))
    expected = bent(mined_by_hand(embeddings, labels, 1.0, distance, mining))
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected)


def test_second_order_of_equal_points_is_finite():
    embeddings = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    loss = batch_all_triplet_loss(embeddings, torch.tensor([0, 0, 1, 1]), 1.0)
    (first,) = torch.autograd.grad(loss, embeddings, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), embeddings)
    assert torch.isfinite(second).all()


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("mining", MINED)
def test_the_transforms_of_torch_func(mining, distance):
    many, labels = draw(3, 9, 3, seed=51), classes(9, 3, seed=51)

    def loss(x):
        return MINED[mining](x, labels, 1.0, distance=distance)

    torch.testing.assert_close(torch.func.vmap(loss)(many), torch.stack([loss(x) for x in many]))
    leaf = many[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(many)[0], expected)


@pytest.mark.parametrize("exponent", [-36, -13, 18, 36])
def test_the_length_of_a_row_does_not_count_for_the_cosine(exponent):
    embeddings, labels = draw(9, 3, seed=52).float(), classes(9, 3, seed=52)
    far = embeddings * 10.0**exponent
    torch.testing.assert_close(
        batch_all_triplet_loss(far, labels, distance="cosine"),
        batch_all_triplet_loss(embeddings, labels, distance="cosine"),
    )
    torch.testing.assert_close(
        triplet_loss(far, far.flip(0), embeddings.roll(1, 0), distance="cosine"),
        triplet_loss(embeddings, embeddings.flip(0), embeddings.roll(1, 0), distance="cosine"),
    )


@pytest.mark.parametrize("strategy", MINED)
def test_how_often_a_gpu_is_waited_for(strategy, monkeypatch):
    monkeypatch.setattr(mining, "looks_at_values", lambda *_: False)  # as there
    with Operations(*WAITS) as waits:
        MINED[strategy](draw(9, 3, seed=53), classes(9, 3, seed=53))
    # The size of the largest class; batch-hard needs none.
    assert waits.seen == ["aten._local_scalar_dense.default"] * (strategy != "hard")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool])
def test_labels_of_any_integers(dtype):
    embeddings, labels = draw(8, 3, seed=54), torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    for mine in MINED.values():
        found = mine(embeddings, labels.to(dtype), 1.0)
        assert torch.equal(found, mine(embeddings, labels, 1.0))
        spread = labels * 2**62 - 2**61  # far apart, and negative
        assert torch.equal(mine(embeddings, spread, 1.0), found)


@fake_gpu
def test_given_triplets_and_batch_hard_read_no_value_from_a_gpu():
    with FakeTensorMode():
        x = torch.empty(6, 4, device="cuda")
        assert triplet_loss(x, x, x).device.type == "cuda"
        labels = torch.empty(6, dtype=torch.int64, device="cuda")
        assert batch_hard_triplet_loss(x, labels).device.type == "cuda"


def test_equal_rows_have_a_second_derivative():
    anchor = torch.tensor([[1.0, 2.0]], requires_grad=True)
    loss = triplet_loss(anchor, anchor.detach().clone(), torch.tensor([[1.5, 2.0]]), 1.0)
    (first,) = torch.autograd.grad(loss, anchor, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), anchor)
    assert torch.isfinite(first).all()
    assert torch.isfinite(second).all()


def test_the_mean_of_large_losses_is_finite_where_each_of_them_is():
    far = torch.full((2, 1), 3e38)
    assert float(triplet_loss(torch.zeros(2, 1), far, torch.zeros(2, 1))) == pytest.approx(3e38)
    rows = torch.tensor([[0.0], [3e38], [0.0], [3e38]])
    for mined in (batch_hard_triplet_loss, batch_all_triplet_loss):
        assert float(mined(rows, torch.tensor([0, 0, 1, 1]))) == pytest.approx(3e38)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mining", MINED)
def test_equal_distances_of_whole_numbers_are_a_tie(mining, dtype):
    """Squared distances of whole numbers are whole, so that ties are exact by hand."""
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(-2, 3, (10, 3), generator=generator).to(dtype)
        labels = torch.randint(-2, 2, (10,), generator=generator)
        expected = mined_by_hand(rows, labels, 1.0, "squared", mining)
        found = MINED[mining](rows, labels, 1.0, distance="squared")
        torch.testing.assert_close(found, torch.as_tensor(expected, dtype=dtype))


@pytest.mark.parametrize("mining", MINED)
def test_an_outlier_costs_the_others_no_digits_wherever_it_stands(mining):
    labels = torch.arange(32) % 4
    rows = 100 + draw(32, 8).float()
    rows[0] += 1e4
    labels[0] = 9  # neither a positive nor, at this distance, a negative that counts
    gradients = []
    for order in (torch.arange(32), torch.arange(32).roll(-1)):
        x = rows[order].requires_grad_()
        MINED[mining](x, labels[order], 0.5).backward()
        gradients.append(x.grad[order.argsort()])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)
