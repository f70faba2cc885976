"""The evaluation menu against hand formulas; precise BN against statistics of the pooled data."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from layers import randn
from torch import nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import (
    KINDS,
    BatchRenorm2d,
    SplitBatchNorm1d,
    SplitBatchNorm2d,
    convert_norm,
    evaluation_statistics,
    precise_bn,
    reestimate,
)
from contrastive_tutorial.norm.precise import Moments
from contrastive_tutorial.norm.statistics import num_branches

F64 = torch.float64
K, EACH, C = 3, 8, 4
FIXED = ("mean", "pooled", "branch:0", "ensemble", "oracle")  # what plain layers do not notice


def batch(seed=0, each=EACH):
    """Ordered training rows ``(K * each, C, 3, 3)`` whose groups differ in mean and scale."""
    x = randn(K, each, C, 3, 3, seed=seed)
    k = torch.arange(K, dtype=F64).view(K, 1, 1, 1, 1)
    return (x * (1 + k) + 2 * k).flatten(0, 1)


def layer(kind, eps=0.01):
    """A converted layer with random affine and statistics of a training batch, in eval mode."""
    norm = convert_norm(nn.BatchNorm2d(C, eps=eps, dtype=F64), kind, K, total_steps=1000)
    for i, parameter in enumerate(norm.parameters()):
        parameter.data.copy_(randn(*parameter.shape, seed=10 + i) + 1)
    for seed in range(3):
        norm(batch(seed))
    return norm.eval()


def by_hand(x, mean, var, weight, bias):
    mean, std, weight, bias = (
        t.view(1, -1, 1, 1) for t in (mean, (var + 0.01).sqrt(), weight, bias)
    )
    return (x - mean) / std * weight + bias


def evaluate(model, how, x):
    with torch.no_grad(), evaluation_statistics(model, how) as forward:
        return forward(x)


@pytest.mark.parametrize("kind", ["split", "dsbn", "affine"])
def test_menu_by_hand(kind):
    norm = layer(kind)
    x = randn(2 * K, C, 3, 3, seed=50)
    tables = (norm.running_mean, norm.running_var, norm.weight.detach(), norm.bias.detach())
    mu, v, weights, biases = (t if t.ndim == 2 else t.expand(K, C) for t in tables)
    w, b = weights.mean(0), biases.mean(0)
    between = (mu - mu.mean(0)).square().mean(0)
    # The menu's entries differ on these data, where there are several sets of statistics.
    assert (between > 0.1).all() or kind == "affine"
    expected = {
        "mean": by_hand(x, mu.mean(0), v.mean(0), w, b),
        "pooled": by_hand(x, mu.mean(0), v.mean(0) + between, w, b),
        "test-batch": by_hand(x, x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0), w, b),
        "oracle": torch.cat(
            [by_hand(x[2 * k : 2 * k + 2], mu[k], v[k], weights[k], biases[k]) for k in range(K)]
        ),
    }
    branches = [by_hand(x, mu[k], v[k], weights[k], biases[k]) for k in range(K)]
    for k in range(K):
        expected[f"branch:{k}"] = branches[k]
    for how, value in expected.items():
        torch.testing.assert_close(evaluate(norm, how, x), value, msg=how)
    torch.testing.assert_close(norm(x), expected["pooled"].detach(), msg="eval() is pooled")

    model = nn.Sequential(norm, nn.Flatten())
    directions = [F.normalize(y.flatten(1), dim=1) for y in branches]
    torch.testing.assert_close(evaluate(model, "ensemble", x), sum(directions) / K)


@pytest.mark.parametrize("kind", ["bn", "ghost", "renorm", "gn", "none"])
def test_without_branches_everything_is_eval_mode(kind):
    model = nn.Sequential(layer(kind), nn.Flatten())
    x = randn(2 * K, C, 3, 3, seed=50)
    expected = model.eval()(x).detach()
    for how in ("running", *FIXED):
        torch.testing.assert_close(evaluate(model, how, x), expected, msg=how)
    if kind in ("gn", "none"):
        for how in ("reestimated", "test-batch"):
            torch.testing.assert_close(evaluate(model, how, x), expected, msg=how)


@pytest.mark.parametrize("kind", ["bn", "ghost", "renorm"])
def test_test_batch_and_reestimated_without_branches(kind):
    norm = layer(kind)
    x = randn(6, C, 3, 3, seed=50)
    values = x.transpose(0, 1).flatten(1)
    w, b = norm.weight.detach(), norm.bias.detach()
    expected = by_hand(x, values.mean(1), values.var(1, correction=0), w, b)
    torch.testing.assert_close(evaluate(norm, "test-batch", x), expected)
    reestimate(norm, [x])
    expected = by_hand(x, values.mean(1), values.var(1), w, b)
    torch.testing.assert_close(evaluate(norm, "reestimated", x), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", [*FIXED, "branch:2", "reestimated", "test-batch"])
def test_everything_comes_back(kind, how):
    model = nn.Sequential(nn.Conv2d(C, C, 1, dtype=F64), layer(kind), nn.Dropout(0.5))
    model.train()
    model[0].eval()  # an unusual mode, to be found again
    x = batch(9, 2)
    if num_branches(model) == 1 and how == "branch:2":
        how = "branch:0"
    reestimate(model, [x])
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    keys = [set(module.__dict__) for module in model.modules()]

    with evaluation_statistics(model, how) as forward:
        assert not any(module.training for module in model.modules())
        first = forward(x)
        torch.testing.assert_close(forward(x), first)  # nothing moves
    with pytest.raises(RuntimeError, match="in the middle"), evaluation_statistics(model, how):
        raise RuntimeError("in the middle")

    assert [module.training for module in model.modules()] == modes
    assert [set(module.__dict__) for module in model.modules()] == keys
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_contexts_nest():
    norm = layer("split")
    x = batch(4, 1)
    with evaluation_statistics(norm, "branch:1") as outer:
        expected = outer(x)
        with evaluation_statistics(norm, "branch:2") as inner:
            torch.testing.assert_close(inner(x), evaluate(norm, "branch:2", x))
        assert torch.equal(outer(x), expected)
    assert "forward" not in norm.__dict__


def test_batch_of_one_gradients_and_tuples():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = layer("dsbn")

        def forward(self, x):
            h = self.norm(x).mean((2, 3))
            return h, 2 * h

    model = Both()
    x = randn(1, C, 3, 3).requires_grad_()
    for how in ("pooled", "ensemble", "branch:1"):
        with evaluation_statistics(model, how) as forward:
            h, z = forward(x)
        assert h.shape == z.shape == (1, C)
        (gradient,) = torch.autograd.grad(h.sum(), x)
        assert gradient.abs().sum() > 0
    with evaluation_statistics(model, "ensemble") as forward:
        h, z = forward(x)
    torch.testing.assert_close(h, z)  # both normalised before the average


def test_half_precision():
    norm = layer("dsbn").float()
    x = randn(2 * K, C, 3, 3).float()
    for how in ("mean", "pooled", "branch:1", "oracle", "test-batch"):
        exact = evaluate(norm, how, x.bfloat16().float())
        with torch.autocast("cpu", torch.bfloat16):
            half = evaluate(norm, how, x.bfloat16())
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), exact, rtol=2**-6, atol=2**-6)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_compiled_models(in_place, nested):
    torch._dynamo.reset()
    core = nn.Sequential(nn.Conv2d(C, C, 1, dtype=F64), layer("split"))
    x = randn(2 * K, C, 3, 3, seed=3)
    expected = {how: evaluate(core, how, x) for how in (*FIXED, "branch:2", "test-batch")}
    if in_place:
        core.compile(backend="eager")
        compiled: nn.Module = core
    else:
        compiled = torch.compile(core, backend="eager")
    compiled(x)
    model = nn.Sequential(compiled, nn.Identity()) if nested else compiled
    model.eval()
    model(x)
    for how, value in expected.items():
        torch.testing.assert_close(evaluate(model, how, x), value, msg=how)
    torch.testing.assert_close(model(x), expected["pooled"])


def flat(x):
    return x.transpose(0, 1).flatten(1)


def test_moments_are_merged_in_float64_and_from_single_values_too():
    values = randn(5, C, seed=40).float() + 100
    moments = Moments()
    for row in values:
        moments.add(row[None], torch.zeros(1, C), 1)
    assert moments.mean.dtype == moments.sum_of_squares.dtype == F64
    exact = values.double()
    torch.testing.assert_close(moments.mean[0], exact.mean(0), rtol=1e-13, atol=0)
    torch.testing.assert_close(
        moments.sum_of_squares[0], 5 * exact.var(0, correction=0), rtol=1e-11, atol=0
    )
    # A variance that float32 would round away beside a large one.
    moments = Moments()
    moments.add(torch.zeros(1, 1), torch.full((1, 1), 2.0**24), 1)
    moments.add(torch.zeros(1, 1), torch.ones(1, 1), 1)
    assert float(moments.sum_of_squares) == 2**24 + 1


def test_precise_bn_is_the_statistics_of_the_pooled_data():
    norm = layer("split").train()
    batches = [batch(seed, each) for seed, each in ((20, 8), (21, 3), (22, 5))]  # sizes differ
    steps = norm.num_batches_tracked.clone()
    precise_bn(norm, batches)
    for k in range(K):
        own = flat(torch.cat([b.unflatten(0, (K, -1))[k] for b in batches]))
        torch.testing.assert_close(norm.running_mean[k], own.mean(1), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(norm.running_var[k], own.var(1), rtol=1e-12, atol=1e-12)
    assert norm.num_batches_tracked == steps
    assert norm.training


@pytest.mark.parametrize("kind", ["bn", "ghost", "affine", "renorm"])
def test_precise_bn_of_one_set_of_statistics(kind):
    norm = layer(kind)
    batches = [batch(20, 8), batch(21, 4)]
    precise_bn(norm, batches)
    own = flat(torch.cat(batches))
    torch.testing.assert_close(norm.running_mean, own.mean(1), rtol=1e-12, atol=1e-12)
    if isinstance(norm, BatchRenorm2d):
        expected = (own.var(1, correction=0) + norm.eps).sqrt()
        torch.testing.assert_close(norm.running_std, expected, rtol=1e-12, atol=1e-12)
    else:
        torch.testing.assert_close(norm.running_var, own.var(1), rtol=1e-12, atol=1e-12)


def test_precise_bn_of_ghost_groups_in_one_channel():
    norm = convert_norm(nn.BatchNorm2d(1, dtype=F64), "ghost", 2)
    x = randn(8, 1, 3, 3, seed=41)
    precise_bn(norm, [x])
    torch.testing.assert_close(norm.running_mean, x.mean().view(1))
    torch.testing.assert_close(norm.running_var, x.var().view(1))


def test_an_ensemble_of_two_and_the_dtype_of_what_is_measured():
    norm = convert_norm(nn.BatchNorm2d(C), "dsbn", 2)
    norm(batch(0, 4).float()[:8])
    x = randn(2, C, 3, 3, seed=42).float()
    model = nn.Sequential(norm, nn.Flatten())
    parts = [F.normalize(evaluate(model, f"branch:{k}", x), dim=1) for k in range(2)]
    torch.testing.assert_close(evaluate(model, "ensemble", x), (parts[0] + parts[1]) / 2)
    reestimate(norm, [x])
    assert norm.reestimated_mean.dtype == norm.reestimated_var.dtype == torch.float32


def test_precise_bn_equals_one_training_step_with_momentum_one():
    """Through a deep network: layers below normalise as in training while those above measure."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(C, 5, 2), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(20, 6), nn.BatchNorm1d(6),
    ).double()  # fmt: skip
    model = convert_norm(model, "dsbn", K)
    model[3] = nn.Identity()  # dropout is off in both
    reference = copy.deepcopy(model)
    for module in reference.modules():
        if isinstance(module, SplitBatchNorm2d):
            module.momentum = 1.0
    x = batch(5)
    reference.train()(x)
    precise_bn(model, [x])
    assert isinstance(model[6], SplitBatchNorm1d)
    for name, tensor in model.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(tensor, reference.state_dict()[name])


