"""NT-Xent, InfoNCE and N-pair loss: a double loop, closed forms, peers, and how they relate."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import randn as draw
from pytorch_metric_learning.distances import DotProductSimilarity
from pytorch_metric_learning.losses import NPairsLoss, NTXentLoss, SelfSupervisedLoss
from torch._subclasses.fake_tensor import FakeTensorMode
from watched import fake_gpu

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses.ntxent import info_nce, nt_xent, nt_xent_floor
from contrastive_tutorial.losses.triplet import triplet_loss


def algorithm_1(z0, z1, temperature):
    """SimCLR's Algorithm 1, line by line: views of image k are rows 2k - 1 and 2k."""
    z = [row for pair in zip(z0.tolist(), z1.tolist(), strict=True) for row in pair]
    n = len(z) // 2

    def s(i, j):
        dot = math.fsum(a * b for a, b in zip(z[i], z[j], strict=True))
        return dot / (math.hypot(*z[i]) * math.hypot(*z[j]))

    def loss(i, j):
        others = math.fsum(math.exp(s(i, k) / temperature) for k in range(2 * n) if k != i)
        return -math.log(math.exp(s(i, j) / temperature) / others)

    return sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)


# NT-Xent: values


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 5), (12, 4)])
def test_nt_xent_is_algorithm_1(n, d, temperature):
    z0, z1 = draw(n, d, seed=1), draw(n, d, seed=2)
    expected = algorithm_1(z0, z1, temperature)
    assert float(nt_xent(z0, z1, temperature)) == pytest.approx(expected, rel=1e-12)


def test_nt_xent_of_identical_embeddings_is_log_2n_minus_1():
    z = torch.ones(500, 16)
    for temperature in (1e-3, 0.5, 100.0):
        assert float(nt_xent(z, z, temperature)) == pytest.approx(math.log(999), abs=1e-5)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_nt_xent_agrees_with_pytorch_metric_learning(temperature):
    z0, z1 = draw(16, 8, seed=3), draw(16, 8, seed=4)
    peer = SelfSupervisedLoss(NTXentLoss(temperature=temperature))(z0, z1)
    torch.testing.assert_close(nt_xent(z0, z1, temperature), peer, rtol=1e-6, atol=0)


def test_a_loss_of_a_hundred_is_not_cut_off():
    # Every positive is orthogonal, one negative identical; log(p + tiny) ends at 87 in float32.
    assert float(nt_xent(torch.eye(2), torch.eye(2).flip(0), 0.01)) == pytest.approx(100, rel=1e-6)


def test_nt_xent_without_normalisation_is_a_cross_entropy_of_dot_products():
    z0, z1 = draw(5, 3, seed=5), draw(5, 3, seed=6)
    z = torch.cat([z0, z1])
    logits = z @ z.T / 0.5
    logits.fill_diagonal_(-math.inf)
    expected = F.cross_entropy(logits, torch.tensor([5, 6, 7, 8, 9, 0, 1, 2, 3, 4]))
    torch.testing.assert_close(nt_xent(z0, z1, normalize=False), expected, rtol=1e-12, atol=0)
    peer = SelfSupervisedLoss(
        NTXentLoss(temperature=0.5, distance=DotProductSimilarity(normalize_embeddings=False))
    )(z0, z1)
    torch.testing.assert_close(nt_xent(z0, z1, normalize=False), peer, rtol=1e-6, atol=0)


def test_groups_are_independent_problems_and_the_mean_runs_over_all_anchors():
    z0, z1 = draw(4, 6, 5, seed=7), draw(4, 6, 5, seed=8)
    alone = torch.stack([nt_xent(a, b) for a, b in zip(z0, z1, strict=True)])
    torch.testing.assert_close(nt_xent(z0, z1), alone.mean(), rtol=1e-12, atol=0)
    one = nt_xent(z0[:1], z1[:1])
    torch.testing.assert_close(one, alone[0], rtol=1e-12, atol=0)


