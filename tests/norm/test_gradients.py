"""Gradients beyond the first backward pass: twice, in half precision, transformed, recomputed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from layers import randn
from torch import nn
from torch.utils.checkpoint import checkpoint

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import (
    BatchRenorm1d,
    BatchRenorm2d,
    GhostBatchNorm2d,
    SplitBatchNorm2d,
    SubsetAffineBatchNorm2d,
)

C, K = 4, 2
Make = Callable[..., nn.Module]
LAYERS: dict[str, Make] = {
    "split": lambda **kw: SplitBatchNorm2d(C, K, **kw),
    "interleaved": lambda **kw: SplitBatchNorm2d(C, K, None, "interleaved", **kw),
    "dsbn": lambda **kw: SplitBatchNorm2d(C, K, "split", **kw),
    "affine": lambda **kw: SubsetAffineBatchNorm2d(C, K, **kw),
    "ghost": lambda **kw: GhostBatchNorm2d(C, K, **kw),
    "shuffled": lambda **kw: GhostBatchNorm2d(C, K, "shuffled", **kw),
    "renorm": lambda **kw: BatchRenorm2d(C, 0, r_max=1.5, d_max=0.5, **kw),
}
PLAIN_AT_FIRST = {**LAYERS, "renorm": lambda **kw: BatchRenorm2d(C, 1000, **kw)}
every_layer = pytest.mark.parametrize("name", LAYERS)


def made(make, **kwargs):
    layer = make(**{"dtype": torch.float64, **kwargs})
    for seed, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(randn(*parameter.shape, seed=20 + seed) + 1)
    return layer


# Second order.


@pytest.mark.parametrize("name", PLAIN_AT_FIRST)
def test_second_order_against_finite_differences(name):
    layer = made(PLAIN_AT_FIRST[name], momentum=0.0, eps=0.1)
    names = [n for n, _ in layer.named_parameters()]

    def forward(x, *parameters):
        layer.num_batches_tracked.zero_()  # the same groups and bounds every time
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    inputs = (randn(4, C, 1, 2).requires_grad_(), *layer.parameters())
    assert torch.autograd.gradgradcheck(forward, inputs)


def test_second_order_of_renorm_takes_r_and_d_as_constants():
    layer = made(LAYERS["renorm"])
    x = (randn(6, C, 2, 2) * 1.3 + 0.3).requires_grad_()
    mean, std = (
        x.mean((0, 2, 3), keepdim=True),
        (x.var((0, 2, 3), False, keepdim=True) + 1e-5).sqrt(),
    )
    r, d = std.detach().clamp(1 / 1.5, 1.5), mean.detach().clamp(-0.5, 0.5)
    expected = (x - mean) / std * r + d
    expected = expected * layer.weight[:, None, None] + layer.bias[:, None, None]
    dy = randn(6, C, 2, 2, seed=1).requires_grad_()
    found = []
    for y in (layer(x), expected):
        (first,) = torch.autograd.grad(y, x, dy, create_graph=True)
        found.append(torch.autograd.grad(first.pow(3).sum(), (x, layer.weight, dy)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_parameter_that_feeds_the_input_too_is_counted_once():
    split, plain = SplitBatchNorm2d(C, 1, dtype=torch.float64), nn.BatchNorm2d(C).double()
    x = randn(6, C, 2, 2)
    found = []
    for layer in (split, plain):
        y = layer(x * layer.weight[:, None, None] + x.pow(2))
        (first,) = torch.autograd.grad(y.pow(3).sum(), layer.weight, create_graph=True)
        found.append((first.detach(), *torch.autograd.grad(first.square().sum(), layer.weight)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


# Half precision: no worse than three times what PyTorch's own layer loses.


def results(layer, x, dy):
    x = x.clone().requires_grad_()
    y = layer(x)
    y.backward(dy)
    parameters = {n: p.grad for n, p in layer.named_parameters()}
    statistics = {n: b for n, b in layer.named_buffers() if b.is_floating_point()}
    return {"y": y.detach(), "x": x.grad, **parameters, **statistics}


def errors(layer, x, dy):
    """Of every result, relative to the same layer in float64."""
    exact = results(copy.deepcopy(layer).double(), x.double(), dy.double())
    found = results(layer, x, dy)
    return {
        n.replace("std", "var"): float((found[n].double() - t).norm() / t.norm())
        for n, t in exact.items()
    }


#: Every mean with every size of gradient, and both types and layouts with each of these.
HALF = [
    (dtype, mean, gradient, (i + j + half) % 2 == 0)
    for i, mean in enumerate((0, 5, 20))
    for j, gradient in enumerate((1e-3, 1, 3e3))
    for half, dtype in enumerate((torch.bfloat16, torch.float16))
]


@pytest.mark.parametrize(("dtype", "mean", "gradient", "channels_last"), HALF)
def test_half_precision_loses_no_more_than_torch(dtype, mean, gradient, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = (randn(64, C, 8, 8) + mean).to(dtype).contiguous(memory_format=layout)
    dy = (randn(64, C, 8, 8, seed=1) * gradient).to(dtype).contiguous(memory_format=layout)
    plain = errors(nn.BatchNorm2d(C), x, dy)
    for name, make in LAYERS.items():
        for key, error in errors(make(), x, dy).items():
            assert error <= 3 * max(plain[key], 2e-7), (name, key, error, plain[key])


@every_layer
def test_a_large_loss_scale_stays_finite(name):
    # The product of gradient and input is 90,000; float16 ends at 65,504.
    x, dy = (randn(64, C, 8, 8) + 30).half(), (randn(64, C, 8, 8, seed=1) + 3e3).half()
    assert all(torch.isfinite(t).all() for t in results(LAYERS[name](), x, dy).values())


@every_layer
def test_amp_with_a_scaler(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, C, 3), LAYERS[name](), nn.Flatten(), nn.Linear(C * 16, 1))
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    for seed in range(3):
        with torch.autocast("cpu", torch.float16):
            loss = model(randn(8, 3, 6, 6, seed=seed, dtype=torch.float32)).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert scaler.get_scale() == 2.0**12  # no step was skipped
    assert all(torch.isfinite(t).all() for t in model.state_dict().values())
    for key in (f"1.{n}" for n, _ in model[1].named_parameters()):
        assert not torch.equal(model.state_dict()[key], before[key]), key
    assert all(b.dtype != torch.float16 for b in model.buffers())


# torch.func.


@every_layer
def test_grad_and_functional_call(name):
    layer = made(LAYERS[name])
    other = copy.deepcopy(layer)
    x, dy = randn(8, C, 3, 3), randn(8, C, 3, 3, seed=1)

    buffers = {n: b.clone() for n, b in layer.named_buffers()}

    # As with PyTorch's layers, buffers are passed in: a captured one cannot be written to.
    def loss(parameters, buffers, x):
        return (torch.func.functional_call(layer, (parameters, buffers), (x,)) * dy).sum()

    grad = torch.func.grad(loss, argnums=(0, 2))
    grads, grad_x = grad(dict(layer.named_parameters()), buffers, x)
    expected = results(other, x, dy)
    torch.testing.assert_close(grad_x, expected["x"])
    for key, value in grads.items():
        torch.testing.assert_close(value, expected[key])
    for key, buffer in other.named_buffers():
        torch.testing.assert_close(buffers[key], buffer)


@every_layer
def test_a_vmapped_ensemble(name):
    layers = [made(LAYERS[name]) for _ in range(3)]
    for i, layer in enumerate(layers):
        layer.running_mean.fill_(0.1 * i)
    x = randn(3, 8, C, 3, 3)
    state = torch.func.stack_module_state(layers)
    base = copy.deepcopy(layers[0]).to("meta")

    def forward(state, x):
        return torch.func.functional_call(base, state, (x,))

    y = torch.vmap(forward)(state, x)
    torch.testing.assert_close(y, torch.stack([f(t) for f, t in zip(layers, x, strict=True)]))
    moved = [dict(layer.named_buffers()) for layer in layers]
    for key, buffer in state[1].items():
        torch.testing.assert_close(buffer, torch.stack([buffers[key] for buffers in moved]))


@every_layer
def test_forward_mode(name):
    layer = made(LAYERS[name], momentum=0.0)
    x, tangent, dy = (randn(8, C, 3, 3, seed=s) for s in range(3))

    def forward(x):
        copies = {n: b.clone() for n, b in layer.named_buffers()}
        return torch.func.functional_call(layer, copies, (x,))

    _, found = torch.func.jvp(forward, (x,), (tangent,))
    torch.testing.assert_close((found * dy).sum(), (results(layer, x, dy)["x"] * tangent).sum())


# Activation checkpoints.


class Block(nn.Module):
    """Normalises twice, so that the second layer's input depends on what the first one recalls."""

    def __init__(self, make):
        super().__init__()
        self.first, self.second = made(make), made(make)

    def forward(self, x):
        return self.second(self.first(x).sin() * 2 + 1)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "shuffled"])
