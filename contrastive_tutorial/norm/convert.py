"""Normalisation by name: convert the Batch Normalization layers of any model to another kind.

=========== ================================================================= ==================
kind        what it does in training                                          running statistics
=========== ================================================================= ==================
``bn``      Batch Normalization of the whole batch                            one set
``renorm``  Batch Renormalization                                             one set
``ghost``   BN in K random groups, redrawn each step, views kept together     one set
``split``   BN in each of K subsets; one affine                               K sets
``dsbn``    BN in each of K subsets; K affines (domain-specific BN)           K sets
``affine``  Batch Normalization of the whole batch; K affines                 one set
``gn``      Group Normalization: of each row alone, in 8 groups of channels   none
``none``    nothing                                                           none
=========== ================================================================= ==================

What is converted, what stops the conversion, and what is left alone:

================================================ ===============================================
layer                                            what happens
================================================ ===============================================
``nn.BatchNorm1d``, ``nn.BatchNorm2d``, ours     converted
timm's ``BatchNormAct2d``                        converted; ``drop`` and ``act`` run after it
other subclasses, ``BatchNorm3d``,               InputError that names them, or with
``SyncBatchNorm``, ``InstanceNorm``, frozen or   ``partial=True`` left as they are, and
lazy layers, parametrised ones, other libraries' what is inside them too
with hooks, or another ``forward`` put in        InputError
``LayerNorm``, ``GroupNorm`` and their like      left alone: no row sees another one there
================================================ ===============================================

The layers are in :mod:`~contrastive_tutorial.norm.layers` and
:mod:`~contrastive_tutorial.norm.renorm`, what to do in evaluation in
:mod:`~contrastive_tutorial.norm.statistics`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.grouped import (
    GroupedBatchNorm,
    drop_and_activate,
    has_activation_inside,
    positive_int,
)
from contrastive_tutorial.norm.layers import (
    GhostBatchNorm1d,
    GhostBatchNorm2d,
    SplitBatchNorm1d,
    SplitBatchNorm2d,
    SubsetAffineBatchNorm1d,
    SubsetAffineBatchNorm2d,
)
from contrastive_tutorial.norm.renorm import BatchRenorm1d, BatchRenorm2d

KINDS = ("bn", "renorm", "ghost", "split", "dsbn", "affine", "gn", "none")
#: Of the kinds that are made alike for one and for two dimensions.
_CLASSES = {
    "bn": (nn.BatchNorm1d, nn.BatchNorm2d),
    "renorm": (BatchRenorm1d, BatchRenorm2d),
    "ghost": (GhostBatchNorm1d, GhostBatchNorm2d),
    "split": (SplitBatchNorm1d, SplitBatchNorm2d),
    "dsbn": (SplitBatchNorm1d, SplitBatchNorm2d),
    "affine": (SubsetAffineBatchNorm1d, SubsetAffineBatchNorm2d),
}


class PlainGroupNorm(nn.GroupNorm):
    """``nn.GroupNorm`` that remembers which BN layer it replaced (``dims`` 1 or 2)."""

    def __init__(self, groups: int, num_features: int, dims: int, **kwargs: Any):
        super().__init__(groups, num_features, **kwargs)
        self.num_features, self.dims = num_features, dims


class NoNorm(nn.Module):
    """The identity in place of a BN layer of ``num_features`` channels (``dims`` 1 or 2)."""

    def __init__(self, num_features: int, dims: int, eps: float, affine: bool):
        super().__init__()
        self.num_features, self.dims, self.eps, self.affine = num_features, dims, eps, affine

    def forward(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x


def _spatial(layer: nn.Module) -> int | None:
    """1 or 2 for a norm layer of ours or a plain BatchNorm1d or 2d; ``None`` for the rest."""
    if isinstance(layer, PlainGroupNorm | NoNorm):
        return layer.dims
    if isinstance(layer, GroupedBatchNorm | BatchRenorm2d):
        return 2 if layer.dims == (4,) else 1
    if has_activation_inside(layer):
        return 2
    # Not isinstance: a subclass may do something else.
    return {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2}.get(type(layer))  # type: ignore[arg-type]


def is_batch_norm_like(layer: nn.Module) -> bool:
    """Whether ``layer`` keeps running statistics, or is of PyTorch's batch and instance norms."""
    return "running_mean" in layer._buffers or isinstance(layer, nn.modules.batchnorm._NormBase)


