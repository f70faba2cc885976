"""convert_norm: any model to any kind and back, keeping what can be kept."""

from __future__ import annotations

import copy
import functools

import layers
import pytest
import torch
from torch import nn

from contrastive_tutorial import norm
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import (
    KINDS,
    BatchRenorm1d,
    BatchRenorm2d,
    GhostBatchNorm1d,
    GhostBatchNorm2d,
    NoNorm,
    PlainGroupNorm,
    SplitBatchNorm1d,
    SplitBatchNorm2d,
    SubsetAffineBatchNorm1d,
    SubsetAffineBatchNorm2d,
)
from contrastive_tutorial.train.encoders import two_conv

convert_norm = functools.partial(norm.convert_norm, total_steps=1000)  # which renorm needs

CLASSES = {
    "bn": (nn.BatchNorm1d, nn.BatchNorm2d),
    "renorm": (BatchRenorm1d, BatchRenorm2d),
    "ghost": (GhostBatchNorm1d, GhostBatchNorm2d),
    "split": (SplitBatchNorm1d, SplitBatchNorm2d),
    "dsbn": (SplitBatchNorm1d, SplitBatchNorm2d),
    "affine": (SubsetAffineBatchNorm1d, SubsetAffineBatchNorm2d),
    "gn": (PlainGroupNorm, PlainGroupNorm),
    "none": (NoNorm, NoNorm),
}
WITH_STATISTICS = ("bn", "renorm", "ghost", "split", "dsbn", "affine")


randn = functools.partial(layers.randn, dtype=torch.float32)


