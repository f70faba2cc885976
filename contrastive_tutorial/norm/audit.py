"""Which norm layers a model has, which statistics each uses, and what other tools do to them.

For any PyTorch model, not only converted ones::

    print(norm.audit(timm.create_model("efficientnet_b0"), batch_size=256))
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.parameter import is_lazy

from contrastive_tutorial.norm.convert import NoNorm
from contrastive_tutorial.norm.grouped import (
    GroupedBatchNorm,
    OwnBatchNorm,
    drop_and_activate,
    has_activation_inside,
)
from contrastive_tutorial.norm.layers import GhostBatchNorm2d
from contrastive_tutorial.norm.renorm import BatchRenorm2d

_BY_ROW = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
_TORCH = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.LazyBatchNorm1d, nn.LazyBatchNorm2d, nn.LazyBatchNorm3d),
)
_TORCH_NAMES = {kind.__name__ for kind in _TORCH}

_SYNC_REFUSED = "SyncBatchNorm conversion, timm's and lightly's converters: refused with an error"
_UPDATE_BN_SKIPS = "update_bn does not re-measure its running statistics"
_NDIM_DECAYS = "weight decay filters that go by dimensions (timm) decay its weight (K, C)"
_HEAD = ("layer", "class", "in training", "in evaluation", "notes")
_TYPE_MISSES = "weight decay filters that go by type of layer (lightly) miss it"


@dataclass(frozen=True)
class AuditedLayer:
    """One norm layer: where it is, what it is, what it uses, and what there is to know about it."""

    path: str
    kind: str
    training: str
    evaluation: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What :func:`audit` found; ``print`` it, or show it in a notebook.

    Attributes:
        layers: one entry a norm layer, in the order of the model.
        findings: what concerns the model as a whole.
        spare: names of all parameters of norm layers, for the list of exceptions that weight decay
            filters take (timm: ``no_weight_decay_list``).
    """

    layers: tuple[AuditedLayer, ...]
    findings: tuple[str, ...]
    spare: tuple[str, ...]

    @property
    def notes(self) -> dict[str, str]:
        """Letter of every note that some layer has."""
        found = dict.fromkeys(note for layer in self.layers for note in layer.notes)
        letters = map("".join, _words("abcdefghijklmnopqrstuvwxyz"))
        return dict(zip(found, letters, strict=False))

    def _table(self) -> list[tuple[str, ...]]:
        notes = self.notes
        return [
            (
                layer.path or "(the model itself)",
                layer.kind,
                layer.training,
                layer.evaluation,
                " ".join(notes[note] for note in layer.notes),
            )
            for layer in self.layers
        ]

    def __str__(self) -> str:
        table = [_HEAD, *self._table()] if self.layers else []
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
        below = [f"{letter}: {note}" for note, letter in self.notes.items()]
        blocks = [lines, below, [f"* {finding}" for finding in self.findings]]
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

        rows = "".join(row(cells, "td") for cells in self._table())
        table = f"<table><thead>{row(_HEAD, 'th')}</thead><tbody>{rows}</tbody></table>"
        notes = "".join(
            f"<dt>{letter}</dt><dd>{html.escape(note)}</dd>" for note, letter in self.notes.items()
        )
        findings = "".join(f"<li>{html.escape(finding)}</li>" for finding in self.findings)
        return (table if rows else "") + f"<dl>{notes}</dl><ul>{findings}</ul>"


def _words(letters: str) -> Iterator[tuple[str, ...]]:
    """a, b, ..., z, aa, ab, ..."""
    for length in itertools.count(1):
        yield from itertools.product(letters, repeat=length)


def audit(model: Any, batch_size: int | None = None) -> Audit:
    """Look at every norm layer of ``model``: nothing is run, nothing is changed.

    For each layer: the statistics that it uses in training and in evaluation; whether
    ``swa_utils.update_bn``, a SyncBatchNorm conversion, or filters that spare norms from weight
    decay pass it by; whether it has lost an activation in a conversion; whether it is frozen, or
    its statistics are in half precision or not finite. For the model: whether it is half
    converted, what weight averages leave out, and whether a batch divides into its groups.

    Never raises: compiled and wrapped models are unwrapped, scripted ones read by the names of
    their classes, and a layer of unknown kind is listed as unknown.

    Args:
        model: any ``nn.Module``; what is none is reported as such.
        batch_size: rows that the layers meet in a training step: twice the images where two views
            go through together.
    """
    findings = []
    while True:
        if isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            findings.append("compiled: what follows is about the module inside")
        elif isinstance(
            model, nn.parallel.DistributedDataParallel | nn.DataParallel
        ) and isinstance(inner := model.module, nn.Module):
            findings.append(
                f"{type(model).__name__}: every process (or device) normalises its own rows; "
                "SyncBatchNorm alone shares statistics between processes"
            )
        else:
            break
        model = inner
    if not isinstance(model, nn.Module):
        findings.append(f"not an nn.Module but {type(model).__name__}: nothing to look into")
        return Audit((), tuple(findings), ())
    norms = _norms(model)
    layers = []
    for path, layer in norms.items():
        try:
            layers.append(_describe(path, layer, norms, batch_size))
        except Exception as error:  # whatever a foreign class does when it is asked for a value
            problem = f"could not be read: {type(error).__name__}: {error}"
            layers.append(AuditedLayer(path, _name(layer), "unknown", "unknown", (problem,)))
    findings += _whole_model(model, norms)
    prefixes = tuple(f"{path}." if path else "" for path in norms)
    spare = tuple(name for name, _ in model.named_parameters() if name.startswith(prefixes))
    return Audit(tuple(layers), tuple(findings), spare)