# NT-Xent: symmetries


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 10_000), st.floats(0.05, 5))
def test_nt_xent_symmetries(n, d, seed, temperature):
    z0, z1 = draw(n, d, seed=seed), draw(n, d, seed=seed + 1)
    loss = nt_xent(z0, z1, temperature)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    lengths = draw(n, 1, seed=seed + 2).abs() + 0.1
    rotation = torch.linalg.qr(draw(d, d, seed=seed + 3)).Q
    swap = draw(n, 1, seed=seed + 4) > 0
    same = {
        "views swapped": (z1, z0),
        "views swapped image by image": (torch.where(swap, z1, z0), torch.where(swap, z0, z1)),
        "images permuted": (z0[order], z1[order]),
        "vectors rescaled": (z0 * lengths, z1 * lengths.flip(0)),
        "space rotated": (z0 @ rotation, z1 @ rotation),
    }
    for what, (a, b) in same.items():
        torch.testing.assert_close(nt_xent(a, b, temperature), loss, msg=what)
    assert loss >= 0
    assert loss <= math.log(2 * n - 1) + 2 / temperature


# NT-Xent: numerics


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3)])
@pytest.mark.parametrize("normalize", [True, False])
def test_nt_xent_gradcheck(shape, normalize):
    z0, z1 = draw(*shape, seed=13).requires_grad_(), draw(*shape, seed=14).requires_grad_()
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, b, t: nt_xent(a, b, t, normalize=normalize), (z0, z1, temperature)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extreme_inputs_stay_finite(dtype):
    largest = torch.finfo(dtype).max / 8
    for scale in (1e-30, 1e-4, 1.0, 1e4, 1e30):
        z0 = (draw(6, 4, seed=15) * scale).clamp(-largest, largest).to(dtype).requires_grad_()
        z1 = (draw(6, 4, seed=16) * scale).clamp(-largest, largest).to(dtype)
        for temperature in (1e-4, 0.5, 1e4):
            loss = nt_xent(z0, z1, temperature)
            (gradient,) = torch.autograd.grad(loss, z0)
            assert loss.dtype == torch.float32
            assert torch.isfinite(loss)
            assert loss >= 0
            # The slope is 1 / (|z| temperature): beyond 65504 the input's own type ends.
            ends = dtype == torch.float16 and temperature * scale < 1e-4
            assert torch.isfinite(gradient).all() or ends, (scale, temperature)


def test_zero_vectors_have_cosine_zero_and_no_gradient():
    z = torch.zeros(4, 3, requires_grad=True)
    loss = nt_xent(z, z)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(math.log(7), abs=1e-6)
    assert z.grad.abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_one_dead_row_leaves_the_gradient_of_the_others_bounded(dtype):
    z0, z1 = draw(4, 8, seed=70).to(dtype), draw(4, 8, seed=71).to(dtype)
    z0[2] = 0
    z0.requires_grad_()
    (gradient,) = torch.autograd.grad(nt_xent(z0, z1), z0)
    assert gradient[2].abs().max() == 0
    assert 0 < gradient[0].norm() < 1


@settings(max_examples=60, deadline=None)
@given(st.integers(-36, 36), st.integers(-36, 36), st.integers(0, 1000), st.booleans())
def test_the_length_of_a_row_does_not_count(of_some, of_others, seed, grouped):
    shape = (2, 3, 4) if grouped else (6, 4)
    z0, z1 = (draw(*shape, seed=seed + i, dtype=torch.float32) for i in range(2))
    lengths = torch.full((*shape[:-1], 1), 10.0**of_some)
    lengths[..., 1:, :] = 10.0**of_others
    torch.testing.assert_close(nt_xent(z0 * lengths, z1 / lengths), nt_xent(z0, z1))