def small():
    """A convolution with BN2d and a head with BN1d, after some training steps."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False),
        nn.BatchNorm2d(16, eps=1e-3, momentum=0.2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 12, bias=False),
        nn.BatchNorm1d(12),
    )
    for layer in (model[1], model[6]):
        nn.init.normal_(layer.weight, 1, 0.3)
        nn.init.normal_(layer.bias)
    for step in range(4):
        model(randn(8, 3, 6, 6, seed=step) * 2 + 1)
    return model


def test_kinds_differ_as_the_table_says():
    layers = {kind: convert_norm(nn.BatchNorm2d(16), kind, 4) for kind in KINDS}
    assert layers["ghost"].grouping == "shuffled"
    assert layers["ghost"].views == 2
    assert layers["split"].running_mean.shape == layers["dsbn"].running_mean.shape == (4, 16)
    assert layers["split"].weight.shape == (16,)
    assert layers["dsbn"].weight.shape == layers["affine"].weight.shape == (4, 16)
    assert layers["affine"].running_mean.shape == layers["ghost"].running_mean.shape == (16,)
    assert layers["gn"].num_groups == 8
    assert convert_norm(nn.BatchNorm2d(12), "gn").num_groups == 4  # gcd(8, 12)
    assert not list(layers["none"].parameters())
    for kind in ("split", "dsbn", "affine", "ghost"):
        layer = convert_norm(nn.BatchNorm2d(16), kind, 4, grouping="interleaved")
        assert layer.grouping == "interleaved"
    assert convert_norm(nn.BatchNorm2d(4), "renorm", total_steps=90).total_steps == 90
    assert convert_norm(nn.BatchNorm2d(4), "ghost", 2, views=1).views == 1


@pytest.mark.parametrize("kind", WITH_STATISTICS)
def test_conversion_keeps_the_evaluated_function(kind):
    model = small().eval()
    x = randn(5, 3, 6, 6, seed=9)
    before = model(x)
    converted = convert_norm(copy.deepcopy(model), kind, 3)
    torch.testing.assert_close(converted(x), before, rtol=1e-5, atol=1e-5)
    assert not any(module.training for module in converted.modules())
    back = convert_norm(converted, "bn")
    assert type(back[1]) is nn.BatchNorm2d
    torch.testing.assert_close(back(x), before, rtol=1e-5, atol=1e-5)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("second", KINDS)
def test_any_kind_leads_to_any_other(second):
    one, two = CLASSES[second]
    for first in KINDS:
        model = convert_norm(convert_norm(small(), first, 2), second, 4)
        assert type(model[6]) is one, first
        assert type(model[1]) is two, first
        assert model[1].num_features == 16
        assert model[1].eps == 1e-3
        y = model(randn(8, 3, 6, 6))
        y.sum().backward()
        assert y.shape == (8, 12)


def test_back_from_different_branches_pools():
    model = convert_norm(small(), "dsbn", 2)
    x = randn(8, 3, 6, 6)
    x[4:] = 3 * x[4:] - 2
    for _ in range(20):
        model(x)
    with torch.no_grad():
        model[1].weight[1] += 1
    layer = model[1]
    mean, var, weight = layer.running_mean, layer.running_var, layer.weight
    plain = convert_norm(model, "bn")[1]
    torch.testing.assert_close(plain.running_mean, mean.mean(0))
    torch.testing.assert_close(plain.running_var, var.mean(0) + mean.var(0, correction=0))
    torch.testing.assert_close(plain.weight, weight.mean(0))


def test_to_group_norm_keeps_weights_and_comes_back_with_fresh_statistics():
    model = small()
    weight = model[1].weight.detach().clone()
    group = convert_norm(model, "gn")
    torch.testing.assert_close(group[1].weight, weight)
    x = randn(4, 16, 3, 3)
    torch.testing.assert_close(
        group[1](x), nn.functional.group_norm(x, 8, group[1].weight, group[1].bias, 1e-3)
    )
    plain = convert_norm(group, "bn")[1]
    torch.testing.assert_close(plain.weight, weight)
    assert torch.equal(plain.running_mean, torch.zeros(16))


@pytest.mark.parametrize("kind", ["renorm", "dsbn", "gn"])
def test_torchvision_resnets(kind):
    from torchvision.models import resnet18

    torch.manual_seed(0)
    model = resnet18(num_classes=7)
    others = {name: tensor.clone() for name, tensor in model.state_dict().items() if "conv" in name}
    model = convert_norm(model, kind, 2)
    count = sum(type(m) is CLASSES[kind][1] for m in model.modules())
    assert count == 20
    y = model.train()(randn(4, 3, 64, 64))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert model.eval()(randn(1, 3, 64, 64)).shape == (1, 7)
    for name, tensor in others.items():
        assert torch.equal(model.state_dict()[name], tensor)


def test_ghost_and_plain_state_dicts_are_interchangeable():
    plain = two_conv(strided=True)
    ghost = convert_norm(two_conv(strided=True), "ghost", 2)
    ghost.load_state_dict(plain.state_dict())
    plain.load_state_dict(ghost.state_dict())


def test_details_are_kept():
    layer = nn.BatchNorm2d(4, eps=1e-3, momentum=None, dtype=torch.float64).eval()
    layer.weight.requires_grad_(False)
    layer.num_batches_tracked.fill_(7)
    split = convert_norm(layer, "split", 2)
    assert split.eps == 1e-3
    assert split.momentum is None
    assert split.running_mean.dtype == split.weight.dtype == torch.float64
    assert split.num_batches_tracked == 7
    assert not split.weight.requires_grad
    assert split.bias.requires_grad
    assert not split.training
    assert convert_norm(nn.BatchNorm2d(4, momentum=None), "renorm").momentum == 0.1
    for without in ("gn", "none"):  # which have no momentum to keep: PyTorch's own
        back = convert_norm(convert_norm(nn.BatchNorm2d(4, momentum=0.7), without), "bn")
        assert back.momentum == 0.1
        assert back.affine
    for kind in ("bn", "renorm", "ghost", "split", "dsbn", "affine"):
        assert convert_norm(nn.BatchNorm2d(4, momentum=0.7), kind, 2).momentum == 0.7
        assert convert_norm(nn.BatchNorm2d(4, eps=0.3), kind, 2).eps == 0.3
        kept = convert_norm(layer, kind, 2)
        assert kept.num_batches_tracked == 7
        assert kept.weight.dtype == kept.running_mean.dtype == torch.float64
    assert convert_norm(nn.BatchNorm2d(4), "ghost").num_groups == 1
    assert [convert_norm(bn(4), "gn").dims for bn in (nn.BatchNorm1d, nn.BatchNorm2d)] == [1, 2]
    for kind in KINDS:
        bare = convert_norm(nn.BatchNorm2d(4, affine=False), kind, 2)
        if kind != "affine":  # whose point is an affine
            assert not list(bare.parameters())
        back = convert_norm(bare, "bn")
        assert back.affine == (kind == "affine")


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_without_a_bias(kind):
    layer = nn.BatchNorm2d(4).eval()
    nn.init.uniform_(layer.weight)
    layer.bias = None  # as torch 2.11's bias=False leaves it
    x, before = torch.randn(3, 4, 2, 2), layer(torch.ones(1, 4, 2, 2))
    found = convert_norm(layer, kind, 2)
    if kind not in ("gn", "none"):
        torch.testing.assert_close(found(torch.ones(1, 4, 2, 2)), before)
    found(x).sum().backward() if list(found.parameters()) else None
    assert getattr(found, "bias", None) is None or not found.bias.requires_grad


def test_layers_without_tensors_take_dtype_and_device_from_the_model():
    model = convert_norm(convert_norm(small().double(), "none"), "split", 2)
    assert model[1].running_mean.dtype == torch.float64
    meta = nn.Sequential(nn.Linear(4, 4, device="meta"), nn.BatchNorm1d(4, device="meta"))
    meta = convert_norm(convert_norm(meta, "none"), "bn")
    assert meta[1].running_mean.is_meta


def test_a_layer_used_twice_stays_one_layer():
    shared = nn.BatchNorm2d(4)
    model = convert_norm(nn.Sequential(shared, nn.ReLU(), shared), "split", 2)
    assert model[0] is model[2]


def test_other_kinds_are_left_alone_when_asked():
    model = nn.Sequential(nn.BatchNorm2d(4), nn.SyncBatchNorm(4), nn.GroupNorm(2, 4))
    convert_norm(model, "none", partial=True)
    assert [type(m) for m in model] == [NoNorm, nn.SyncBatchNorm, nn.GroupNorm]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: convert_norm(small(), "batch"), ("kind", "'batch'", "dsbn")),
        (lambda: convert_norm(small(), "split", 0), ("num_subsets", "0")),
        (lambda: convert_norm(small(), "split", 2, grouping="random"), ("grouping", "random")),
        (lambda: norm.convert_norm(small(), "renorm"), ("total_steps", "renorm")),
        (lambda: convert_norm(small(), "renorm", total_steps=-5), ("total_steps", "-5")),
        (lambda: convert_norm(nn.Linear(2, 2), "split", 2), ("no BatchNorm",)),
        (
            lambda: convert_norm(nn.BatchNorm2d(2, track_running_stats=False), "split", 2),
            ("track_running_stats",),
        ),
    ],
)
def test_bad_input_is_named(call, words):
    layers.refused(call, *words)


def test_a_failed_conversion_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(InputError):
        convert_norm(model, "split", 2)
    assert type(model[0]) is nn.BatchNorm2d


@pytest.mark.parametrize("kind", ["split", "dsbn", "affine", "ghost", "gn", "bn"])
def test_layers_that_share_a_parameter_go_on_sharing_it(kind):
    model = nn.Sequential(
        nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.BatchNorm2d(8)
    )
    model[2].weight = model[0].weight
    norm.convert_norm(model, kind, 2)
    assert model[2].weight is model[0].weight
    assert model[2].bias is not model[0].bias
    assert model[3].weight is not model[0].weight