def test_synchronised_bn_is_measured_like_plain_bn():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(C, C, 1), nn.BatchNorm2d(C)).double()
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(plain))
    found = []
    for model in (plain, synced):
        precise_bn(model, [batch()])
        reestimate(model, [batch(1)])
        for how in ("running", "reestimated", "test-batch"):
            with torch.no_grad(), evaluation_statistics(model, how) as forward:
                found.append(forward(batch(2)))
    for a, b in zip(found[:3], found[3:], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(plain[1].running_mean, torch.zeros(C, dtype=F64))


def test_statistics_that_are_not_kept_cannot_be_measured():
    model = nn.Sequential(nn.BatchNorm2d(C, dtype=F64, track_running_stats=False))
    for measure in (precise_bn, reestimate):
        with pytest.raises(InputError, match="track_running_stats=False"):
            measure(model, [batch()])


def test_precise_bn_runs_dropout_in_evaluation_mode():
    model = nn.Sequential(nn.Dropout(0.9), layer("bn")).train()
    x = batch(5)
    precise_bn(model, [x])
    torch.testing.assert_close(model[1].running_mean, flat(x).mean(1))
    assert model[0].training


def test_reestimate_measures_clean_images_of_no_subset():
    norm = layer("dsbn")
    clean = [randn(7, C, 3, 3, seed=30), randn(4, C, 3, 3, seed=31)]  # need not divide by K
    state = copy.deepcopy(norm.state_dict())
    with pytest.raises(InputError, match="reestimate"), evaluation_statistics(norm, "reestimated"):
        pass
    reestimate(norm, clean)
    own = flat(torch.cat(clean))
    x = randn(2, C, 3, 3, seed=32)
    expected = by_hand(x, own.mean(1), own.var(1), norm.weight.mean(0), norm.bias.mean(0)).detach()
    torch.testing.assert_close(evaluate(norm, "reestimated", x), expected)
    torch.testing.assert_close(evaluate(copy.deepcopy(norm), "reestimated", x), expected)
    assert norm.float().reestimated_mean.dtype == torch.float32  # moves with the model
    assert set(norm.state_dict()) == set(state)  # kept beside, not among, the running ones
    reestimate(norm.double(), [x])  # measuring again replaces
    torch.testing.assert_close(norm.reestimated_mean, flat(x).mean(1))


def test_reestimated_statistics_do_not_outlive_training():
    norm = layer("bn")
    x = randn(6, C, 3, 3, seed=51)
    reestimate(norm, [x])
    evaluate(norm, "reestimated", x)
    norm.train()(x)
    with pytest.raises(InputError, match="call reestimate"):
        evaluate(norm, "reestimated", x)
    reestimate(norm, [x])
    evaluate(norm, "reestimated", x)


def test_reestimated_statistics_are_of_one_set_of_weights():
    """Loading, and training with norms in evaluation mode, move no counter of any layer."""
    x = randn(6, C, 3, 3, seed=51)

    def measured():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(C, C, 1, dtype=F64), layer("split"))
        reestimate(model, [x])
        evaluate(model, "reestimated", x)
        evaluate(copy.deepcopy(model), "reestimated", x)
        return model

    loaded = measured()
    state = {name: 2 * value for name, value in loaded.state_dict().items()}
    state["1.num_batches_tracked"] //= 2
    loaded.load_state_dict(state)
    stepped = measured().eval()
    stepped(x).sum().backward()
    torch.optim.SGD(stepped.parameters(), 0.1).step()
    for model in (loaded, stepped, measured()[1]):
        with pytest.raises(InputError, match="measured for other weights"):
            evaluate(model, "reestimated", x)
    reestimate(loaded, [x])
    evaluate(loaded, "reestimated", x)