def by_autograd(z0, z1, temperature):
    """NT-Xent as records of the first definition were trained: two passes of PyTorch's own."""
    z = torch.cat([z0, z1], -2)
    z = F.normalize(z / z.detach().abs().amax(-1, keepdim=True).clamp_min(1), dim=-1)
    logits = (z / temperature) @ z.mT
    with torch.no_grad():
        logits.diagonal(dim1=-2, dim2=-1).fill_(-math.inf)
    rows = z.shape[-2]
    answer = torch.arange(rows).roll(rows // 2).expand(logits.shape[:-1]).reshape(-1)
    return F.cross_entropy(logits.reshape(-1, rows), answer)


@pytest.mark.parametrize("shape", [(50, 16), (4, 10, 16)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_fused_it_is_as_exact_as_autograd(shape, scale):
    """The last digit may be another one; its distance from float64 may not be."""
    views = [(scale * draw(*shape, seed=72 + i)) for i in range(2)]

    def value_and_gradients(loss, dtype):
        z = [view.to(dtype).requires_grad_() for view in views]
        value = loss(*z, 0.2)
        return [value.double(), *(g.double() for g in torch.autograd.grad(value, z))]

    exact = value_and_gradients(by_autograd, torch.float64)
    for a, b in zip(value_and_gradients(nt_xent, torch.float64), exact, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14 / scale)
    fused, plain = (value_and_gradients(f, torch.float32) for f in (nt_xent, by_autograd))
    for a, b, c in zip(fused, plain, exact, strict=True):
        unit = torch.finfo(torch.float32).eps * c.abs().max()
        assert (a - c).abs().max() <= 2 * (b - c).abs().max() + unit


def test_a_backward_pass_may_be_repeated():
    z0, z1 = (draw(6, 4, seed=84 + i).requires_grad_() for i in range(2))
    loss = nt_xent(z0, z1)
    first = torch.autograd.grad(loss, z0, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, z0)[0], first)


def test_a_learned_temperature():
    z0, z1 = draw(6, 4, seed=74, dtype=torch.float32), draw(6, 4, seed=75, dtype=torch.float32)
    plain = nt_xent(z0, z1, 0.25)
    for dtype in (torch.float16, torch.float32, torch.float64):
        for shape in ((), (1,), (1, 1)):
            learned = torch.full(shape, 0.25, dtype=dtype, requires_grad=True)
            assert torch.equal(nt_xent(z0, z1, learned), plain)  # float32, whatever it is
            assert torch.equal(info_nce(z0, z1, z1, learned), info_nce(z0, z1, z1, 0.25))
    assert torch.equal(nt_xent(z0, z1, torch.tensor(2)), nt_xent(z0, z1, 2))
    # CLIP's way: no step of the optimiser can take the temperature below zero.
    log_scale = torch.nn.Parameter(torch.tensor(math.log(1 / 0.25)))
    optimizer = torch.optim.SGD([log_scale], lr=2.0)
    nt_xent(z0, z1, (-log_scale).exp()).backward()
    optimizer.step()
    assert log_scale.detach() != math.log(4)
    assert torch.isfinite(nt_xent(z0, z1, (-log_scale).exp()))


@pytest.mark.parametrize("value", [0.0, -0.5, math.nan, math.inf])
def test_the_value_of_a_temperature_is_looked_at_in_a_tensor_too(value):
    z, bad = draw(3, 2, seed=76), torch.tensor(value)
    for call in (nt_xent, lambda *a: info_nce(a[0], a[1], a[1], *a[2:])):
        with pytest.raises(InputError, match=r"^temperature: expected a positive number, got"):
            call(z, z, bad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_similarities_that_overflow_are_refused_not_returned(dtype):
    far = torch.finfo(dtype).max / 4
    z, ones = torch.full((3, 2), far, dtype=dtype), torch.ones(3, 2, dtype=dtype)
    for call, named in (
        (lambda: nt_xent(ones, z, normalize=False), "z1"),
        (lambda: info_nce(z, -z, z, normalize=False), "anchor"),
        (lambda: nt_xent(ones, ones, torch.finfo(dtype).tiny * 1e-3), "z0"),
    ):
        with pytest.raises(InputError, match=rf"^{named}: expected similarities that fit"):
            call()


def test_second_order():
    z0, z1 = (draw(4, 3, seed=77 + i).requires_grad_() for i in range(2))
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    for normalize in (True, False):
        assert torch.autograd.gradgradcheck(
            lambda a, b, t, n=normalize: nt_xent(a, b, t, normalize=n), (z0, z1, temperature)
        )
        assert torch.autograd.gradgradcheck(
            lambda a, b, n=normalize: info_nce(a, b, b.flip(0), normalize=n), (z0, z1)
        )


def test_the_transforms_of_torch_func():
    z0, z1 = draw(3, 4, 2, seed=79), draw(3, 4, 2, seed=80)
    for loss in (nt_xent, lambda a, b: info_nce(a, b, b.flip(0))):
        alone = torch.stack([loss(a, b) for a, b in zip(z0, z1, strict=True)])
        torch.testing.assert_close(torch.func.vmap(loss)(z0, z1), alone)
        leaf = z0[0].clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(leaf, z1[0]), leaf)
        torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(z0, z1)[0], expected)
        torch.testing.assert_close(torch.func.jacfwd(loss)(z0[0], z1[0]), expected)


@pytest.mark.parametrize("loss", [nt_xent, lambda a, b, t: info_nce(a, b, b.flip(0), t)])
def test_inside_bfloat16_autocast_the_loss_is_that_of_float32(loss):
    z0, z1 = draw(32, 8, seed=17, dtype=torch.float32), draw(32, 8, seed=18, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(z0, z1, 0.1)
        assert (z0 @ z1.T).dtype == torch.bfloat16  # autocast is on: the check above can fail
    assert inside.dtype == torch.float32
    assert torch.equal(inside, loss(z0, z1, 0.1))
    assert float(inside) == pytest.approx(float(loss(z0.double(), z1.double(), 0.1)), rel=1e-5)


def test_nt_xent_compiles_into_one_graph():
    # Dynamo's own backend: the test is that nothing breaks the graph, not that a compiler works.
    z0, z1 = draw(6, 4, seed=21), draw(6, 4, seed=22)
    compiled = torch.compile(nt_xent, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(z0, z1), nt_xent(z0, z1))
    learned = torch.tensor(0.3, requires_grad=True)
    torch.testing.assert_close(compiled(z0, z1, learned), nt_xent(z0, z1, learned))


@fake_gpu
def test_nt_xent_reads_no_value_from_a_gpu():
    # A fake CUDA tensor has no values: whatever would read one, and so wait for the GPU, raises.
    with FakeTensorMode():
        z = torch.empty(8, 4, device="cuda")
        assert nt_xent(z, z).device.type == "cuda"
        assert info_nce(z, z, z).device.type == "cuda"


def test_inputs_are_left_as_they_were():
    views = draw(4, 3, seed=23), draw(4, 3, seed=24)
    before = [view.clone() for view in views]
    nt_xent(*views)
    assert all(map(torch.equal, views, before))


# Floors


def test_floors_known_values():
    assert nt_xent_floor(500) == pytest.approx(6.907, abs=5e-4)
    assert nt_xent_floor(500, 10, temperature=0) == pytest.approx(math.log(99))
    assert nt_xent_floor(500, 10, temperature=0) == pytest.approx(4.595, abs=5e-4)
    assert nt_xent_floor(500, 10, temperature=0.5) == pytest.approx(5.397, abs=5e-4)
    assert nt_xent_floor(500) - nt_xent_floor(500, 10, 0) == pytest.approx(2.31, abs=5e-3)
    assert nt_xent_floor(500, 10) == nt_xent_floor(500, 10, temperature=0.5)
    assert nt_xent_floor(500, 500, temperature=0) == 0


def test_floors_at_the_ends_of_what_is_allowed():
    assert nt_xent_floor(2) == pytest.approx(math.log(3))  # the smallest batch: two images
    # Two groups of two images at opposite poles: 3 candidates at cosine 1, 4 at cosine -1.
    opposite = math.log(3 + 4 * math.exp(-2 / 0.5))
    assert nt_xent_floor(4, 2, between=-1) == pytest.approx(opposite)


@pytest.mark.parametrize(("n", "k"), [(12, 1), (12, 3), (12, 4), (12, 12), (500, 10)])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_floors_are_the_loss_of_such_codes(n, k, temperature):
    group = torch.arange(n) % k
    one_hot = torch.eye(k, dtype=torch.float64)[group]
    assert float(nt_xent(one_hot, one_hot, temperature)) == pytest.approx(
        nt_xent_floor(n, k, temperature), rel=1e-12, abs=1e-12
    )
    if k > 1:
        centred = torch.eye(k, dtype=torch.float64) - 1 / k  # the corners of a simplex
        simplex = nt_xent_floor(n, k, temperature, between=-1 / (k - 1))
        assert float(nt_xent(centred[group], centred[group], temperature)) == pytest.approx(
            simplex, rel=1e-9, abs=1e-12
        )
        assert simplex < nt_xent_floor(n, k, temperature)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_images": 1}, "num_images"),
        ({"num_images": 500, "num_groups": 7}, "num_groups"),
        ({"num_images": 500, "num_groups": 0}, "num_groups"),
        ({"num_images": 500, "temperature": -0.1}, "temperature"),
        ({"num_images": 500, "temperature": math.nan}, "temperature"),
        ({"num_images": 500, "temperature": math.inf}, "temperature"),
        ({"num_images": 500, "between": 1.0}, "between"),
        ({"num_images": 500, "between": -1.001}, "between"),
    ],
)
def test_floor_refuses(arguments, named):
    with pytest.raises(InputError, match=rf"^{named}: expected"):
        nt_xent_floor(**arguments)


