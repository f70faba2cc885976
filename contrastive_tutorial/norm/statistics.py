"""Which statistics a normalised network uses in evaluation, and how to measure better ones.

A layer with statistics per subset faces a question that training never asks: a test image belongs
to no subset. The answers, after the menu E1 to E7 of the book's chapter on the BN family, with
mu_k, v_k the running mean and variance of branch k:

================ =================================================================================
``running``      the layer's own buffers, where it keeps one set (plain BN, ghost, renorm)
``mean``         mean of mu_k, mean of v_k: omits the variance between branches (MoCo, lightly)
``pooled``       mean of mu_k, mean of v_k + variance of mu_k: law of total variance
``reestimated``  measured on clean training images by :func:`reestimate`
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
from contrastive_tutorial.norm.kernels import pool_moments
from contrastive_tutorial.norm.layers import (
    GroupedBatchNorm,
    OwnBatchNorm,
    drop_and_activate,
    has_activation_inside,
)
from contrastive_tutorial.norm.renorm import BatchRenorm2d

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

_Forward = Callable[[Tensor], Tensor]


def _layers(model: nn.Module) -> list[Any]:
    """The layers of ``model`` that normalise with batch statistics."""
    plain = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    kinds = (GroupedBatchNorm, BatchRenorm2d, *plain)
    return [m for m in model.modules() if isinstance(m, kinds)]


def num_branches(model: nn.Module) -> int:
    """K of the model's subset layers, 1 if it has none.

    Raises:
        InputError: if its layers disagree.
    """
    ks = {m.branches for m in _layers(model) if isinstance(m, GroupedBatchNorm)} - {1}
    if len(ks) > 1:
        raise InputError(f"model: its layers have different numbers of subsets: {sorted(ks)}")
    return ks.pop() if ks else 1


def _affine(layer: Any) -> tuple[Tensor | None, Tensor | None]:
    if isinstance(layer, GroupedBatchNorm):
        return layer.mean_affine()
    return layer.weight, layer.bias


def _branch(layer: Any, tensor: Tensor | None, k: int) -> Tensor | None:
    return tensor[k] if tensor is not None and tensor.ndim == 2 else tensor


def _fixed(layer: Any, mean: Tensor, var: Tensor, weight: Any, bias: Any) -> _Forward:
    def forward(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return F.batch_norm(x, mean, var, weight, bias, False, 0.0, layer.eps)

    return forward


def _forward_of(layer: Any, how: str) -> _Forward | None:
    """What ``layer`` computes under ``how``; ``None`` for its ordinary evaluation."""
    if how == "reestimated":
        if getattr(layer, "reestimated_mean", None) is None:
            raise InputError(
                "how: 'reestimated' statistics have not been measured; call reestimate(model, "
                "batches) with clean training images first"
            )
        return _fixed(layer, layer.reestimated_mean, layer.reestimated_var, *_affine(layer))
    if how == "test-batch":
        return lambda x: F.batch_norm(x, None, None, *_affine(layer), True, 0.0, layer.eps)
    if not isinstance(layer, GroupedBatchNorm) or layer.branches == 1:
        return None
    mean, var = layer.running_mean, layer.running_var
    if how == "mean" and mean.ndim == 2:
        return _fixed(layer, mean.mean(0), var.mean(0), *layer.mean_affine())
    if how.startswith("branch:"):
        k = int(how.removeprefix("branch:"))
        tensors = [_branch(layer, t, k) for t in (mean, var, layer.weight, layer.bias)]
        return _fixed(layer, *tensors)  # type: ignore[arg-type]
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


def _whole(layer: nn.Module, forward: _Forward) -> _Forward:
    """``forward`` with what else ``layer`` does in its own.

    Raises:
        InputError: if that is unknown, for a subclass of PyTorch's layers from elsewhere.
    """
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
def _overridden(pairs: Iterable[tuple[nn.Module, _Forward | None]]) -> Iterator[None]:
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
def _evaluating(model: nn.Module) -> Iterator[nn.Module]:
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
            ``reestimated`` before :func:`reestimate`.
    """
    k = num_branches(model)
    name, _, index = how.partition(":")
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
    with _evaluating(model) as inner:
        layers = _layers(inner)
        if how == "ensemble" and k > 1:
            forwards = [
                [(layer, _forward_of(layer, f"branch:{i}")) for layer in layers] for i in range(k)
            ]

            def ensemble(x: Tensor) -> Any:
                total: Any = None
                for pairs in forwards:
                    with _overridden(pairs):
                        out = inner(x)
                    parts = [
                        F.normalize(t, dim=-1) / k
                        for t in (out if isinstance(out, tuple) else (out,))
                    ]
                    total = (
                        parts
                        if total is None
                        else [a + b for a, b in zip(total, parts, strict=True)]
                    )
                return tuple(total) if isinstance(out, tuple) else total[0]

            yield ensemble
        else:
            with _overridden([(layer, _forward_of(layer, how)) for layer in layers]):
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
    layers = [m for m in _layers(model) if isinstance(m, GroupedBatchNorm) and m.branches > 1]
    if not layers:
        raise InputError(
            "model: no layer keeps anything per subset; convert_norm(model, 'split', K) makes some"
        )
    if ids.dtype != torch.int64 or ids.ndim != 1 or not len(ids):
        raise InputError(
            f"ids: expected int64 of shape (N,), got {ids.dtype} of shape {tuple(ids.shape)}"
        )
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


