"""norm.audit: what it says of known layers, and that it says something of every model."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch import nn

from contrastive_tutorial import norm
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import Audit, audit, audit_target
from contrastive_tutorial.norm.audit import AuditedLayer


def only(model, batch_size=None):
    (layer,) = audit(model, batch_size).layers
    return layer


def noted(layer, word):
    return any(word in note for note in layer.notes)


class Activated(nn.BatchNorm2d):
    """A subclass that does more."""

    def forward(self, x):
        return super().forward(x).relu()


class OwnNorm(nn.Module):
    """A norm from nowhere."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(3))


class NormedBlock(nn.Module):
    """Has the word in its name and no norm inside."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)


STATISTICS = [
    (nn.BatchNorm2d(3), "the batch", "running"),
    (nn.LazyBatchNorm2d(), "the batch", "running"),
    (nn.BatchNorm3d(3, track_running_stats=False), "the batch", "the batch: keeps no"),
    (nn.SyncBatchNorm(3), "the batch of all processes", "running"),
    (nn.GroupNorm(1, 3), "each row's own", "each row's own"),
    (nn.LayerNorm(3), "each row's own", "each row's own"),
    (nn.InstanceNorm2d(3), "each row's own", "each row's own"),
    (nn.InstanceNorm2d(3, track_running_stats=True), "each row's own", "running"),
    (norm.SplitBatchNorm2d(3, 2), "each of 2 contiguous groups", "pooled over 2"),
    (norm.SplitBatchNorm2d(3, 2, grouping="interleaved"), "each of 2 interleaved", "pooled"),
    (norm.SubsetAffineBatchNorm1d(3, 2), "whole batch; 2 affines", "running; mean of the affines"),
    (norm.GhostBatchNorm2d(3, 4), "each of 4 contiguous", "running"),
    (norm.BatchRenorm2d(3, 90), "tied to running (bounds open over 90", "running"),
    (norm.NoNorm(3, 2, 1e-5, True), "none", "none"),
    (Activated(3), "unknown", "unknown"),
    (OwnNorm(), "unknown", "unknown"),
]


@pytest.mark.parametrize(
    ("layer", "training", "evaluation"), STATISTICS, ids=[str(row[0]) for row in STATISTICS]
)
def test_statistics(layer, training, evaluation):
    found = only(nn.Sequential(nn.Conv2d(3, 3, 1), layer))
    assert found.path == "1"
    assert type(layer).__name__ in found.kind
    assert training in found.training
    assert evaluation in found.evaluation


def with_statistics(value, dtype=torch.float32):
    layer = nn.BatchNorm2d(3, dtype=dtype)
    layer.running_var.fill_(value)
    return layer


def flag_set_later():
    layer = nn.BatchNorm2d(3)
    layer.track_running_stats = False
    return layer


NOTES = [
    (norm.SplitBatchNorm2d(3, 2), "refused"),
    (norm.SplitBatchNorm2d(3, 2, "split"), "(K, C)"),
    (norm.BatchRenorm2d(3), "schedule"),
    (nn.InstanceNorm2d(3, track_running_stats=True), "update_bn"),
    (nn.InstanceNorm2d(3, track_running_stats=True, momentum=None), "momentum=None"),
    (nn.BatchNorm2d(3, momentum=0.0), "momentum=0"),
    (norm.SplitBatchNorm2d(3, 2, momentum=0.0), "momentum=0"),
    (norm.BatchRenorm2d(3, momentum=0.0), "momentum=0"),
    (nn.InstanceNorm2d(3, track_running_stats=True, momentum=0.0), "momentum=0"),
    (with_statistics(1.0, torch.bfloat16), "half precision"),
    (with_statistics(float("nan")), "not finite"),
    (flag_set_later(), "track_running_stats"),
    (nn.LazyBatchNorm1d(), "not initialised"),
    (Activated(3), "subclass"),
    (OwnNorm(), "by type"),
]


@pytest.mark.parametrize(("layer", "word"), NOTES, ids=[word for _, word in NOTES])
def test_notes(layer, word):
    assert noted(only(layer), word)
    assert not noted(only(nn.BatchNorm2d(3)), word)


def test_a_batch_that_does_not_divide():
    ghost = norm.GhostBatchNorm2d(3, 4, "shuffled", views=2)
    assert [noted(only(ghost, n), "divide") for n in (None, 16, 12)] == [False, False, True]
    split = norm.SplitBatchNorm2d(3, 4)
    assert [noted(only(split, n), "divide") for n in (None, 12, 10)] == [False, False, True]


def test_frozen_layers():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    model[1].eval()
    assert [noted(layer, "frozen") for layer in audit(model).layers] == [False, True]
    assert not any(noted(layer, "frozen") for layer in audit(model.eval()).layers)


def test_half_converted_and_lost_activations_of_timm():
    timm = pytest.importorskip("timm")
    from timm.layers import convert_splitbn_model

    model = timm.create_model("efficientnet_b0")
    assert sum(noted(layer, "activation inside") for layer in audit(model).layers) == 33
    lost = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    assert sum(noted(layer, "lost") for layer in audit(lost).layers) == 33
    kept = norm.convert_norm(copy.deepcopy(model), "bn")
    assert not any(noted(layer, "lost") for layer in audit(kept).layers)
    assert not any("half" in finding for finding in audit(lost).findings)
    convert_splitbn_model(model.blocks, 2)
    found = audit(model, 5)
    assert any("half converted: 47" in finding for finding in found.findings)
    split = {layer.path: layer for layer in found.layers}["blocks.0.0.bn1"]
    assert "first block alone" in split.evaluation
    assert noted(split, "divide")


def test_an_affine_for_each_subset_is_no_conversion_to_groups():
    affine, plain = norm.SubsetAffineBatchNorm2d(3, 2), nn.BatchNorm2d(3)
    assert not any("half converted" in f for f in audit(nn.Sequential(affine, plain)).findings)
    split = norm.SplitBatchNorm2d(3, 2)
    assert "1 layers work in groups" in audit(nn.Sequential(affine, split)).findings[0]


def test_names_to_spare_from_weight_decay():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), norm.SplitBatchNorm2d(3, 2, "split"))
    assert audit(model).spare == ("1.weight", "1.bias")


def compiled():
    return torch.compile(nn.Sequential(nn.BatchNorm2d(3)))


def scripted():
    return torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))


class Hostile(nn.BatchNorm2d):
    """Answers no question."""

    def named_buffers(self, *args, **kwargs):
        raise RuntimeError("<script>no</script>")


@pytest.mark.parametrize(
    ("model", "layers", "finding"),
    [
        (compiled(), 1, "compiled"),
        (nn.DataParallel(compiled()), 1, "DataParallel"),
        (scripted(), 1, "running statistics"),
        (nn.Linear(2, 2), 0, "no norm layer"),
        (NormedBlock(), 0, "no norm layer"),
        (lambda x: x, 0, "not an nn.Module"),
        (None, 0, "not an nn.Module"),
        (Hostile(3), 1, "running statistics"),
        (nn.BatchNorm2d(3, device="meta"), 1, "running statistics"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), 0, "no norm layer"),
    ],
    ids=[
        *("compiled", "wrapped twice", "scripted", "no norm", "named so", "a function", "None"),
        *("hostile", "meta", "weight norm"),
    ],
)
def test_never_raises(model, layers, finding):
    found = audit(model, 7)
    assert len(found.layers) == layers
    assert any(finding in line for line in found.findings)
    assert str(found)
    assert "<script>" not in found._repr_html_()


def test_print_and_html():
    model = nn.Sequential(norm.SplitBatchNorm2d(3, 2), nn.BatchNorm2d(3))
    found = audit(model, 5)
    lines = str(found).splitlines()
    assert lines[0].split()[:2] == ["layer", "class"]
    assert lines[1].split()[0] == "0"
    assert lines[1].split()[-2:] == ["a", "b"]
    assert any(line.startswith("b: a batch of 5") for line in lines)
    assert any(line.startswith("* half converted: 1 ") for line in lines)
    hostile = Audit((AuditedLayer("<b>", "&", "<i>", "<u>", ("<s>",)),), ("<script>",), ())
    text = hostile._repr_html_()
    assert not any(tag in text for tag in ("<b>", "<i>", "<u>", "<s>", "<script>"))
    assert str(Audit((), (), ())) == ""


# By name.


@pytest.fixture
def models(tmp_path, monkeypatch):
    (tmp_path / "audited_models.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.BatchNorm1d(2))\n"
        "ready = nn.BatchNorm2d(3)\n"
        "class box:\n"
        "    make = staticmethod(Net)\n"
        "def needs(n):\n"
        "    return n\n"
        "def nothing():\n"
        "    return 3\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "audited_models", raising=False)


@pytest.mark.parametrize("name", ["Net", "ready", "box.make"])
def test_a_model_by_module_and_factory(models, name):
    assert len(audit_target(f"audited_models:{name}").layers) == 1


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("resnet18", ("MODULE:FACTORY", "resnet18")),
        ("timm:", ("MODULE:FACTORY",)),
        ("timm:resnt18", ("resnt18", "resnet18")),
        ("no_such_module:f", ("no_such_module", "ModuleNotFoundError")),
        ("audited_models:Nte", ("Nte", "Net")),
        ("audited_models:needs", ("without arguments", "TypeError")),
        ("audited_models:nothing", ("nn.Module", "int")),
        ("audited_models:number", ("function", "3")),
    ],
)
def test_a_target_that_cannot_be_built(models, target, words):
    if target.startswith("timm:r"):
        pytest.importorskip("timm")
    with pytest.raises(InputError) as raised:
        audit_target(target)
    for word in words:
        assert word in str(raised.value)


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="not installed"):
        audit_target("timm:resnet18")


def test_timm_by_name():
    pytest.importorskip("timm")
    assert len(audit_target("timm:resnet18", 256).layers) == 20
