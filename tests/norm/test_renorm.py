"""Batch Renormalization against the paper's formulas and its identities.

Published implementations disagree with the paper or with each other (torchrl's warm-up factor
keeps growing, so that r leaves its bounds; ludvb adds eps to the standard deviation; Avalanche's
statistics are not in the state dict): the oracles here are the paper's equations.
"""

from __future__ import annotations

import copy
import math
from unittest import mock

import layers
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from layers import agree, compiles_in_one_graph, randn, refused, same_state
from torch import nn

from contrastive_tutorial.norm import BatchRenorm1d, BatchRenorm2d
from contrastive_tutorial.norm.renorm import REFERENCE_STEPS

F64 = torch.float64


def randomize(layer):
    layers.randomize(layer)
    layer.running_mean.copy_(randn(layer.num_features, seed=7))
    layer.running_std.copy_(randn(layer.num_features, seed=8).abs() + 0.3)
    return layer


@settings(deadline=None, max_examples=40)
@example(batch=6, c=1, spatial=(), r_max=1.2, d_max=5.0, affine=True, seed=325)  # 1.2 in float32
@given(
    batch=st.integers(2, 6),
    c=st.integers(1, 4),
    spatial=st.sampled_from([(), (3,), (2, 3)]),
    r_max=st.sampled_from([1.0, 1.2, 3.0, math.inf]),
    d_max=st.sampled_from([0.0, 0.3, 5.0, math.inf]),
    affine=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_algorithm_1(batch, c, spatial, r_max, d_max, affine, seed):
    """Output, gradients (r and d constant) and running statistics, line by line of the paper."""
    kind = BatchRenorm2d if len(spatial) == 2 else BatchRenorm1d
    layer = randomize(
        kind(c, total_steps=0, r_max=r_max, d_max=d_max, eps=1e-2, affine=affine, dtype=F64)
    )
    mu, sigma = layer.running_mean.clone(), layer.running_std.clone()
    x = (randn(batch, c, *spatial, seed=seed) * 2 + 1).requires_grad_()

    flat = x.transpose(0, 1).flatten(1)
    mu_b, sigma_b = flat.mean(1), (flat.var(1, correction=0) + 1e-2).sqrt()
    r = (sigma_b / sigma).clamp(1 / r_max, r_max).detach()
    d = ((mu_b - mu) / sigma).clamp(-d_max, d_max).detach()
    shape = (1, c) + (1,) * len(spatial)
    expected = (x - mu_b.view(shape)) / sigma_b.view(shape) * r.view(shape) + d.view(shape)
    inputs = [x]
    if affine:
        expected = expected * layer.weight.view(shape) + layer.bias.view(shape)
        inputs += [layer.weight, layer.bias]

    y = layer(x)
    torch.testing.assert_close(y, expected)
    upstream = randn(*x.shape, seed=5)
    for ours, theirs in zip(
        torch.autograd.grad(y, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(layer.running_mean, mu + 0.1 * (mu_b.detach() - mu))
    torch.testing.assert_close(layer.running_std, sigma + 0.1 * (sigma_b.detach() - sigma))
    assert layer.num_batches_tracked == 1


def test_unclipped_equals_the_evaluation_formula():
    layer = randomize(BatchRenorm2d(3, total_steps=0, r_max=math.inf, d_max=math.inf, dtype=F64))
    x = randn(4, 3, 5, 5) * 3 + 2
    evaluated = copy.deepcopy(layer).eval()(x)
    mean, std = layer.running_mean.view(1, -1, 1, 1), layer.running_std.view(1, -1, 1, 1)
    formula = (x - mean) / std * layer.weight.view(1, -1, 1, 1) + layer.bias.view(1, -1, 1, 1)
    mates = copy.deepcopy(layer)(torch.cat([x[:2], 9 * x[2:] ** 2]))
    trained = layer(x)
    assert (trained - formula).abs().max() < 1e-12
    assert (evaluated - formula).abs().max() < 1e-12
    assert (mates[:2] - trained[:2]).abs().max() < 1e-12  # whatever the batch mates


@pytest.mark.parametrize("affine", [True, False])
def test_bounds_one_and_zero_are_batch_norm(affine):
    layer = BatchRenorm2d(4, total_steps=0, r_max=1, d_max=0, affine=affine, dtype=F64)
    randomize(layer)
    plain = nn.BatchNorm2d(4, affine=affine, dtype=F64)
    if affine:
        plain.weight.data.copy_(layer.weight.data)
        plain.bias.data.copy_(layer.bias.data)
    agree(layer, plain, randn(5, 4, 3, 3) * 2 + 1)


@pytest.mark.parametrize(
    ("step", "r_max", "d_max"),
    [
        (0, 1.0, 0.0),
        (5_000, 1.0, 0.0),
        (15_000, 1 + 2 * 10 / 35, 2.5),
        (25_000, 1 + 2 * 20 / 35, 5.0),
        (40_000, 3.0, 5.0),
        (1_000_000, 3.0, 5.0),
    ],
)
@pytest.mark.parametrize("scale", [1, 100])
def test_schedule_is_the_papers_scaled_to_the_run(step, r_max, d_max, scale):
    layer = BatchRenorm2d(2, total_steps=REFERENCE_STEPS // scale)
    layer.num_batches_tracked.fill_(step // scale)
    r, d = layer.bounds()
    assert r.item() == pytest.approx(r_max, abs=1e-5)
    assert d.item() == pytest.approx(d_max, abs=1e-5)


def test_infinite_bounds_never_make_nan():
    layer = BatchRenorm2d(2, total_steps=320, r_max=math.inf, d_max=math.inf, dtype=F64)
    for step in (0, 10, 11, 320):
        layer.num_batches_tracked.fill_(step)
        r, d = (bound.item() for bound in layer.bounds())
        assert (r, d) == ((1, 0) if step <= 10 else (math.inf, math.inf))
        assert torch.isfinite(layer(randn(4, 2, 3, 3))).all()


@pytest.mark.parametrize("training", [True, False])
def test_float32_inside_autocast(training):
    layer = BatchRenorm2d(4, total_steps=0).train(training)
    layer.running_mean.fill_(40.0)
    reference = copy.deepcopy(layer)
    x = (randn(8, 4, 6, 6) + 40).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    expected = reference(x.float())
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, expected.bfloat16())  # the only rounding is the last one
    assert torch.equal(layer.running_std, reference.running_std)


@pytest.mark.parametrize("affine", [True, False])
def test_what_is_compiled_is_the_same_function(affine):
    layer = BatchRenorm2d(4, total_steps=0, r_max=1.05, d_max=0.05, affine=affine).double()
    twin = copy.deepcopy(layer)

    def compiled(x):
        with mock.patch("torch.compiler.is_compiling", return_value=True):
            return layer(x)

    agree(compiled, twin, 3 * randn(6, 4, 3, 3) + 1)
    for one, other in zip(layer.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    same_state(layer, twin)


@pytest.mark.skipif(
    torch.__version__ < torch.torch_version.TorchVersion("2.7"),
    reason="torch 2.6 updates running_std wrongly with aot_eager (with inductor it is right)",
)
@pytest.mark.parametrize("training", [True, False])
def test_compiles_in_one_graph(training):
    """Where r is clipped, by bounds that move with every step, and where it is not."""
    layer = BatchRenorm2d(4, total_steps=64).train(training)
    layer.num_batches_tracked.fill_(3)
    layer.running_std.copy_(torch.tensor([0.3, 0.3, 0.99, 1.01]))
    compiles_in_one_graph(layer)


def test_channels_last_and_mixed_gradients():
    layer = randomize(BatchRenorm2d(4, total_steps=0, dtype=F64))
    twin = copy.deepcopy(layer)
    x, upstream = randn(6, 4, 3, 3), randn(6, 4, 3, 3, seed=1)
    a = x.to(memory_format=torch.channels_last).requires_grad_()
    b = x.clone().requires_grad_()
    y = layer(a)
    assert y.is_contiguous(memory_format=torch.channels_last)
    y.backward(upstream)  # an NCHW gradient
    twin(b).backward(upstream)
    torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("kind", [BatchRenorm1d, BatchRenorm2d])
def test_what_is_not_said_and_where_it_is(kind):
    layer = kind(4)
    assert (layer.total_steps, layer.r_max, layer.d_max) == (REFERENCE_STEPS, 3, 5)
    assert (layer.eps, layer.momentum) == (1e-5, 0.1)
    start = {"weight": 1, "bias": 0, "running_mean": 0, "running_std": 1, "num_batches_tracked": 0}
    for name, tensor in layer.state_dict().items():
        assert (tensor == start[name]).all()
    layer = kind(4, device="meta", dtype=F64)
    assert all(tensor.is_meta for tensor in layer.state_dict().values())
    assert {tensor.dtype for tensor in layer.state_dict().values()} == {F64, torch.int64}
    layer = kind(1, total_steps=0, r_max=1, d_max=0, affine=False, device="meta", dtype=F64)
    assert layer.weight is None
    assert layer.bias is None


def test_float64_input_of_a_float32_layer():
    x = randn(6, 4, 3, 3)
    layer = BatchRenorm2d(4, total_steps=0)
    y = layer(x)
    assert y.dtype == F64
    assert layer.running_mean.dtype == layer.running_std.dtype == torch.float32
    torch.testing.assert_close(layer.running_mean, (0.1 * x.mean((0, 2, 3))).float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("affine", [True, False])
def test_a_layer_in_half_precision_evaluates(dtype, affine):
    layer = randomize(BatchRenorm2d(3, 0, affine=affine).double()).to(dtype).eval()
    x = randn(4, 3, 2, 2).to(dtype)
    assert layer(x).dtype == dtype
    exact = copy.deepcopy(layer).double()(x.double())
    torch.testing.assert_close(layer(x).double(), exact, rtol=1e-2, atol=1e-2)


def test_moments_take_eps_out_again_and_are_no_less_than_zero():
    layer = BatchRenorm2d(3, eps=0.25, dtype=F64)
    layer.running_std.copy_(torch.tensor([0.25, 0.5, 1.5]))  # the first: less than eps alone
    layer.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    mean, var = layer.moments()
    assert mean.tolist() == [1, 2, 3]
    assert var.tolist() == [0, 0, 2]


def test_state_dict_resumes_the_schedule():
    layer = BatchRenorm2d(3, total_steps=64)
    for step in range(9):
        layer(randn(4, 3, 2, 2, seed=step).float() + 2)
    assert set(layer.state_dict()) == {
        "weight", "bias", "running_mean", "running_std", "num_batches_tracked",
    }  # fmt: skip
    again = BatchRenorm2d(3, total_steps=64)
    again.load_state_dict(layer.state_dict())
    x = randn(4, 3, 2, 2, seed=50).float()
    assert again.bounds() == layer.bounds()
    assert torch.equal(again(x), layer(x))
    assert torch.equal(again.eval()(x[:1]), layer.eval()(x[:1]))
    layer.reset_running_stats()
    assert layer.num_batches_tracked == 0
    assert torch.equal(layer.running_mean, torch.zeros(3))
    assert torch.equal(layer.running_std, torch.ones(3))
    assert "total_steps=64" in repr(layer)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BatchRenorm2d(0), ("num_features", "0")),
        (lambda: BatchRenorm2d(4, total_steps=-1), ("total_steps", "-1")),
        (lambda: BatchRenorm2d(4, total_steps=None), ("total_steps", "None")),
        (lambda: BatchRenorm2d(4, eps=-1e-5), ("eps", "-1e-05")),
        (lambda: BatchRenorm2d(4, momentum=2.0), ("momentum", "2.0")),
        (lambda: BatchRenorm2d(4, r_max=0.5), ("r_max", "0.5")),
        (lambda: BatchRenorm2d(4, r_max=math.nan), ("r_max", "nan")),
        (lambda: BatchRenorm2d(4, d_max=-1), ("d_max", "-1")),
        (lambda: BatchRenorm2d(4)(torch.zeros(6, 5, 2, 2)), ("C = 4", "(6, 5, 2, 2)")),
        (lambda: BatchRenorm1d(4)(torch.zeros(6, 4, 2, 2)), ("2 or 3 dimensions",)),
        (lambda: BatchRenorm1d(4)(torch.zeros(1, 4)), ("one value",)),
    ],
)
def test_bad_input_is_named(call, words):
    refused(call, *words)
