"""Subsets of any size, in any order: against a loop of PyTorch's layers over each."""

from __future__ import annotations

import copy

import pytest
import torch
from layers import randn, refused
from torch import nn

from contrastive_tutorial import norm
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import SplitBatchNorm1d, SplitBatchNorm2d, SubsetAffineBatchNorm2d

K, C = 4, 3
IDS = torch.tensor([2, 0, 0, 3, 2, 2, 0, 2, 3, 0, 2])  # sizes 4, 0, 5, 2


def split(affine, shape):
    """A layer whose branches differ."""
    kind = SplitBatchNorm2d if len(shape) == 2 else SplitBatchNorm1d
    layer = kind(C, K, affine, eps=0.01, momentum=0.3, dtype=torch.float64)
    for seed, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(randn(*parameter.shape, seed=seed) + 1)
    layer.running_mean.copy_(randn(K, C, seed=8))
    layer.running_var.copy_(randn(K, C, seed=9).square() + 0.5)
    return layer


def loop(layer, shape):
    """One layer of PyTorch's for each branch, with its affine and statistics."""
    kind = nn.BatchNorm2d if len(shape) == 2 else nn.BatchNorm1d
    found = []
    for k in range(K):
        bn = kind(C, eps=0.01, momentum=0.3, affine=layer.weight is not None, dtype=torch.float64)
        bn.running_mean.copy_(layer.running_mean[k])
        bn.running_var.copy_(layer.running_var[k])
        if layer.weight is not None:
            for name in ("weight", "bias"):
                values = getattr(layer, name).detach()
                getattr(bn, name).data.copy_(values[k] if values.ndim == 2 else values)
        found.append(bn.train(layer.training))
    return found


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", [(5, 2), (6,), ()], ids=["2d", "1d with length", "1d"])
@pytest.mark.parametrize("affine", ["shared", "split", None])
def test_a_loop_of_batch_norms(affine, shape, training):
    layer = split(affine, shape).train(training)
    layers = loop(layer, shape)
    x, other = (randn(len(IDS), C, *shape).requires_grad_() for _ in range(2))
    dy = randn(len(IDS), C, *shape, seed=3)
    expected = torch.empty_like(x)
    for k in (0, 2, 3):
        expected = expected.index_put((k == IDS,), layers[k](other[k == IDS]))
    expected.backward(dy)
    y = layer(x, domain=IDS)
    y.backward(dy)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(x.grad, other.grad)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(
            getattr(layer, name), torch.stack([getattr(bn, name) for bn in layers])
        )
    if affine:
        for name in ("weight", "bias"):
            zero = torch.zeros(C, dtype=torch.float64)
            grads = [g if (g := getattr(bn, name).grad) is not None else zero for bn in layers]
            found = torch.stack(grads) if affine == "split" else sum(grads)
            torch.testing.assert_close(getattr(layer, name).grad, found)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_shared_statistics_with_an_affine_for_each(training):
    layer = SubsetAffineBatchNorm2d(C, K, dtype=torch.float64).train(training)
    layer.weight.data.copy_(randn(K, C))
    layer.bias.data.copy_(randn(K, C, seed=1))
    plain = nn.BatchNorm2d(C, affine=False, dtype=torch.float64).train(training)
    x = randn(len(IDS), C, 4, 4)
    expected = plain(x) * layer.weight[IDS][..., None, None] + layer.bias[IDS][..., None, None]
    torch.testing.assert_close(layer(x, domain=IDS), expected)
    torch.testing.assert_close(layer.running_mean, plain.running_mean)
    torch.testing.assert_close(layer.running_var, plain.running_var)


def test_sorted_equal_subsets_are_the_ordinary_training():
    layer = split("split", (2, 2)).train()
    other = copy.deepcopy(layer)
    x, ids = randn(4 * K, C, 2, 2), torch.arange(K).repeat_interleave(4)
    torch.testing.assert_close(layer(x, domain=ids), other(x))
    torch.testing.assert_close(layer.running_var, other.running_var)
    with norm.evaluation_statistics(other.eval(), "oracle") as forward:
        torch.testing.assert_close(layer.eval()(x, domain=ids), forward(x))


def test_a_block_reaches_every_layer_and_ends():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, C, 3), nn.BatchNorm2d(C), nn.ReLU(), nn.Flatten())
    model.append(nn.Linear(C * 16, 5)).append(nn.BatchNorm1d(5)).double()
    norm.convert_norm(model, "dsbn", K)
    x = randn(len(IDS), 3, 6, 6)
    with norm.domains(model, IDS):
        y = model(x)
    hidden = model[1](model[0](x), domain=IDS)
    torch.testing.assert_close(y, model[5](model[4](model[3](hidden.relu())), domain=IDS))
    assert model[1].domain is None
    with pytest.raises(InputError, match="does not divide"):
        model(x)
    with pytest.raises(InputError, match="outside"), norm.domains(model, IDS):
        norm.precise_bn(model, [x])


def bad(ids, shape=(2, 2), **kwargs):
    layer = SplitBatchNorm2d(C, K, **kwargs)
    return lambda: layer(torch.randn(len(IDS), C, *shape), domain=ids)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (bad(IDS + 1), ("domain", "0 to 3", "1 to 4")),
        (bad(IDS - 1), ("domain", "-1 to 2")),
        (bad(IDS[1:]), ("domain", "(11,)", "(10,)")),
        (bad(IDS.float()), ("domain", "int64", "float32")),
        (bad(IDS.where(IDS != 3, 2).index_fill(0, torch.tensor([4]), 3), (1, 1)), ("one value",)),
        (bad(IDS, momentum=None), ("domain", "momentum")),
        (lambda: norm.GhostBatchNorm2d(C, K)(torch.randn(8, C, 2, 2), IDS), ("domain", "Ghost")),
        (lambda: SplitBatchNorm2d(C, K)(torch.randn(0, C, 2, 2), IDS[:0]), ("x", "rows")),
        (lambda: norm.domains(nn.BatchNorm2d(3), IDS).__enter__(), ("model", "subset")),
        (lambda: norm.domains(SplitBatchNorm2d(3, 2), IDS).__enter__(), ("ids", "0 to 1", "3")),
        (lambda: norm.domains(SplitBatchNorm2d(3, 4), IDS[:0]).__enter__(), ("ids", "(0,)")),
        (bad(IDS.tolist()), ("domain", "list", "as_tensor")),
        (bad(IDS.numpy()), ("domain", "ndarray", "as_tensor")),
        (lambda: norm.domains(SplitBatchNorm2d(3, 4), [0, 1]).__enter__(), ("ids", "list")),
        (lambda: norm.domains(SplitBatchNorm2d(3, 4), None).__enter__(), ("ids", "NoneType")),
    ],
)
def test_bad_ids_are_named(call, words):
    refused(call, *words)


def test_no_rows_in_evaluation_are_no_rows():
    layer = SplitBatchNorm2d(C, K).eval()
    assert layer(torch.randn(0, C, 2, 2), domain=IDS[:0]).shape == (0, C, 2, 2)