# The bridge: triplet -> (N+1)-tuplet and N-pair -> InfoNCE -> NT-Xent


def test_info_nce_is_a_naive_loop():
    a, p, n = draw(4, 3, seed=25), draw(4, 3, seed=26), draw(4, 5, 3, seed=27)

    def cosine(x, y):
        return float(F.cosine_similarity(x, y, dim=0))

    expected = 0.0
    for i in range(4):
        right = math.exp(cosine(a[i], p[i]) / 0.2)
        wrong = sum(math.exp(cosine(a[i], n[i, m]) / 0.2) for m in range(5))
        expected -= math.log(right / (right + wrong)) / 4
    assert float(info_nce(a, p, n, 0.2)) == pytest.approx(expected, rel=1e-10)


def test_the_smallest_problems_there_are():
    one = torch.ones(1, 1, dtype=torch.float64)
    assert float(info_nce(one, one, -one)) == pytest.approx(math.log(1 + math.exp(-4)))
    assert float(info_nce(one, one, -one)) == float(info_nce(one, one, -one, temperature=0.5))


def test_shared_negatives_are_own_negatives_repeated():
    a, p, n = draw(4, 3, seed=28), draw(4, 3, seed=29), draw(5, 3, seed=30)
    torch.testing.assert_close(info_nce(a, p, n), info_nce(a, p, n.expand(4, 5, 3)))