def test_a_checkpoint_changes_nothing(name, reentrant):
    block = Block(LAYERS[name])
    other = copy.deepcopy(block)
    for step in range(3):
        found = []
        for model, keep in ((block, True), (other, False)):
            views = [(randn(8, C, 3, 3, seed=10 * step + v) * 2).requires_grad_() for v in (0, 1)]
            model.zero_grad()
            # Both views before one backward pass: the statistics move in between.
            y = [checkpoint(model, v, use_reentrant=reentrant) if keep else model(v) for v in views]
            torch.cat(y).square().mean().backward()
            found.append([v.grad for v in views] + [p.grad for p in model.parameters()])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs)
    for key, value in other.state_dict().items():
        torch.testing.assert_close(block.state_dict()[key], value)
    assert int(block.first.num_batches_tracked) == 6


def test_equal_batches_are_recalled_in_their_order():
    block = Block(LAYERS["renorm"])
    other = copy.deepcopy(block)
    found = []
    for model, keep in ((block, True), (other, False)):
        x = (randn(8, C, 3, 3) * 2).requires_grad_()
        y = [checkpoint(model, x, use_reentrant=False) if keep else model(x) for _ in range(3)]
        sum(t.square().mean() * (i + 1) for i, t in enumerate(y)).backward()
        found.append(x.grad)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(
    ("layer", "word"), [(LAYERS["shuffled"](), "shuffled"), (LAYERS["renorm"](), "checkpointing")]
)
def test_what_cannot_be_recomputed_is_refused(layer, word):
    x = torch.randn(8, C, 3, 3, requires_grad=True)
    y = checkpoint(
        lambda t: layer(t + torch.rand_like(t)), x, use_reentrant=False, preserve_rng_state=False
    )
    with pytest.raises(InputError, match=word):
        y.sum().backward()