def _check_bare(name: str, layer: nn.Module) -> None:
    """Raise :class:`InputError` if ``layer`` carries what a new layer would not have."""
    hooks = [
        *(hook for hook in layer._forward_hooks.values() if hook is not drop_and_activate),
        *layer._forward_pre_hooks.values(),
        *layer._backward_hooks.values(),
        *layer._backward_pre_hooks.values(),
    ]
    what = "hooks" if hooks else "another forward" if "forward" in layer.__dict__ else None
    if what:
        raise InputError(
            f"model: layer {name or '(the model itself)'} has {what}, which its replacement would "
            "not have; remove them, convert, and put them on the new layer"
        )


@dataclass(frozen=True)
class _Wanted:
    """What :func:`convert_norm` was asked for, and the layers of it."""

    kind: str
    num_subsets: int
    grouping: str | None
    total_steps: int | None
    views: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        positive_int("num_subsets", self.num_subsets)
        if self.kind == "renorm" and self.total_steps is None:
            raise InputError(
                "total_steps: 'renorm' widens its bounds over the run, so it must know the run's "
                "length; pass total_steps=steps (times forward passes a step), or 0 for full "
                "bounds from the first step"
            )

    def layer(self, dims: int, c: int, affine: bool, kwargs: dict[str, Any]) -> Any:
        """A fresh layer for C channels."""
        kind, k, grouping = self.kind, self.num_subsets, self.grouping
        if kind == "gn":
            del kwargs["momentum"]
            return PlainGroupNorm(math.gcd(8, c), c, dims, affine=affine, **kwargs)
        new: Any = _CLASSES[kind][dims - 1]
        if kind == "bn":
            return new(c, affine=affine, **kwargs)
        if kind == "renorm":
            if kwargs["momentum"] is None:
                kwargs["momentum"] = 0.1  # the paper's rule has no cumulative average
            return new(c, self.total_steps, affine=affine, **kwargs)
        if kind == "ghost":
            return new(c, k, grouping or "shuffled", self.views, affine, **kwargs)
        if kind != "affine":
            shared = "split" if kind == "dsbn" else "shared"
            kwargs["affine"] = shared if affine else None
        return new(c, k, grouping=grouping or "contiguous", **kwargs)


@torch.no_grad()
def _convert_layer(old: Any, like: Tensor | None, wanted: _Wanted, dims: int) -> nn.Module:
    kind = wanted.kind
    weight, bias, mean, var = _kept(old)
    affine = old.affine if isinstance(old, NoNorm) else getattr(old, "weight", None) is not None
    if kind == "none":
        return _with_activation_of(old, NoNorm(old.num_features, dims, old.eps, affine))
    kwargs: dict[str, Any] = {"eps": old.eps, "momentum": getattr(old, "momentum", 0.1)}
    for tensor in (weight, mean, like):
        if tensor is not None:
            kwargs.update(device=tensor.device, dtype=tensor.dtype)
            break
    new = wanted.layer(dims, old.num_features, affine, kwargs)
    if mean is not None and var is not None and kind != "gn":
        new.running_mean.copy_(mean)
        if kind == "renorm":
            new.running_std.copy_((var + old.eps).sqrt())
        else:
            new.running_var.copy_(var)
        new.num_batches_tracked.copy_(old.num_batches_tracked)
    if weight is not None:
        new.weight.copy_(weight)
        new.weight.requires_grad_(old.weight.requires_grad)
        new.bias.requires_grad_(bias is not None and old.bias.requires_grad)
        if bias is not None:  # else zeros, which stay
            new.bias.copy_(bias)
    return _with_activation_of(old, new)


