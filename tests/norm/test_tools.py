"""Other people's tools meet the layers: each works, refuses, or says so. One test a row."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from layers import refused
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from contrastive_tutorial import norm
from contrastive_tutorial.norm import SplitBatchNorm2d, convert_norm

OURS = ("renorm", "ghost", "split", "dsbn", "affine")


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(64, 5), nn.BatchNorm1d(5)),
    )


def ours(kind):
    """Converted, after three training steps."""
    model = convert_norm(network(), kind, 2, total_steps=100, grouping=None)
    for batch in batches():
        model(batch)
    return model


def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(8, 3, 6, 6, generator=generator) * (i + 1) + i for i in range(3)]


def timm_network():
    """An activation inside one norm, none in the other."""
    layers = pytest.importorskip("timm.layers")
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), layers.BatchNormAct2d(4, act_layer=nn.SiLU)),
        *(nn.Conv2d(4, 4, 3), layers.BatchNormAct2d(4, apply_act=False)),
    )
    for batch in batches():
        model(batch)
    return model


def statistics(model):
    return {n: b.clone() for n, b in model.named_buffers() if b.is_floating_point()}


# Statistics.


def test_update_bn():
    """swa_utils.update_bn, every layer of ours: works, as precise_bn."""
    for kind in OURS:
        model = ours(kind)
        expected = copy.deepcopy(model)
        torch.optim.swa_utils.update_bn(batches(), model)
        norm.precise_bn(expected, batches())
        # The first layer's input does not depend on statistics; update_bn averages variances and
        # precise_bn pools them.
        torch.testing.assert_close(model[1].running_mean, expected[1].running_mean)
        assert (model[1].momentum, int(model[1].num_batches_tracked)) == (0.1, 3)


def test_freeze_loop():
    """a loop that freezes _BatchNorm, every layer of ours: works."""
    for kind in OURS:
        model = ours(kind)
        before = statistics(model)
        for module in model.train().modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        model(batches()[0])
        for name, value in statistics(model).items():
            assert torch.equal(value, before[name]), (kind, name)


def test_averaged_model():
    """AveragedModel(use_buffers=True), every layer of ours: works."""
    from torch.optim.swa_utils import AveragedModel

    for kind in OURS:
        model = ours(kind)
        average = AveragedModel(model, use_buffers=True)
        first = statistics(model)
        average.update_parameters(model)
        model(batches()[0] + 3)
        average.update_parameters(model)
        for name, value in statistics(model).items():
            torch.testing.assert_close(average.module.get_buffer(name), (first[name] + value) / 2)


def test_timm_ema():
    """timm ModelEmaV3, every layer of ours: works."""
    utils = pytest.importorskip("timm.utils")
    for kind in OURS:
        model = ours(kind)
        ema = utils.ModelEmaV3(model, decay=0.5)
        first = statistics(model)
        model(batches()[0] + 3)
        ema.update(model)
        for name, value in statistics(model).items():
            torch.testing.assert_close(ema.module.get_buffer(name), (first[name] + value) / 2)


def test_parameters_only():
    """an average of parameters only (torch_ema), any running statistics: says so (audit)."""
    for kind in ("bn", *OURS):
        assert any("torch_ema" in line for line in norm.audit(ours(kind)).findings)
    assert not any("torch_ema" in line for line in norm.audit(nn.GroupNorm(1, 3)).findings)


def test_checkpointed():
    """torch.utils.checkpoint, split: works, and counts a step once."""
    model = ours("split")
    x = batches()[0].requires_grad_()
    torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False).sum().backward()
    assert int(model[1].num_batches_tracked) == 4


# Conversions by others.


def test_torch_sync():
    """SyncBatchNorm.convert_sync_batchnorm, every layer of ours: refuses."""
    for kind in OURS:
        refused(lambda k=kind: nn.SyncBatchNorm.convert_sync_batchnorm(ours(k)), "SyncBatchNorm")
    plain = convert_norm(ours("split"), "bn")
    assert type(nn.SyncBatchNorm.convert_sync_batchnorm(plain)[1]) is nn.SyncBatchNorm


def test_timm_converters():
    """timm convert_sync_batchnorm, convert_splitbn_model, every layer of ours: refuses."""
    layers = pytest.importorskip("timm.layers")
    for kind in OURS:
        refused(lambda k=kind: layers.convert_sync_batchnorm(ours(k)), "timm")
        refused(lambda k=kind: layers.convert_splitbn_model(ours(k), 2), "timm")


def test_timm_freeze():
    """timm freeze_batch_norm_2d, split: leaves them: freeze by _BatchNorm instead."""
    freeze = pytest.importorskip("timm.utils.model").freeze_batch_norm_2d
    assert type(freeze(ours("split"))[1]) is SplitBatchNorm2d


def test_functorch_replacement():
    """torch.func.replace_all_batch_norm_modules_, every layer of ours: refuses."""
    for kind in OURS:
        refused(lambda k=kind: torch.func.replace_all_batch_norm_modules_(ours(k)), "torch.func")


# Folding and exporting.


def test_fuse():
    """fuse_conv_bn_eval, ghost, or any kind after convert_norm(model, 'bn'): works."""
    x = batches()[0]
    for model in (ours("ghost"), *(convert_norm(ours(kind), "bn") for kind in OURS)):
        model.eval()
        fused = nn.utils.fusion.fuse_conv_bn_eval(model[0], model[1])
        torch.testing.assert_close(fused(x), model[1](model[0](x)), atol=1e-5, rtol=1e-4)


def test_fuse_ours():
    """fuse_conv_bn_eval, renorm, split, dsbn, affine: refuses (an error about shapes)."""
    for kind in ("renorm", "split", "dsbn", "affine"):
        model = ours(kind).eval()
        with pytest.raises((RuntimeError, AttributeError)):
            nn.utils.fusion.fuse_conv_bn_eval(model[0], model[1])


def test_export():
    """torch.export, every layer of ours, both modes: works."""
    x = batches()[0]
    for kind in OURS:
        for training in (True, False):
            model = ours(kind).train(training)
            expected = copy.deepcopy(model)
            module = torch.export.export(model, (x,)).module()
            torch.testing.assert_close(module(x), expected(x))
            for name, value in statistics(expected).items():
                torch.testing.assert_close(module.get_buffer(name), value)


def test_onnx_export():
    """torch.onnx.export, every layer of ours in evaluation: works."""
    pytest.importorskip("onnxscript", reason="onnx and onnxscript are not installed")
    reference = pytest.importorskip("onnx.reference")
    x = batches()[0]
    for kind in OURS:
        model = ours(kind).eval()
        proto = torch.onnx.export(model, (x,), dynamo=True, verbose=False).model_proto
        (y,) = reference.ReferenceEvaluator(proto).run(None, {proto.graph.input[0].name: x.numpy()})
        torch.testing.assert_close(torch.tensor(y), model(x).detach(), atol=1e-5, rtol=1e-4)


def test_jit():
    """torch.jit.trace and script, every layer of ours: refuses."""
    for kind in OURS:
        refused(lambda k=kind: torch.jit.trace(ours(k).eval(), batches()[0]), "torch.jit")
        model = convert_norm(ours(kind), "bn").eval()
        traced = torch.jit.trace(model, batches()[0])
        torch.testing.assert_close(traced(batches()[1]), model(batches()[1]))


def test_copies():
    """pickle and copy.deepcopy, every layer of ours: works."""
    for kind in OURS:
        model = ours(kind)
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            x = batches()[0]
            torch.testing.assert_close(other(x), copy.deepcopy(model)(x))


# Weight decay.


def test_timm_weight_decay():
    """timm param_groups_weight_decay, dsbn, affine: says so (audit), and gives the names."""
    filters = pytest.importorskip("timm.optim")
    for kind in ("dsbn", "affine"):
        model = ours(kind)
        found = norm.audit(model)
        assert all(any("(K, C)" in note for note in layer.notes) for layer in found.layers)

        def decayed(model=model, **kwargs):
            groups = filters.param_groups_weight_decay(model, 0.1, **kwargs)
            kept = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
            return {n for n, p in model.named_parameters() if id(p) in kept}

        assert decayed() == {"0.weight", "1.weight", "4.weight", "5.weight"}
        assert decayed(no_weight_decay_list=found.spare) == {"0.weight", "4.weight"}


def test_lightly_weight_decay():
    """lightly get_weight_decay_parameters, every layer of ours: works."""
    utils = pytest.importorskip("lightly.models.utils")
    for kind in OURS:
        model = ours(kind)
        decayed, _ = utils.get_weight_decay_parameters([model])
        found = {n for n, p in model.named_parameters() if any(p is q for q in decayed)}
        assert found == {"0.weight", "4.weight"}, kind


# Our conversion meets other people's layers.


def test_activation_inside():
    """convert_norm, timm BatchNormAct2d: works, and keeps the activation."""
    x = batches()[0]
    model = timm_network().eval()
    expected = model(x)
    for kind in norm.KINDS:
        converted = convert_norm(copy.deepcopy(model), kind, 2, total_steps=100)
        if kind not in ("gn", "none"):
            torch.testing.assert_close(converted(x), expected, msg=kind)
        there_and_back = convert_norm(copy.deepcopy(converted), "ghost", 2)
        torch.testing.assert_close(
            there_and_back[1](x[:, :1].repeat(1, 4, 1, 1)) < -0.3, torch.zeros(8, 4, 6, 6) > 0
        )  # SiLU ends at -0.28
        assert set(model.state_dict()) >= set(convert_norm(converted, "bn").state_dict())
    split = convert_norm(copy.deepcopy(model), "split", 2)
    with norm.evaluation_statistics(split, "mean") as forward:
        assert forward(x).shape == expected.shape
        assert float(split[1](torch.randn(8, 4, 6, 6) * 9).detach().min()) > -0.3


def test_statistics_with_activation():
    """evaluation_statistics, precise_bn, timm BatchNormAct2d: works, and keeps the activation."""
    model, x = timm_network().eval(), batches()[0]
    plain = convert_norm(copy.deepcopy(model), "bn")
    for measured in (model, plain):
        norm.precise_bn(measured, batches())
        norm.reestimate(measured, batches())
    for name, value in statistics(plain).items():
        torch.testing.assert_close(model.get_buffer(name), value)
    for how in ("test-batch", "reestimated"):
        with (
            norm.evaluation_statistics(model, how) as first,
            norm.evaluation_statistics(plain, how) as second,
        ):
            torch.testing.assert_close(first(x), second(x))


class Activated(nn.BatchNorm2d):
    """A subclass whose forward does more, of nobody's library."""

    def forward(self, x):
        return super().forward(x).relu()