def _original(layer: nn.Module) -> str:
    """Name of the class, before scripting."""
    return getattr(layer, "original_name", None) or type(layer).__name__


def _scripted(layer: nn.Module) -> bool:
    return isinstance(layer, torch.jit.ScriptModule)


def _name(layer: nn.Module) -> str:
    if _scripted(layer):
        return f"{_original(layer)} (scripted)"
    package = type(layer).__module__.partition(".")[0]
    known = package in ("torch", "contrastive_tutorial")
    return type(layer).__name__ + ("" if known else f" ({package})")


def _is_norm(layer: nn.Module) -> bool:
    known = (_NormBase, NoNorm, *_BY_ROW)
    if isinstance(layer, known) or "running_mean" in layer._buffers:
        return True
    # By its name; a block that has "norm" in its name has weights in its children.
    children = (p for child in layer.children() for p in child.parameters())
    return "norm" in _original(layer).lower() and next(children, None) is None


def _norms(model: nn.Module) -> dict[str, nn.Module]:
    """Norm layers by path."""
    return {
        path: layer
        for path, layer in model.named_modules()
        if "parametrizations" not in path.split(".") and _is_norm(layer)
    }


def _from(layer: nn.Module, package: str, name: str) -> bool:
    kind = type(layer)
    return kind.__name__ == name and kind.__module__.partition(".")[0] == package


def _describe(
    path: str, layer: Any, norms: dict[str, nn.Module], batch_size: int | None
) -> AuditedLayer:
    training, evaluation, notes = _statistics(path, layer, norms, batch_size)
    tensors = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    if any(is_lazy(t) for t in tensors):
        notes.append("not initialised: it learns its number of channels from the first batch")
        tensors = []
    running = [b for n, b in layer.named_buffers(recurse=False) if n.startswith("running")]
    if tensors and any(b.dtype in (torch.bfloat16, torch.float16) for b in running):
        notes.append(
            "running statistics in half precision: small steps round away, so they stop moving"
        )
    if tensors and not all(_finite(t) for t in running):
        notes.append("running statistics are not finite")
    if running and not layer.training and any(other.training for other in norms.values()):
        notes.append("frozen: in evaluation mode while other norm layers train")
    return AuditedLayer(path, _name(layer), training, evaluation, tuple(notes))


def _finite(tensor: Tensor) -> bool:
    return tensor.device.type == "meta" or bool(torch.isfinite(tensor).all())


def _statistics(
    path: str, layer: Any, norms: dict[str, nn.Module], batch_size: int | None
) -> tuple[str, str, list[str]]:
    """Statistics in training and in evaluation, and notes."""
    if isinstance(layer, OwnBatchNorm):
        return _own(layer, batch_size)
    if isinstance(layer, NoNorm):
        return "none", "none", []
    if isinstance(layer, _BY_ROW):
        return "each row's own", "each row's own", []
    if isinstance(layer, _InstanceNorm):
        if layer.running_mean is None:
            return "each row's own", "each row's own", []
        notes = [_UPDATE_BN_SKIPS, *_still(layer)]
        if layer.momentum is None:
            notes.append("momentum=None: its running statistics never move")
        return "each row's own", "running", notes
    if _from(layer, "timm", "SplitBatchNorm2d"):
        splits = layer.num_splits
        notes = [
            "a SyncBatchNorm conversion keeps its first split alone, and no activation inside",
            *_divides(batch_size, splits),
        ]
        return f"each of {splits} blocks of rows", "running, of the first block alone", notes
    if _from(layer, "lightly", "SplitBatchNorm"):
        splits = layer.num_splits
        notes = [
            "update_bn leaves its statistics at mean 0, variance 1",
            "eval() overwrites the statistics of its splits by their mean",
            "a SyncBatchNorm conversion breaks its evaluation",
            *_divides(batch_size, splits),
        ]
        return f"each of {splits} groups, row i mod {splits}", "running, mean over groups", notes
    parent = norms.get(path.rpartition(".aux_bn.")[0]) if ".aux_bn." in path else None
    if parent is not None and _from(parent, "timm", "SplitBatchNorm2d"):
        return "one block of rows", "none: never read", []
    if has_activation_inside(layer) or _from(layer, "timm", "SyncBatchNormAct"):
        training, evaluation, notes = _plain(layer)
        return training, evaluation, [*notes, *_inside(layer)]
    if type(layer) in _TORCH or (_scripted(layer) and _original(layer) in _TORCH_NAMES):
        training, evaluation, notes = _plain(layer)
        return training, evaluation, [*notes, *_lost(layer)]
    if _original(layer).startswith("FrozenBatchNorm"):
        return "running, never moved", "running", [_UPDATE_BN_SKIPS, _TYPE_MISSES]
    notes = ["a class that this audit does not know: read its forward"]
    if isinstance(layer, _BatchNorm):
        notes.append(
            "a subclass of BatchNorm: conversions replace it by the plain layer, whatever its "
            "forward adds"
        )
    else:
        notes.append(_TYPE_MISSES)
        if "running_mean" in dict(layer.named_buffers(recurse=False)):
            notes.append(_UPDATE_BN_SKIPS)
    return "unknown", "unknown", notes


