"""Which statistics a normalised network uses in evaluation, and how to measure better ones.

A layer with statistics per subset faces a question that training never asks: a test image belongs
to no subset. The answers, after the menu E1 to E7 of the book's chapter on the BN family, with
mu_k, v_k the running mean and variance of branch k:

================ =================================================================================
``running``      the layer's own buffers, where it keeps one set (plain BN, ghost, renorm)
``mean``         mean of mu_k, mean of v_k: omits the variance between branches (MoCo, lightly)
``pooled``       mean of mu_k, mean of v_k + variance of mu_k: law of total variance
``reestimated``  measured on clean training images by ``norm.reestimate``
``branch:k``     those of branch k, with its affine (timm: branch 0)
``ensemble``     average over k of the l2-normalised outputs of branch k
``test-batch``   those of the batch that is evaluated: transductive, not for headlines
``oracle``       rows in K contiguous equal groups, each through its own branch: a diagnostic
================ =================================================================================

Where the affine is per branch and no branch is named, it is averaged over branches. Layers that
keep one set of statistics use it under every name but ``reestimated`` and ``test-batch``. State
with every number which one it used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.grouped import (
    GroupedBatchNorm,
    OwnBatchNorm,
    drop_and_activate,
    has_activation_inside,
    require_ids,
)
from contrastive_tutorial.norm.renorm import BatchRenorm2d

_WHOLE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes a number

EVALUATION_STATISTICS = (
    "running",
    "mean",
    "pooled",
    "reestimated",
    "branch:k",
    "ensemble",
    "test-batch",
    "oracle",
)

Forward = Callable[[Tensor], Tensor]


def norm_layers(model: nn.Module) -> list[Any]:
    """The layers of ``model`` that normalise with batch statistics."""
    plain = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    kinds = (GroupedBatchNorm, BatchRenorm2d, *plain)
    return [m for m in model.modules() if isinstance(m, kinds)]


def require_all_known(model: nn.Module, frozen: bool = False) -> None:
    """Refuse a model with running statistics in layers other than :func:`norm_layers`.

    They would be used, or stay as they are, where others are asked for.

    Args:
        model: any.
        frozen: let layers pass whose statistics are meant to stay (``FrozenBatchNorm2d``).
    """
    known = set(norm_layers(model))
    left = {
        getattr(layer, "original_name", type(layer).__name__)
        for layer in model.modules()
        if layer not in known and "running_mean" in dict(layer.named_buffers(recurse=False))
    }
    if frozen:
        left = {name for name in left if not name.startswith("FrozenBatchNorm")}
    if left:
        raise InputError(
            f"model: {', '.join(sorted(left))}: layers whose statistics can be neither chosen nor "
            "measured here; put nn.BatchNorm2d in their place (initialised, before torch.jit)"
        )


def num_branches(model: nn.Module) -> int:
    """K of the model's subset layers, 1 if it has none.

    Raises:
        InputError: for layers of different K.
    """
    ks = {m.branches for m in norm_layers(model) if isinstance(m, GroupedBatchNorm)} - {1}
    if len(ks) > 1:
        raise InputError(f"model: its layers have different numbers of subsets: {sorted(ks)}")
    return ks.pop() if ks else 1


def affine_of(layer: Any) -> tuple[Tensor | None, Tensor | None]:
    if isinstance(layer, GroupedBatchNorm):
        return layer.mean_affine()
    return layer.weight, layer.bias


def _fixed(layer: Any, mean: Tensor, var: Tensor, weight: Any, bias: Any) -> Forward:
    def forward(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return F.batch_norm(x, mean, var, weight, bias, False, 0.0, layer.eps)

    return forward


def state_of(model: nn.Module) -> Tensor:
    """int64 ``(2,)`` on the CPU: training forwards of all norm layers, and a sum over every bit of
    the weights, each times its place, which is the same on every device."""
    counts = (layer.num_batches_tracked for layer in norm_layers(model))
    steps = [int(count) for count in counts if count is not None]
    total, place = 0, 1
    for p in model.parameters():
        bits = p.detach().reshape(-1).view(_WHOLE[p.element_size()]).long()
        bits = bits ^ (bits >> 32)  # a sign bit alone, times an even place, would vanish
        places = torch.arange(place, place + bits.numel(), device=bits.device)
        total += int((bits * places).sum())
        place += bits.numel()
    return torch.tensor([sum(steps), (total + (1 << 63)) % (1 << 64) - (1 << 63)])


def _require_fresh(model: nn.Module, layers: list[Any]) -> None:
    """Refuse re-estimated statistics of the model as it was, with other weights."""
    now = state_of(model)
    for layer in layers:
        at = getattr(layer, "reestimated_at", None)
        if at is not None and not torch.equal(at.cpu(), now):
            raise InputError(
                "how: 'reestimated' statistics were measured for other weights: the model was "
                "trained or loaded since, or is a part of the one that was measured; call "
                "reestimate(model, batches) again, on this very model"
            )


def _forward_of(layer: Any, how: str) -> Forward | None:
    """What ``layer`` computes under ``how``; ``None`` for its ordinary evaluation."""
    if how == "reestimated":
        if getattr(layer, "reestimated_mean", None) is None:
            raise InputError(
                "how: 'reestimated' statistics have not been measured; call reestimate(model, "
                "batches) with clean training images first"
            )
        return _fixed(layer, layer.reestimated_mean, layer.reestimated_var, *affine_of(layer))
    if how == "test-batch":
        return lambda x: F.batch_norm(x, None, None, *affine_of(layer), True, 0.0, layer.eps)
    if not isinstance(layer, GroupedBatchNorm) or layer.branches == 1:
        return None
    mean, var = layer.running_mean, layer.running_var
    if how == "mean" and mean.ndim == 2:
        return _fixed(layer, mean.mean(0), var.mean(0), *layer.mean_affine())
    if how.startswith("branch:"):
        k = int(how.removeprefix("branch:"))
        tables = (mean, var, layer.weight, layer.bias)
        return _fixed(layer, *(t[k] if t is not None and t.ndim == 2 else t for t in tables))
    if how == "oracle":
        return lambda x: _through_own_branch(layer, x)
    return None  # pooled: what the layer does by itself


def _through_own_branch(layer: GroupedBatchNorm, x: Tensor) -> Tensor:
    k, batch = layer.num_groups, x.shape[0]
    if batch % k:
        raise InputError(
            f"x: 'oracle' needs K = {k} equal groups of rows, one per branch, and N = {batch} does "
            f"not divide; use a multiple of {k}"
        )
    return layer.through_branches(x, torch.arange(k, device=x.device).repeat_interleave(batch // k))


def _whole(layer: nn.Module, forward: Forward) -> Forward:
    """``forward`` with what else ``layer`` does in its own."""
    if has_activation_inside(layer):
        return lambda x: drop_and_activate(layer, None, forward(x))
    kind = type(layer)
    known = kind.__module__.startswith(("torch.", "contrastive_tutorial."))
    if not known and not isinstance(layer, OwnBatchNorm):
        raise InputError(
            f"model: a layer {kind.__name__} of {kind.__module__} may do more than normalise, so "
            "its statistics cannot be chosen for it; put nn.BatchNorm2d in its place"
        )
    return forward


@contextmanager
def overridden(pairs: Iterable[tuple[nn.Module, Forward | None]]) -> Iterator[None]:
    """Give layers another ``forward`` for the time being."""
    changed = []
    try:
        for layer, forward in pairs:
            if forward is not None:
                whole = _whole(layer, forward)
                changed.append((layer, layer.__dict__.get("forward")))
                layer.__dict__["forward"] = whole
        yield
    finally:
        for layer, before in reversed(changed):
            if before is None:
                del layer.__dict__["forward"]
            else:
                layer.__dict__["forward"] = before


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """``model.eval()``, uncompiled; each module's own mode comes back at the end."""
    model = getattr(model, "_orig_mod", model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def untouched(images: Tensor) -> Iterator[None]:
    """Refuse a network that writes into ``images``, which another pass is to see as they are.

    Args:
        images: what the network is given inside. Tensors of ``torch.inference_mode`` count no
            writes, and pass unchecked.

    Raises:
        InputError: on leaving, if they were written to.
    """
    if images.is_inference():  # nobody counts what is written into those
        yield
        return
    before = images._version
    yield
    if images._version != before:
        raise InputError(
            "model: writes into the images that it is given, so its next pass would see others; "
            "let it work on a copy (x - mean for x.sub_(mean), inplace=False)"
        )


def _ensemble(model: nn.Module, layers: list[Any], k: int) -> Callable[[Tensor], Any]:
    """The mean over branches of the l2-normalised outputs of ``model``."""
    forwards = [[(layer, _forward_of(layer, f"branch:{i}")) for layer in layers] for i in range(k)]

    def ensemble(x: Tensor) -> Any:
        total: list[Tensor] = []
        for pairs in forwards:
            with overridden(pairs), untouched(x):
                out = model(x)
            parts = [F.normalize(t, dim=-1) / k for t in (out if isinstance(out, tuple) else [out])]
            total = [a + b for a, b in zip(total, parts, strict=True)] if total else parts
        return tuple(total) if isinstance(out, tuple) else total[0]

    return ensemble


@contextmanager
def evaluation_statistics(model: nn.Module, how: str) -> Iterator[Callable[[Tensor], Any]]:
    """Evaluate ``model`` with the statistics named ``how``::

        with torch.no_grad(), evaluation_statistics(model, "pooled") as forward:
            features = forward(images)

    Inside, the model is in evaluation mode; on leaving, every module's mode is what it was. Nothing
    in the state dict changes. Gradients are left to the caller. Call ``forward``, not the model:
    only it knows about ensembles.

    Args:
        model: with any norm layers, converted or not. For ``ensemble``, its forward returns a
            tensor ``(B, D)`` or a tuple of such tensors.
        how: ``running``, ``mean``, ``pooled``, ``reestimated``, ``branch:k`` (k from 0),
            ``ensemble``, ``test-batch`` or ``oracle``; the module says what each is. A model
            without subset layers gives the same, that of ``model.eval()``, under all but
            ``reestimated`` and ``test-batch``.

    Raises:
        InputError: unknown ``how`` or branch; ``running`` for a model with statistics per subset;
            ``reestimated`` before :func:`contrastive_tutorial.norm.reestimate`, or for other
            weights than were measured; ``reestimated`` and ``test-batch`` for a model with running
            statistics in other layers (InstanceNorm, frozen, lazy, scripted).
    """
    k = num_branches(model)
    name, _, index = str(how).partition(":")
    if name == "branch":
        if not index.isdecimal() or int(index) >= k:
            raise InputError(
                f"how: expected a branch from 'branch:0' to 'branch:{k - 1}', got {how!r}"
            )
    elif how not in EVALUATION_STATISTICS:
        raise InputError(f"how: expected one of {', '.join(EVALUATION_STATISTICS)}, got {how!r}")
    if how == "running" and k > 1:
        raise InputError(
            f"how: 'running' is ambiguous for a model with K = {k} branches; choose 'pooled', "
            "'mean', 'reestimated', 'ensemble' or 'branch:k'"
        )
    with evaluating(model) as inner:
        layers = norm_layers(inner)
        if how in ("reestimated", "test-batch"):
            require_all_known(inner)
        if how == "reestimated":
            _require_fresh(inner, layers)
        if how == "ensemble" and k > 1:
            yield _ensemble(inner, layers, k)
        else:
            with overridden([(layer, _forward_of(layer, how)) for layer in layers]):
                yield inner


@contextmanager
def domains(model: nn.Module, ids: Tensor) -> Iterator[None]:
    """Tell the subset layers of ``model`` the subset of every row, for subsets of any size::

        with norm.domains(model, ids):
            loss = criterion(model(images), targets)
            loss.backward()

    In training every subset in the batch is normalised by its own moments and moves its own
    statistics; one that has no rows keeps them. In evaluation (``model.eval()``) every row goes
    through its own branch. Rows may come in any order. Inside :func:`evaluation_statistics` the
    statistics named there are used, whatever the ids. Leave the backward pass inside the block if
    parts of the model are checkpointed, as these run again there.

    Args:
        model: with ``split``, ``dsbn`` or ``affine`` layers (:func:`convert_norm`), of one K.
        ids: int64 ``(N,)``, from 0 to K - 1; N is what the layers meet, so twice the images where
            two views go through the network together. On the device of the activations.

    Raises:
        InputError: for a model without such layers, or ids of another type, shape or range; in a
            layer, if N is another, or a subset has a single value per channel (looked at on a CPU).
    """
    k = num_branches(model)
    layers = [m for m in norm_layers(model) if isinstance(m, GroupedBatchNorm) and m.branches > 1]
    if not layers:
        raise InputError(
            "model: no layer keeps anything per subset; convert_norm(model, 'split', K) makes some"
        )
    require_ids("ids", ids)
    if not len(ids):
        raise InputError("ids: expected a subset for every row, got none: shape (0,)")
    low, high = (int(t) for t in torch.aminmax(ids))
    if low < 0 or high >= k:
        raise InputError(f"ids: expected subsets from 0 to {k - 1}, got {low} to {high}")
    before = [layer.domain for layer in layers]
    for layer in layers:
        layer.domain = ids
    try:
        yield
    finally:
        for layer, kept in zip(layers, before, strict=True):
            layer.domain = kept