# Momentum.


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "shuffled"])
def test_the_cumulative_average_compiles_in_one_graph(name):
    layer = LAYERS[name](momentum=None)
    other = copy.deepcopy(layer)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for seed in range(3):
        x = randn(8, C, 3, 3, seed=seed, dtype=torch.float32) + seed
        torch.testing.assert_close(compiled(x), other(x))
    for key, value in other.state_dict().items():
        torch.testing.assert_close(layer.state_dict()[key], value)


@pytest.mark.parametrize("kind", [BatchRenorm1d, BatchRenorm2d])
def test_renorm_without_momentum_measures(kind):
    shape = (8, C, 3, 3) if kind is BatchRenorm2d else (8, C)
    layer = kind(C, 0, momentum=None)
    x = [torch.randn(shape) * s + s for s in (1, 2)]
    y = [layer(t) for t in x]
    torch.testing.assert_close(y[1], nn.functional.batch_norm(x[1], None, None, training=True))
    dims = [d for d in range(len(shape)) if d != 1]
    means = torch.stack([t.mean(dims) for t in x])
    torch.testing.assert_close(layer.running_mean, means.mean(0))


@every_layer
def test_a_momentum_of_zero_freezes(name):
    layer = LAYERS[name](momentum=0.0)
    before = {n: b.clone() for n, b in layer.named_buffers() if b.is_floating_point()}
    layer(torch.randn(8, C, 3, 3) + 5)
    for key, value in before.items():
        assert torch.equal(dict(layer.named_buffers())[key], value), key