def parametrised():
    class Double(nn.Module):
        def forward(self, weight):
            return 2 * weight

    layer = nn.BatchNorm2d(4)
    nn.utils.parametrize.register_parametrization(layer, "weight", Double())
    return layer


LEFTOVERS: dict[str, Callable[[], nn.Module]] = {
    "a BatchNorm subclass": lambda: Activated(4),
    "BatchNorm3d": lambda: nn.BatchNorm3d(4),
    "SyncBatchNorm": lambda: nn.SyncBatchNorm(4),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(4),
    "a lazy BatchNorm": lambda: nn.LazyBatchNorm2d(),
    "a parametrised BatchNorm": parametrised,
    "torchvision FrozenBatchNorm2d": lambda: pytest.importorskip(
        "torchvision.ops"
    ).FrozenBatchNorm2d(4),
    "timm SplitBatchNorm2d": lambda: pytest.importorskip("timm.layers").SplitBatchNorm2d(4),
    "lightly SplitBatchNorm": lambda: pytest.importorskip(
        "lightly.models.batchnorm"
    ).SplitBatchNorm(4, 2),
}


@pytest.mark.parametrize("name", LEFTOVERS)
def test_leftovers(name):
    """convert_norm refuses them; with partial=True it leaves them whole."""
    model = nn.Sequential(nn.BatchNorm2d(4), LEFTOVERS[name]())
    before = list(model.modules())
    refused(lambda: convert_norm(model, "split", 2), "1 (", "partial=True")
    assert list(model.modules()) == before
    inside = list(model[1].modules())
    convert_norm(model, "split", 2, partial=True)
    assert type(model[0]) is SplitBatchNorm2d
    assert list(model[1].modules()) == inside