def test_info_nce_with_one_negative_is_a_smooth_triplet_loss():
    a, p, n = draw(9, 3, seed=31), draw(9, 3, seed=32), draw(9, 1, 3, seed=33)
    gap = F.cosine_similarity(a, n[:, 0]) - F.cosine_similarity(a, p)
    torch.testing.assert_close(info_nce(a, p, n, 0.5), F.softplus(gap / 0.5).mean())
    hinge = triplet_loss(a, p, n[:, 0], margin=0, distance="cosine")
    previous = math.inf
    for temperature in (0.5, 0.1, 0.01, 1e-4):
        distance = abs(float(temperature * info_nce(a, p, n, temperature) - hinge))
        assert distance < previous
        previous = distance
    assert previous < 1e-4


def test_with_the_other_positives_info_nce_is_the_n_pair_loss_of_pytorch_metric_learning():
    a, p = draw(6, 4, seed=39), draw(6, 4, seed=40)
    peer = NPairsLoss(distance=DotProductSimilarity(normalize_embeddings=False))
    labels = torch.arange(6).repeat(2)
    pairs = (torch.arange(6), torch.arange(6) + 6, torch.arange(0), torch.arange(0))
    others = torch.stack([torch.cat([p[:i], p[i + 1 :]]) for i in range(6)])
    found = info_nce(a, p, others, 1.0, normalize=False)
    torch.testing.assert_close(found, peer(torch.cat([a, p]), labels, pairs))


def test_nt_xent_is_info_nce_with_both_views_of_the_others():
    z0, z1 = draw(5, 4, seed=41), draw(5, 4, seed=42)
    z, halves = torch.cat([z0, z1]), torch.cat([z1, z0])
    negatives = torch.stack(
        [z[[j for j in range(10) if j not in (i, (i + 5) % 10)]] for i in range(10)]
    )
    torch.testing.assert_close(nt_xent(z0, z1, 0.3), info_nce(z, halves, negatives, 0.3))


@pytest.mark.parametrize("normalize", [True, False])
def test_bridge_gradcheck(normalize):
    a, p = draw(3, 2, seed=43).requires_grad_(), draw(3, 2, seed=44).requires_grad_()
    n = draw(3, 4, 2, seed=45).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *x: info_nce(*x, temperature=0.4, normalize=normalize), (a, p, n)
    )


# Bad input