class _Moments:
    """Mean and variance of all values seen so far, per branch and channel, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.sum_of_squares = torch.zeros(())

    def add(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Merge the moments ``(S, C)`` of ``count`` more values (Chan et al. 1983)."""
        dtype = torch.float32 if mean.device.type == "mps" else torch.float64
        mean, var = mean.detach().to(dtype), var.detach().to(dtype)
        if self.count == 0:
            self.mean, self.sum_of_squares = torch.zeros_like(mean), torch.zeros_like(var)
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self.sum_of_squares = (
            self.sum_of_squares + var * count + delta.square() * (self.count * count / total)
        )
        self.count = total


def _measuring(layer: Any, into: _Moments, by_subset: bool) -> _Forward:
    """A forward that normalises with the batch's own statistics and notes them."""

    def forward(x: Tensor) -> Tensor:
        if by_subset and isinstance(layer, GroupedBatchNorm):
            layer.check_shape(x)
            y, mean, var = layer.normalize(x)
            count = x.numel() // mean.numel()
            if mean.shape[0] > 1 and layer.running_mean.ndim == 1:
                # Ghost: groups are a device of training, their running statistics are one set's.
                pooled = pool_moments(mean, var, dim=0)
                mean, var, count = pooled[0][None], pooled[1][None], count * mean.shape[0]
            into.add(mean, var, count)
            return y
        rows = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        var, mean = torch.var_mean(rows, [0, *range(2, x.ndim)], correction=0)
        into.add(mean[None], var[None], x.numel() // x.shape[1])
        return F.batch_norm(x, None, None, *_affine(layer), True, 0.0, layer.eps)

    return forward


@torch.no_grad()
def _measure(
    model: nn.Module, batches: Iterable[Tensor], by_subset: bool
) -> list[tuple[Any, _Moments]]:
    with _evaluating(model) as inner:
        found = [(layer, _Moments()) for layer in _layers(inner)]
        if any(getattr(layer, "domain", None) is not None for layer, _ in found):
            raise InputError("batches: measured in K equal groups of rows, outside norm.domains")
        if any(layer.running_mean is None for layer, _ in found):
            raise InputError(
                "model: a BatchNorm layer with track_running_stats=False keeps no statistics to "
                "measure; it uses those of the batch in evaluation too"
            )
        seen = 0
        with _overridden([(layer, _measuring(layer, m, by_subset)) for layer, m in found]):
            for batch in batches:
                inner(batch)
                seen += 1
    if not seen:
        raise InputError("batches: expected at least one batch, got none")
    return [(layer, moments) for layer, moments in found if moments.count > 1]


def precise_bn(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Recompute running statistics, those of every branch, from training batches.

    The exponential average that training leaves behind lags: with momentum 0.01 (Keras: 0.99), 40%
    of the initial value is left after 90 steps, and it averages over weights that have since
    changed. This passes ``batches`` through the frozen network, each normalised by its own
    statistics as in training, and stores the mean and the (unbiased) variance of all values
    together, by the law of total variance and weighted by batch size: for a layer whose input does
    not depend on the batch, exactly those of the pooled data (Wu and Johnson 2021, arXiv
    2105.07576). Batch Renormalization layers normalise as plain BN meanwhile. Everything but norm
    layers, such as dropout, is in evaluation mode; modes and step counts come back unchanged.

    Args:
        model: with any norm layers.
        batches: float tensors as in training, rows ordered (subset, view, sample).

    Raises:
        InputError: if there is no batch, or one does not divide by K.
    """
    with torch.no_grad():
        for layer, moments in _measure(model, batches, by_subset=True):
            biased = moments.sum_of_squares / moments.count
            layer.running_mean.copy_(moments.mean.view_as(layer.running_mean))
            if isinstance(layer, BatchRenorm2d):
                layer.running_std.copy_((biased + layer.eps).sqrt().view_as(layer.running_std))
            else:
                unbiased = moments.sum_of_squares / (moments.count - 1)
                layer.running_var.copy_(unbiased.view_as(layer.running_var))


def reestimate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measure the statistics that ``evaluation_statistics(model, "reestimated")`` uses.

    As :func:`precise_bn`, but on clean (unaugmented) *training* images in any order, one set of
    statistics for all subsets (AdaBN, Li et al. 2016, arXiv 1603.04779), with the affine averaged
    where it is per subset. They are kept beside the running statistics as non-persistent buffers:
    they follow the model to another device and through ``copy.deepcopy``, and are not in its state
    dict.

    Args:
        model: with any norm layers.
        batches: float tensors of clean training images.

    Raises:
        InputError: if there is no batch.
    """
    for layer, moments in _measure(model, batches, by_subset=False):
        like = layer.running_mean
        var = moments.sum_of_squares / (moments.count - 1)
        layer.register_buffer("reestimated_mean", moments.mean[0].to(like.dtype), persistent=False)
        layer.register_buffer("reestimated_var", var[0].to(like.dtype), persistent=False)