def test_statistics_of_a_subclass():
    """evaluation_statistics, a BatchNorm subclass: refuses where it would replace the forward."""
    model, x = nn.Sequential(Activated(3)), torch.randn(4, 3, 2, 2)
    with norm.evaluation_statistics(model, "running") as forward:
        assert forward(x).min() >= 0
    refused(lambda: norm.precise_bn(model, [x]), "Activated")
    refused(lambda: norm.evaluation_statistics(model, "test-batch").__enter__(), "Activated")


def test_hooks():
    """convert_norm, a layer with hooks, or with another forward: refuses."""
    for add in (
        lambda layer: layer.register_forward_hook(lambda *args: None),
        lambda layer: layer.register_forward_pre_hook(lambda *args: None),
        lambda layer: layer.register_full_backward_hook(lambda *args: None),
        lambda layer: layer.__dict__.update(forward=lambda x: x),
    ):
        model = network()
        add(model[5])
        refused(lambda m=model: convert_norm(m, "split", 2), "layer 5")
        assert type(model[1]) is nn.BatchNorm2d


def test_wrapped():
    """convert_norm, a model in DistributedDataParallel: refuses."""
    model = DistributedDataParallel.__new__(DistributedDataParallel)
    nn.Module.__init__(model)
    model.module = network()
    refused(lambda: convert_norm(nn.Sequential(model), "split", 2), "DistributedDataParallel")


def test_whole_timm_model():
    """timm forward, after convert_norm, efficientnet_b0: works."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("efficientnet_b0", num_classes=3).eval()
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected = model(x)
        convert_norm(model, "split", 2)
        torch.testing.assert_close(model(x), expected, atol=1e-4, rtol=1e-3)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    model.train()(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_a_state_dict_without_versions():
    without_versions = dict(SplitBatchNorm2d(4, 2).state_dict())
    SplitBatchNorm2d(4, 2).load_state_dict(without_versions)