GOOD = torch.ones(4, 3)
NAN = torch.full((4, 3), math.nan)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: nt_xent(GOOD, GOOD[:3]), "z1"),
        (lambda: nt_xent(GOOD, GOOD.double()), "z1"),
        (lambda: nt_xent(GOOD.tolist(), GOOD), "z0"),
        (lambda: nt_xent(GOOD[0], GOOD[0]), "z0"),
        (lambda: nt_xent(GOOD[:1], GOOD[:1]), "z0"),
        (lambda: nt_xent(GOOD[:, :0], GOOD[:, :0]), "z0"),
        (lambda: nt_xent(GOOD.expand(2, 2, 4, 3), GOOD.expand(2, 2, 4, 3)), "z0"),
        (lambda: nt_xent(GOOD[:, None], GOOD[:, None]), "z0"),
        (lambda: nt_xent(GOOD, GOOD, 0.0), "temperature"),
        (lambda: nt_xent(GOOD, GOOD, math.nan), "temperature"),
        (lambda: nt_xent(GOOD, GOOD, math.inf), "temperature"),
        (lambda: nt_xent(GOOD, GOOD, torch.ones(2)), "temperature"),
        (lambda: nt_xent(GOOD, GOOD, torch.ones((), dtype=torch.complex64)), "temperature"),
        (lambda: nt_xent(GOOD, GOOD, torch.ones((), device="meta")), "temperature"),
        (lambda: info_nce(GOOD, GOOD, GOOD[:, :2]), "negatives"),
        (lambda: info_nce(GOOD, GOOD, GOOD.expand(3, 4, 3)), "negatives"),
        (lambda: info_nce(GOOD, GOOD, GOOD[:0]), "negatives"),
        (lambda: info_nce(GOOD, GOOD, GOOD.half()), "negatives"),
        (lambda: info_nce(GOOD[0], GOOD[0], GOOD), "anchor"),
        (lambda: info_nce(GOOD[:0], GOOD[:0], GOOD), "anchor"),
        (lambda: info_nce(GOOD.long(), GOOD.long(), GOOD), "anchor"),
        (lambda: info_nce(GOOD.tolist(), GOOD, GOOD), "anchor"),
        (lambda: info_nce(GOOD, GOOD.tolist(), GOOD), "positive"),
        (lambda: info_nce(GOOD, GOOD[:2], GOOD), "positive"),
        (lambda: info_nce(GOOD, GOOD, GOOD, 0.0), "temperature"),
        (lambda: info_nce(NAN, GOOD, GOOD), "anchor"),
        (lambda: info_nce(GOOD, NAN, GOOD), "positive"),
        (lambda: info_nce(GOOD, GOOD, NAN), "negatives"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(InputError, match=rf"^{named}: expected") as caught:
        call()
    assert "got" in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.integers(0, 3), st.integers(0, 2), st.sampled_from(["z0", "z1"]),
    st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
)  # fmt: skip
def test_values_that_are_not_finite_are_named(value, row, column, which, dtype):
    views = {"z0": draw(4, 3, seed=46).to(dtype), "z1": draw(4, 3, seed=47).to(dtype)}
    views[which][row, column] = value
    reason = rf"^{which}: expected finite values, got {value} at index \[{row}, {column}\] \(1 of"
    with pytest.raises(InputError, match=reason):
        nt_xent(**views)


@pytest.mark.parametrize("loss", [nt_xent, lambda a, b: info_nce(a, b, b.roll(1, 0))])
def test_the_hessian_of_torch_func_is_autograds(loss):
    first, second = 2 * draw(3, 4), draw(3, 4, seed=1)
    found = torch.func.hessian(lambda z: loss(z, second))(first)
    expected = torch.autograd.functional.hessian(lambda z: loss(z, second), first)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("temperature", ["0.5", None, 1 + 0j, math.nan, 0.0])
def test_a_temperature_that_is_no_positive_number_is_named(temperature):
    with pytest.raises(InputError, match="temperature: expected a positive number"):
        nt_xent(draw(3, 4), draw(3, 4), temperature)


def test_a_temperature_may_be_any_kind_of_number():
    z = draw(3, 4), draw(3, 4, seed=1)
    for same in (np.float64(0.5), np.array(0.5), np.float32(0.5)):
        assert torch.equal(nt_xent(*z, same), nt_xent(*z, 0.5))


@pytest.mark.parametrize(("groups", "between"), [(2.5, 0.0), (10, -1.0), (3, -0.6), (1, -1.1)])
def test_the_floor_refuses_what_no_embedding_can_be(groups, between):
    with pytest.raises(InputError, match=r"num_groups|between"):
        nt_xent_floor(30, groups, 0.5, between)
    assert nt_xent_floor(30, 3, 0.5, -1 / 2) < nt_xent_floor(30, 3, 0.5, 0.0)
