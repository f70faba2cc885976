"""Split, ghost and subset-affine layers against explicit loops, timm, and identities."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import agree, compiles_in_one_graph, randn, randomize, refused
from torch import nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import (
    GhostBatchNorm1d,
    GhostBatchNorm2d,
    SplitBatchNorm1d,
    SplitBatchNorm2d,
    SubsetAffineBatchNorm1d,
    SubsetAffineBatchNorm2d,
)

F64 = torch.float64


def shifted(groups, each, *rest, seed=0):
    """Rows in contiguous groups with clearly different means and scales."""
    x = randn(groups, each, *rest, seed=seed)
    k = torch.arange(groups, dtype=F64).view(-1, *[1] * (x.ndim - 1))
    return (x * (1 + k) + 2 * k).flatten(0, 1)


class LoopOfBatchNorms(nn.Module):
    """The definition: K nn.BatchNorm2d (or 1d), each applied to the rows of its group."""

    def __init__(self, like, kind=nn.BatchNorm2d):
        super().__init__()
        self.k, self.grouping = like.num_groups, like.grouping
        self.norms = nn.ModuleList(
            kind(like.num_features, eps=like.eps, momentum=like.momentum,
                 affine=like.affine is not None, dtype=F64)
            for _ in range(self.k)
        )  # fmt: skip
        for k, norm in enumerate(self.norms):
            if like.affine is not None:
                own = like.affine == "split"
                norm.weight.data.copy_(like.weight.data[k] if own else like.weight.data)
                norm.bias.data.copy_(like.bias.data[k] if own else like.bias.data)

    def forward(self, x):
        if self.grouping == "contiguous":
            return torch.cat([n(part) for n, part in zip(self.norms, x.chunk(self.k), strict=True)])
        out = torch.empty_like(x)
        for k, norm in enumerate(self.norms):
            out[k :: self.k] = norm(x[k :: self.k])
        return out

    def table(self, name):
        return torch.stack([getattr(norm, name) for norm in self.norms])


@settings(deadline=None, max_examples=40)
@given(
    k=st.integers(1, 6),
    each=st.integers(1, 4),
    c=st.integers(1, 5),
    shape=st.sampled_from([(2, 2), (3, 1), (1, 4)]),
    affine=st.sampled_from(["shared", "split", None]),
    grouping=st.sampled_from(["contiguous", "interleaved"]),
    momentum=st.sampled_from([0.1, 1.0, 0.0, None]),
    channels_last=st.booleans(),
)
def test_split_equals_a_loop_of_batch_norms(
    k, each, c, shape, affine, grouping, momentum, channels_last
):
    layer = SplitBatchNorm2d(c, k, affine, grouping, momentum=momentum, dtype=F64)
    randomize(layer)
    loop = LoopOfBatchNorms(layer)
    for step in range(3):
        x = shifted(k, each, c, *shape, seed=step)
        if channels_last:
            x = x.to(memory_format=torch.channels_last)
        assert agree(layer, loop, x).stride() == x.stride()
    torch.testing.assert_close(layer.running_mean, loop.table("running_mean"))
    torch.testing.assert_close(layer.running_var, loop.table("running_var"))
    assert layer.num_batches_tracked == 3
    if affine is not None:
        for name in ("weight", "bias"):
            theirs = torch.stack([getattr(norm, name).grad for norm in loop.norms])
            theirs = theirs if affine == "split" else theirs.sum(0)
            torch.testing.assert_close(getattr(layer, name).grad, theirs)


@pytest.mark.parametrize("shape", [(4,), (4, 5)])
def test_split_1d_equals_a_loop_of_batch_norms(shape):
    layer = SplitBatchNorm1d(4, 3, "split", dtype=F64)
    randomize(layer)
    loop = LoopOfBatchNorms(layer, nn.BatchNorm1d)
    x = shifted(3, 4, *shape)
    torch.testing.assert_close(layer(x), loop(x))
    torch.testing.assert_close(layer.running_var, loop.table("running_var"))


def test_training_equals_timm():
    from timm.layers import SplitBatchNorm2d as TimmSplitBatchNorm2d

    k, c = 3, 5
    ours = randomize(SplitBatchNorm2d(c, k, "split", dtype=F64))
    theirs = TimmSplitBatchNorm2d(c, num_splits=k).double()
    branches = [theirs, *theirs.aux_bn]  # timm's first split is the layer itself
    for i, branch in enumerate(branches):
        branch.weight.data.copy_(ours.weight.data[i])
        branch.bias.data.copy_(ours.bias.data[i])
    x = shifted(k, 4, c, 3, 3)
    torch.testing.assert_close(ours(x), theirs(x))
    for i, branch in enumerate(branches):
        torch.testing.assert_close(ours.running_mean[i], branch.running_mean)
        torch.testing.assert_close(ours.running_var[i], branch.running_var)


def test_interleaved_equals_the_view_of_moco_and_lightly():
    k, c = 4, 3
    layer = SplitBatchNorm2d(c, k, None, "interleaved", dtype=F64)
    x = randn(8, c, 2, 2)
    view = torch.nn.functional.batch_norm(
        x.view(-1, c * k, 2, 2), None, None, training=True
    ).view_as(x)
    torch.testing.assert_close(layer(x), view)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(
    "make",
    [
        lambda m: SplitBatchNorm2d(6, 1, momentum=m),
        lambda m: SplitBatchNorm2d(6, 1, "split", momentum=m),
        lambda m: GhostBatchNorm2d(6, 1, momentum=m),
        lambda m: GhostBatchNorm2d(6, 1, "shuffled", momentum=m),
        lambda m: SubsetAffineBatchNorm2d(6, 1, momentum=m),
    ],
)
def test_one_group_is_batch_norm(make, momentum):
    layer, plain = make(momentum), nn.BatchNorm2d(6, momentum=momentum)
    for step in range(2):
        x = randn(8, 6, 4, 4, seed=step, dtype=torch.float32) * 3 + 1
        agree(layer, plain, x, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(layer.running_mean.view(-1), plain.running_mean)
    torch.testing.assert_close(layer.running_var.view(-1), plain.running_var)
    x = randn(3, 6, 4, 4, seed=5, dtype=torch.float32)
    torch.testing.assert_close(layer.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("grouping", ["contiguous", "interleaved"])
def test_a_group_does_not_see_the_others(grouping):
    k, each, c = 4, 3, 5
    layer = randomize(SplitBatchNorm2d(c, k, "split", grouping, dtype=torch.float32))
    x = randn(k * each, c, 4, 4, dtype=torch.float32)
    own = torch.arange(k * each) // each if grouping == "contiguous" else torch.arange(k * each) % k
    before = layer(x)
    changed = x.clone()
    changed[own == 2] = changed[own == 2].exp()  # BN would undo a scale and a shift
    changed.requires_grad_()
    after = layer(changed)
    assert torch.equal(after[own != 2], before[own != 2])  # bit for bit
    assert not torch.allclose(after[own == 2], before[own == 2], atol=1e-2)
    after[own == 1].square().sum().backward()
    assert changed.grad is not None
    assert torch.count_nonzero(changed.grad[own != 1]) == 0
    assert torch.count_nonzero(changed.grad[own == 1]) > 0


def test_evaluation_pools_by_the_law_of_total_variance():
    k, each, c = 5, 8, 3
    layer = SplitBatchNorm2d(c, k, momentum=1.0, dtype=F64)
    x = shifted(k, each, c, 2, 2)
    layer(x)
    mean, var = layer.moments()
    values = x.transpose(0, 1).flatten(1)
    count = values.shape[1] // k
    # Branches keep unbiased variances: the within part carries the factor n / (n - 1).
    within = x.unflatten(0, (k, each)).transpose(1, 2).flatten(2).var(2, correction=0).mean(0)
    torch.testing.assert_close(mean, values.mean(1))
    torch.testing.assert_close(var - within / (count - 1), values.var(1, correction=0))
    one = layer.eval()(x[:1])  # a batch of one is fine in evaluation
    expected = (x[:1] - mean.view(1, -1, 1, 1)) / (var + layer.eps).sqrt().view(1, -1, 1, 1)
    torch.testing.assert_close(one, expected)


def test_subset_affine_shares_statistics_and_separates_affine():
    k, each, c = 3, 4, 5
    layer = randomize(SubsetAffineBatchNorm2d(c, k, dtype=F64))
    plain = nn.BatchNorm2d(c, affine=False, dtype=F64)
    x = shifted(k, each, c, 2, 2)
    rows = torch.arange(k).repeat_interleave(each)
    expected = plain(x) * layer.weight[rows][:, :, None, None] + layer.bias[rows][:, :, None, None]
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.running_mean, plain.running_mean)
    torch.testing.assert_close(layer.running_var, plain.running_var)
    expected = plain.eval()(x) * layer.weight.mean(0)[:, None, None]
    expected = expected + layer.bias.mean(0)[:, None, None]
    torch.testing.assert_close(layer.eval()(x), expected)


def test_ghost_normalizes_in_groups_and_remembers_one_set():
    k, each, c = 4, 3, 2
    ghost = randomize(GhostBatchNorm2d(c, k, dtype=F64))
    split = SplitBatchNorm2d(c, k, dtype=F64)
    split.load_state_dict({**ghost.state_dict(), **{
        name: getattr(ghost, name).expand(k, c) for name in ("running_mean", "running_var")
    }})  # fmt: skip
    x = shifted(k, each, c, 2, 2)
    torch.testing.assert_close(ghost(x), split(x))
    torch.testing.assert_close(ghost.running_mean, split.running_mean.mean(0))
    torch.testing.assert_close(ghost.running_var, split.running_var.mean(0))
    plain = nn.BatchNorm2d(c, dtype=F64)
    plain.load_state_dict(ghost.state_dict())
    torch.testing.assert_close(ghost.eval()(x), plain.eval()(x))


def test_ghost_groups_are_redrawn_each_step_and_agree_between_layers():
    x = randn(24, 2, 2, 2)
    first, second = (GhostBatchNorm2d(2, 4, "shuffled", dtype=F64) for _ in range(2))
    steps = [first(x), first(x)]
    assert not torch.allclose(steps[0], steps[1])
    for step in steps:
        torch.testing.assert_close(second(x), step)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_shuffled_ghost_keeps_the_views_of_an_image_together(views):
    k, images = 4, 24
    layer = GhostBatchNorm2d(1, k, "shuffled", views)
    batch = images * views
    # Rows (block, view, sample); which image is each?
    ids = torch.arange(images).view(k, 1, -1).expand(k, views, images // k).flatten()
    parted = 0
    for step in range(20):
        layer.num_batches_tracked.fill_(step)
        order = layer.order(batch)
        assert order is not None
        assert sorted(order.tolist()) == list(range(batch))
        group = torch.empty(batch, dtype=torch.int64)
        group[order] = torch.arange(batch) // (batch // k)
        for image in range(images):
            parted += len(group[ids == image].unique()) > 1
    assert parted == 0


def test_shuffled_ghost_of_single_rows_parts_views():
    layer = GhostBatchNorm2d(1, 4, "shuffled", views=1)
    order = layer.order(48)
    assert order is not None
    group = torch.empty(48, dtype=torch.int64)
    group[order] = torch.arange(48) // 12
    block = group.view(4, 2, 6)  # rows (block, view, sample)
    assert (block[:, 0] != block[:, 1]).any()


LAYERS = [
    lambda **kw: SplitBatchNorm2d(4, 3, **kw),
    lambda **kw: SplitBatchNorm2d(4, 3, "split", "interleaved", **kw),
    lambda **kw: SplitBatchNorm2d(4, 3, None, **kw),
    lambda **kw: SubsetAffineBatchNorm2d(4, 3, **kw),
    lambda **kw: GhostBatchNorm2d(4, 3, "shuffled", 2, **kw),
    lambda **kw: GhostBatchNorm2d(4, 3, "interleaved", affine=False, **kw),
]


@pytest.mark.parametrize("make", LAYERS)
def test_gradcheck(make):
    layer = randomize(make(dtype=F64))

    def function(x, *parameters):
        layer.num_batches_tracked.zero_()  # the same groups at every call
        return layer(x)

    x = randn(6, 4, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(function, (x, *layer.parameters()))


@pytest.mark.parametrize("make", LAYERS)
def test_compiles_in_one_graph(make):
    """In evaluation; test_gradients.py trains compiled layers, but for groups drawn anew."""
    layer = randomize(make())
    compiles_in_one_graph(layer.train(layer.grouping == "shuffled"))


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("training", [True, False])
def test_autocast_keeps_statistics_in_float32(make, training):
    layer = make().train(training)
    reference = copy.deepcopy(layer)
    convolution = nn.Conv2d(3, 4, 3)
    x = randn(6, 3, 5, 5, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        half = convolution(x)
        y = layer(half)
        y.float().square().sum().backward()
    assert half.dtype == y.dtype == torch.bfloat16
    assert layer.running_mean.dtype == torch.float32
    expected = reference(half.detach().float())
    torch.testing.assert_close(y.float(), expected, rtol=2**-7, atol=2**-7)
    torch.testing.assert_close(layer.running_mean, reference.running_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(layer.running_var, reference.running_var, rtol=1e-5, atol=1e-6)
    if layer.weight is not None:
        expected.square().sum().backward()
        assert layer.weight.grad.dtype == torch.float32
        scale = reference.weight.grad.abs().max().item()
        torch.testing.assert_close(
            layer.weight.grad, reference.weight.grad, rtol=0.02, atol=0.02 * scale
        )


CLASSES = [
    SplitBatchNorm1d, SplitBatchNorm2d, SubsetAffineBatchNorm1d, SubsetAffineBatchNorm2d,
    GhostBatchNorm1d, GhostBatchNorm2d,
]  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES)
def test_what_is_not_said_is_as_in_pytorch(kind):
    layer, plain = kind(4, 3), nn.BatchNorm2d(4)
    assert (layer.eps, layer.momentum) == (plain.eps, plain.momentum)
    assert layer.grouping == "contiguous"
    assert getattr(layer, "views", 1) == 1
    shared = not issubclass(kind, SubsetAffineBatchNorm2d)
    assert layer.weight.shape == layer.bias.shape == ((4,) if shared else (3, 4))
    for name, tensor in layer.state_dict().items():
        assert tensor.dtype == plain.state_dict()[name].dtype
        assert (tensor == plain.state_dict()[name]).all()  # zeros and ones at the start


@pytest.mark.parametrize("kind", CLASSES)
def test_device_and_dtype_are_those_asked_for(kind):
    layer = kind(4, 3, device="meta", dtype=torch.float64)
    assert all(tensor.is_meta for tensor in layer.state_dict().values())
    counted = layer.state_dict().pop("num_batches_tracked")
    assert counted.dtype == torch.int64
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert layer.state_dict()[name].dtype == torch.float64
    shuffled = GhostBatchNorm2d(4, 3, "shuffled", 2, device="meta")
    assert shuffled.order(12).is_meta


@pytest.mark.parametrize("kind", CLASSES)
def test_numbers_of_features_and_groups_are_positive_integers(kind):
    with pytest.raises(InputError, match=r"^num_features: expected an integer"):
        kind(0, 2)
    with pytest.raises(InputError, match=r"^num_(subsets|groups): expected an integer"):
        kind(4, True)
    with pytest.raises(InputError, match=r"^num_(subsets|groups): .* got 0"):
        kind(4, 0)
    assert kind(1, 1).num_features == 1


def test_groups_that_share_their_moments_may_have_one_value_each():
    x = randn(3, 4)
    layer = SubsetAffineBatchNorm1d(4, 3, dtype=F64)
    torch.testing.assert_close(layer(x), nn.BatchNorm1d(4, dtype=F64)(x))


@pytest.mark.parametrize("make", LAYERS)
def test_state_dict_and_deepcopy(make):
    layer = randomize(make())
    layer(randn(6, 4, 3, 3, dtype=torch.float32))
    again = make()
    again.load_state_dict(layer.state_dict())
    twin = copy.deepcopy(layer)
    x = randn(2, 4, 3, 3, seed=2, dtype=torch.float32)
    for other in (again, twin):
        assert torch.equal(other.eval()(x), layer.eval()(x))
        assert other.num_batches_tracked == 1
    layer.reset_running_stats()
    fresh = make()
    assert torch.equal(layer.running_mean, fresh.running_mean)
    assert torch.equal(layer.running_var, fresh.running_var)
    assert layer.num_batches_tracked == 0
    assert "4, 3" in repr(layer)


def test_gradients_of_half_precision_are_summed_in_float32():
    layer = SplitBatchNorm2d(2, 2)
    x = randn(4, 2, 5, 61).bfloat16()
    layer(x).backward(torch.ones_like(x))
    # Ones, 305 in a row of pixels: bfloat16 knows 304 and 306.
    assert layer.bias.grad.tolist() == [4 * 305] * 2


def test_large_mean_stays_accurate():
    """A mean a thousand times the standard deviation, in float32, as well as nn.BatchNorm2d."""
    x = randn(8, 2, 8, 8) + 1000
    exact = nn.BatchNorm2d(2, dtype=F64)(x)
    plain = (nn.BatchNorm2d(2)(x.float()).double() - exact).abs().max()
    ours = (SplitBatchNorm2d(2, 1)(x.float()).double() - exact).abs().max()
    assert ours < 2 * plain + 1e-4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SplitBatchNorm2d(4, 3)(torch.zeros(10, 4, 2, 2)), ("N = 10", "K = 3")),
        (lambda: GhostBatchNorm2d(4, 3)(torch.zeros(10, 4, 2, 2)), ("N = 10", "K = 3")),
        (lambda: SubsetAffineBatchNorm2d(4, 3)(torch.zeros(10, 4, 2, 2)), ("N = 10", "K = 3")),
        (
            lambda: GhostBatchNorm2d(4, 3, "shuffled", 2)(torch.zeros(9, 4, 2, 2)),
            ("N = 9", "K = 3", "2 views"),
        ),
        (lambda: SplitBatchNorm2d(4, 3)(torch.zeros(3, 4, 1, 1)), ("one value", "K = 3")),
        (lambda: SplitBatchNorm1d(4, 3)(torch.zeros(3, 4)), ("one value",)),
        (lambda: SubsetAffineBatchNorm1d(4, 1)(torch.zeros(1, 4)), ("one value",)),
        (lambda: GhostBatchNorm1d(4, 2)(torch.zeros(2, 4)), ("one value",)),
        (lambda: SplitBatchNorm2d(4, 3)(torch.zeros(0, 4, 2, 2)), ("shape (0, 4, 2, 2)",)),
        (lambda: SplitBatchNorm2d(4, 3)(torch.zeros(6, 5, 2, 2)), ("C = 4", "(6, 5, 2, 2)")),
        (lambda: SplitBatchNorm2d(4, 3)(torch.zeros(6, 4)), ("4 dimensions", "(6, 4)")),
        (lambda: SplitBatchNorm1d(4, 3)(torch.zeros(6, 4, 2, 2)), ("2 or 3 dimensions",)),
        (lambda: SplitBatchNorm2d(4, 3).eval()(torch.zeros(6, 5, 2, 2)), ("C = 4",)),
        (
            lambda: SplitBatchNorm2d(4, 3)(torch.zeros(6, 4, 2, 2, dtype=torch.uint8)),
            ("floating point", "uint8"),
        ),
        (lambda: SplitBatchNorm2d(4, 2.5), ("num_subsets", "2.5")),
        (lambda: SplitBatchNorm2d(4, 2, eps=-1e-5), ("eps", "-1e-05")),
        (lambda: GhostBatchNorm2d(4, 2, eps=float("nan")), ("eps", "nan")),
        (lambda: SubsetAffineBatchNorm2d(4, 2, momentum=1.5), ("momentum", "0 to 1", "1.5")),
        (lambda: SplitBatchNorm2d(4, 2, momentum=-0.1), ("momentum", "-0.1")),
        (lambda: SplitBatchNorm2d(4, 2, momentum="fast"), ("momentum", "fast")),
        (lambda: SplitBatchNorm2d(4, 2, "both"), ("affine", "both")),
        (lambda: SplitBatchNorm2d(4, 2, grouping="random"), ("grouping", "random")),
        (lambda: SplitBatchNorm2d(4, 2, grouping="shuffled"), ("grouping", "GhostBatchNorm2d")),
        (lambda: SubsetAffineBatchNorm2d(4, 2, "shuffled"), ("grouping", "shuffled")),
        (lambda: GhostBatchNorm2d(4, 2, views=0), ("views", "0")),
    ],
)
def test_bad_input_is_named(call, words):
    refused(call, *words)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("training", [True, False])
def test_float64_needs_a_layer_in_float64(kind, training):
    """As nn.BatchNorm2d has it; it once trained, and failed when the model was first evaluated."""
    x = randn(6, 4, *[3] * (max(kind.dims) - 2))
    layer = kind(4, 3).train(training)
    with pytest.raises(InputError, match=r"^x: .*float32.*float64"):
        layer(x)
    assert layer.double()(x).dtype == F64