@pytest.mark.parametrize(
    ("batches", "reason"),
    [
        (torch.zeros(6, C, 3, 3, dtype=F64), "batches: expected several, got one tensor"),
        ([(torch.zeros(6, C, 3, 3, dtype=F64), 0)], "batches: expected float tensors, got a tuple"),
    ],
)
@pytest.mark.parametrize("measure", [reestimate, precise_bn])
def test_what_is_no_list_of_batches_is_refused(measure, batches, reason):
    for kind in ("bn", "split"):
        with pytest.raises(InputError, match=reason):
            measure(nn.Sequential(layer(kind)), batches)


class FrozenBatchNorm2d(nn.Module):
    """By name, as torchvision's and detectron's: running statistics that never move."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(C, dtype=F64))

    def forward(self, x):
        return x - self.running_mean[:, None, None]


@pytest.mark.parametrize(
    "other",
    [
        nn.InstanceNorm2d(C, track_running_stats=True, dtype=F64),
        nn.LazyBatchNorm2d(dtype=F64),
        FrozenBatchNorm2d(),
    ],
)
def test_statistics_that_cannot_be_chosen_are_not_claimed(other):
    model, x = nn.Sequential(layer("bn"), other), randn(6, C, 3, 3, seed=52)
    name = type(other).__name__
    with pytest.raises(InputError, match=name):
        evaluate(model, "test-batch", x)
    with pytest.raises(InputError, match=name):
        reestimate(model, [x])
    if name.startswith("Frozen"):
        precise_bn(model, [x])  # frozen they stay, and the others are measured
    else:
        with pytest.raises(InputError, match=name):
            precise_bn(model, [x])
    nothing_kept = nn.Sequential(layer("bn"), nn.InstanceNorm2d(C), nn.GroupNorm(1, C, dtype=F64))
    evaluate(nothing_kept, "test-batch", x)


def test_mixed_models_have_the_branches_of_their_subset_layers():
    model = nn.Sequential(nn.BatchNorm2d(C, dtype=F64), layer("split"))
    assert num_branches(model) == K
    evaluate(model, "branch:2", batch(1))
    model.append(SplitBatchNorm2d(C, 5, dtype=F64))
    with pytest.raises(InputError, match=r"different numbers of subsets: \[3, 5\]"):
        num_branches(model)


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("split", "best", ("how", "'best'", "pooled")),
        ("split", "branch:3", ("branch:2", "'branch:3'")),
        ("split", "branch:-1", ("branch:2", "'branch:-1'")),
        ("split", "branch:x", ("'branch:x'",)),
        ("split", "branch", ("'branch'",)),
        ("split", "branch:k", ("'branch:k'",)),
        ("bn", "branch:1", ("branch:0", "'branch:1'")),
        ("split", "running", ("running", "K = 3", "pooled")),
        ("affine", "running", ("running", "K = 3")),
        ("bn", "reestimated", ("reestimate(model, batches)",)),
    ],
)
def test_bad_names_are_refused(kind, how, words):
    norm = layer(kind).train()
    with pytest.raises(InputError) as raised, evaluation_statistics(norm, how):
        pass
    for word in words:
        assert word in str(raised.value)
    assert norm.training
    assert "forward" not in norm.__dict__


def test_bad_batches_are_refused():
    norm = layer("split")
    with pytest.raises(InputError, match="at least one batch"):
        precise_bn(norm, [])
    with pytest.raises(InputError, match="at least one batch"):
        reestimate(norm, [])
    before = copy.deepcopy(norm.state_dict())
    with pytest.raises(InputError, match=r"N = 7 .* K = 3"):
        precise_bn(norm, [batch(0), randn(7, C, 3, 3)])
    for name, tensor in norm.state_dict().items():
        assert torch.equal(tensor, before[name])  # nothing half-written
    with pytest.raises(InputError, match=r"K = 3 .*N = 7"):
        evaluate(norm, "oracle", randn(7, C, 3, 3))


def test_reestimated_statistics_expire_when_channels_change_places():
    model = convert_norm(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), "split", 2)
    reestimate(model, [torch.randn(8, 3, 4, 4) for _ in range(2)])
    with evaluation_statistics(model, "reestimated"):
        pass
    with torch.no_grad():
        for parameter in (model[0].weight, model[0].bias):
            parameter.copy_(parameter.flip(0))
    with (
        pytest.raises(InputError, match="other weights"),
        evaluation_statistics(model, "reestimated"),
    ):
        pass


def test_statistics_are_not_switched_off_by_a_flag():
    layer = SplitBatchNorm2d(4, 2)
    with pytest.raises(InputError, match="stops their updates"):
        layer.track_running_stats = False