def _kept(old: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Weight, bias, running mean and variance of a layer, one set each; None for what it lacks."""
    weight, bias = getattr(old, "weight", None), getattr(old, "bias", None)
    mean = var = None
    if isinstance(old, GroupedBatchNorm):
        mean, var = old.moments()
        weight, bias = old.mean_affine()
    elif isinstance(old, BatchRenorm2d):
        mean, var = old.moments()
    elif isinstance(old, nn.BatchNorm1d | nn.BatchNorm2d):
        mean, var = old.running_mean, old.running_var
        if mean is None or not old.track_running_stats:
            raise InputError(
                "model: a BatchNorm layer with track_running_stats=False has no running statistics "
                "to keep; convert a model that tracks them"
            )
    return weight, bias, mean, var


def _with_activation_of(old: nn.Module, new: nn.Module) -> nn.Module:
    """``new`` in the mode of ``old``, with its dropout and activation behind."""
    if has_activation_inside(old) or drop_and_activate in old._forward_hooks.values():
        new.drop, new.act = old.drop, old.act
        new.register_forward_hook(drop_and_activate)
    new.training = old.training
    return new


def _tie(new: dict[nn.Module, nn.Module]) -> None:
    """Layers that shared a parameter share the new one."""
    for name in ("weight", "bias"):
        first: dict[int, nn.Parameter] = {}
        for old, made in new.items():
            before, after = getattr(old, name, None), getattr(made, name, None)
            if isinstance(before, nn.Parameter) and isinstance(after, nn.Parameter):
                setattr(made, name, first.setdefault(id(before), after))


def _to_convert(model: nn.Module, partial: bool) -> dict[nn.Module, int]:
    """Layers to convert, with their dimensions; batch norms that cannot be are refused by name."""
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected an nn.Module, got {type(model).__name__}")
    if any(isinstance(module, DistributedDataParallel) for module in model.modules()):
        raise InputError(
            "model: DistributedDataParallel averages the gradients of the parameters it was given; "
            "convert the model first, then wrap it"
        )
    found: dict[nn.Module, int] = {}
    left: list[str] = []
    inside: tuple[str, ...] = ()  # of what is left
    for name, layer in model.named_modules():
        if name.startswith(inside):
            continue
        if (dims := _spatial(layer)) is not None:
            _check_bare(name, layer)
            found[layer] = dims
        elif is_batch_norm_like(layer):
            left.append(f"{name or '(the model itself)'} ({type(layer).__name__})")
            inside += (f"{name}." if name else "",)
    if left and not partial:
        raise InputError(
            f"model: {len(left)} batch norm layers of kinds that convert_norm does not know, "
            f"{', '.join(left[:4])}{', ...' if len(left) > 4 else ''}; put nn.BatchNorm1d or 2d "
            "there (initialised, without parametrisations), or pass partial=True to leave them"
        )
    if not found:
        raise InputError("model: no BatchNorm1d or BatchNorm2d layer to convert")
    return found


def convert_norm(
    model: nn.Module,
    kind: str,
    num_subsets: int = 1,
    *,
    grouping: str | None = None,
    total_steps: int | None = None,
    views: int = 2,
    partial: bool = False,
) -> nn.Module:
    """Replace every norm layer of ``model`` by ``kind``, in place, and return the model.

    Converts ``nn.BatchNorm1d``, ``nn.BatchNorm2d`` and timm's ``BatchNormAct2d``, wherever they
    are. All of a model or nothing: a batch norm of another kind stops the conversion, as one that
    is left goes on mixing the rows that the others separate. Layers converted before are converted
    again: any kind leads back to any other. Kept: weight, bias, what layers share of them, running
    statistics, eps, momentum, device, dtype, training mode; a missing bias becomes zeros that take
    no gradient. Going to K subsets copies them K times; coming back pools running statistics by the
    law of total variance and averages the affines. What comes after ``gn`` or ``none`` starts
    afresh.

    Make the optimiser *after* converting, and wrap the model in ``DistributedDataParallel`` after
    it too: the parameters are new.

    Args:
        model: any module; changed in place (``copy.deepcopy`` it first to keep the original).
        kind: one of ``bn renorm ghost split dsbn affine gn none`` (table above).
        num_subsets: K, for ``ghost``, ``split``, ``dsbn`` and ``affine``; rows of a training batch
            are ordered (subset, view, sample).
        grouping: which rows form a group; ``None`` is ``"shuffled"`` for ``ghost`` (in a batch of
            random order ``"contiguous"`` is as random, and faster), ``"contiguous"`` for others.
        total_steps: for ``renorm`` alone, and needed there: the training forwards of the run (steps
            times forward passes a step), over which its bounds widen; 0 for full bounds at once.
            A momentum of ``None`` becomes 0.1 there: the paper's rule has no cumulative average.
        views: views per image, which shuffled ``ghost`` groups keep together (1: single rows).
        partial: leave batch norms of other kinds as they are instead of raising.

    Raises:
        InputError: unknown ``kind``, ``num_subsets`` below 1, ``renorm`` without ``total_steps``,
            nothing to convert, or a layer that cannot be (table above); the model is unchanged.

    >>> convert_norm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), "split", 4)[1]
    SplitBatchNorm2d(8, 4, affine='shared', grouping='contiguous', eps=1e-05, momentum=0.1)
    """
    wanted = _Wanted(kind, num_subsets, grouping, total_steps, views)
    found = _to_convert(model, partial)
    like = next(model.parameters(), None)  # device and dtype, for a layer that has no tensors
    # All new layers first: an error must not leave the model half converted. A layer used in two
    # places stays one layer.
    new = {layer: _convert_layer(layer, like, wanted, dims) for layer, dims in found.items()}
    _tie(new)
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in new:
                parent._modules[name] = new[child]
    return new.get(model, model)