def _divides(batch_size: int | None, groups: int) -> list[str]:
    if batch_size is None or batch_size % groups == 0:
        return []
    return [f"a batch of {batch_size} rows does not divide into {groups} equal groups: an error"]


def _own(layer: Any, batch_size: int | None) -> tuple[str, str, list[str]]:
    notes = [_SYNC_REFUSED, *_still(layer)]
    if isinstance(layer, BatchRenorm2d):
        steps = layer.total_steps
        schedule = f"bounds open over {steps} steps" if steps else "full bounds"
        notes.append("update_bn restarts the schedule of its bounds")
        return f"the batch, tied to running ({schedule})", "running", notes
    k = layer.num_groups
    if layer.affine == "split":
        notes.append(_NDIM_DECAYS)
    views = layer.views if isinstance(layer, GhostBatchNorm2d) else 1
    notes += _divides(batch_size, k * (views if layer.grouping == "shuffled" else 1))
    groups = f"each of {k} {layer.grouping} groups"
    training = f"the whole batch; {k} affines" if layer.pooled else groups
    if layer.branches == 1 or layer.pooled:
        evaluation = "running" if layer.affine != "split" else "running; mean of the affines"
        return training, evaluation, notes
    return training, f"running, pooled over {k} subsets", notes


def _plain(layer: Any) -> tuple[str, str, list[str]]:
    """PyTorch's own layers, and timm's with an activation."""
    sync = "Sync" in _original(layer)
    training = "the batch of all processes" if sync else "the batch"
    notes = []
    if getattr(layer, "running_mean", None) is None:
        return training, "the batch: keeps no running statistics", ["update_bn has nothing to do"]
    if not getattr(layer, "track_running_stats", True):
        notes.append("track_running_stats was set to False later: its statistics no longer move")
    return training, "running", [*notes, *_still(layer)]


def _still(layer: Any) -> list[str]:
    never = getattr(layer, "momentum", 0.1) == 0
    return ["momentum=0: its running statistics never move"] if never else []


def _inside(layer: Any) -> list[str]:
    active = any(not isinstance(m, nn.Identity) for m in (layer.act, layer.drop))
    note = "activation inside: torch's SyncBatchNorm conversion loses it, timm's own keeps it"
    return [note] if active else []


def _lost(layer: Any) -> list[str]:
    """Children that the forward of PyTorch's layer never calls."""
    if _scripted(layer) or drop_and_activate in layer._forward_hooks.values():
        return []
    idle = [name for name, m in layer.named_children() if not isinstance(m, nn.Identity)]
    if not idle:
        return []
    return [f"lost in a conversion: {', '.join(idle)} is still inside but no longer runs"]


def _whole_model(model: nn.Module, norms: dict[str, nn.Module]) -> list[str]:
    if not norms:
        return ["no norm layer"]
    findings = []
    split = [m for m in norms.values() if _splits(m)]
    aux = tuple(f"{path}.aux_bn." for path, m in norms.items() if _splits(m))
    whole = [
        m
        for path, m in norms.items()
        if isinstance(m, _BatchNorm) and m not in split and not path.startswith(aux)
    ]
    if split and whole:
        findings.append(
            f"half converted: {len(split)} layers work in groups of rows, and {len(whole)} batch "
            "norms still mix all rows"
        )
    keeps = [m for m in norms.values() if getattr(m, "running_mean", None) is not None]
    if keeps:
        findings.append(
            f"running statistics in {len(keeps)} layers: averages of weights leave them out "
            "(parameters only, torch_ema) or copy the last ones (AveragedModel without "
            "use_buffers); measure them again, by update_bn or norm.precise_bn, before evaluation"
        )
    device = next((t.device.type for t in model.parameters()), "cpu")
    if device == "cpu" and any(type(m) is nn.SyncBatchNorm for m in norms.values()):
        findings.append("SyncBatchNorm trains on accelerators only; this model is on the CPU")
    return findings


def _splits(layer: nn.Module) -> bool:
    """Whether groups of rows have statistics of their own."""
    if isinstance(layer, GroupedBatchNorm):
        return layer.num_groups > 1 and not layer.pooled
    return _from(layer, "timm", "SplitBatchNorm2d") or _from(layer, "lightly", "SplitBatchNorm")
