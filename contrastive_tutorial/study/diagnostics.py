"""Measurements that single hypotheses need, beyond the metrics of every run.

* :func:`cluster_protocols`: how far the protocol alone moves "cluster accuracy";
* :func:`policy_probes`: whether features tell which policy an image got;
* :func:`first_norm_shift`: how far each policy shifts what the first norm layer sees;
* :class:`Along`: scores during training, and :class:`EarlyAccuracy`: cluster accuracy under moving
  averages of two decays.

Results are flat dictionaries ``"<group>/<entry>" -> number``, as records keep them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from contrastive_tutorial import augment, metrics
from contrastive_tutorial.augment import POLICIES
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import kl_normal
from contrastive_tutorial.norm import NoNorm, evaluation_statistics
from contrastive_tutorial.study.cells import Cell
from contrastive_tutorial.study.scoring import Forward, features
from contrastive_tutorial.train import ContrastiveModel

DECAYS = (0.99, 0.9)
PROBE_IMAGES = 1_000
#: What is measured along training, where a preset asks for it.
ALONG = ("knn10", "linear_probe", "cluster_accuracy_mean")


def cluster_protocols(
    features: dict[str, tuple[Tensor, Tensor]],
    test_labels: Tensor,
    num_classes: int,
    restarts: int = 20,
) -> dict[str, float]:
    """Accuracy of one checkpoint's clusters under every protocol, mean over k-means restarts.

    Args:
        features: by name (h, z): bank ``(N, D)``, which k-means is fitted on, and test ``(M, D)``.
        test_labels: int64 ``(M,)``.
        num_classes: number of clusters; ``purity20`` stands for twice as many.
        restarts: single k-means++ starts to average over.

    Returns:
        ``cluster_protocols/<protocol>/<features>/<norm>`` with protocol ``raw`` (cluster ids taken
        for class ids), ``hungarian``, ``purity10`` (both of the same assignment) or ``purity20``;
        norm ``l2`` or ``none``.
    """
    found: dict[str, float] = {}
    for name, (bank, test) in features.items():
        for norm, normalize in (("l2", True), ("none", False)):
            ids, finer = (
                metrics.cluster_fits(bank, test, k, n_init=restarts, normalize=normalize)
                for k in (num_classes, 2 * num_classes)
            )
            for protocol, fits, score in (
                ("raw", ids, metrics.raw_accuracy),
                ("hungarian", ids, metrics.cluster_accuracy),
                ("purity10", ids, metrics.purity),
                ("purity20", finer, metrics.purity),
            ):
                key = f"cluster_protocols/{protocol}/{name}/{norm}"
                found[key] = sum(score(test_labels, fit) for fit in fits) / restarts
    return found


@torch.no_grad()
def policy_probes(
    cell: Cell,
    model: ContrastiveModel,
    forward: Forward,
    images: Tensor,
    num_subsets: int,
    seed: int,
    generator: torch.Generator,
) -> tuple[dict[str, float], dict[str, float]]:
    """Can a linear probe tell which of the ten policies an image got?

    Under the headline statistics (``policy_probe_h``, ``_z``), and with every policy through the
    branch that was trained on it (``..._own_branch``), as the network saw it in training; there
    also the recall of every policy and, for cells with one policy per subset, how far it shifts the
    input of the first norm layer.

    Args:
        cell, model: what was trained.
        forward: of :func:`contrastive_tutorial.norm.evaluation_statistics`, the headline's.
        images: uint8 ``(N, 3, H, W)``, none of them trained on; each is shown under every policy.
        num_subsets, seed: of the run.
        generator: of the views.
    """
    count, n = len(POLICIES), len(images)
    ids = torch.arange(count, device=images.device).repeat_interleave(n)
    params = augment.sample(POLICIES, ids, generator, images.shape[-1])
    image_ids = torch.arange(n, device=images.device).repeat(count)
    # Not every policy has a branch that was trained on it, unless each has its own or all share.
    known = not cell.has_branches or (cell.policy == "P1" and num_subsets >= count)
    shifts = known and cell.policy == "P1" and cell.norm != "none"
    h, own, moments = [], [], []
    for k, part in enumerate(torch.arange(len(ids)).split(n)):  # the views of all are 120 MB
        views = augment.apply(images, params[part.to(images.device)])
        h.append(features(forward, views))
        if cell.has_branches and known:
            with evaluation_statistics(model.encoder, f"branch:{k}") as through_branch:
                own.append(features(through_branch, views))
        if shifts:
            moments.append(_first_norm_moments(model.encoder, forward, views))

    def probe(parts: list[Tensor]) -> tuple[float, float, dict[int, float]]:
        h = torch.cat(parts)
        on_z, recalls = metrics.policy_probe_recalls(model.head(h), ids, image_ids, seed)
        return metrics.policy_probe(h, ids, image_ids, seed), on_z, recalls

    on_h, on_z, recalls = probe(h)
    found = {"policy_probe_h": on_h, "policy_probe_z": on_z}
    if not known:
        return found, {}
    if own:
        on_h, on_z, recalls = probe(own)
    extra = {"policy_probe_h_own_branch": on_h, "policy_probe_z_own_branch": on_z}
    if cell.policy == "P1":
        extra |= {f"policy_recall_z_own_branch/{k}": value for k, value in recalls.items()}
    if shifts:
        extra |= _shift(moments, range(count))
    return found, extra


def channel_norms(model: nn.Module) -> list[nn.Module]:
    """The layers of ``model`` that normalise over channels, in order of registration.

    By their type: models of other libraries have attributes of such layers, too.
    """
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm, NoNorm)
    return [module for module in model.modules() if isinstance(module, kinds)]


@torch.no_grad()
def first_norm_shift(
    model: nn.Module, forward: Callable[[Tensor], object], views: Tensor, policy_ids: Tensor
) -> dict[str, float]:
    """``kl_bn1_per_policy/<k>``: how far policy k shifts the input of the first norm layer.

    KL(N(mu_k, v_k) || N(mu, v)) in nats, mean over channels: moments over the images and positions
    of policy k, against those of all views together.

    Args:
        model: holds the layer.
        forward: runs images through it.
        views: float ``(B, 3, H, W)``; equally many of every policy.
        policy_ids: int64 ``(B,)``.

    Raises:
        InputError: if the images meet no norm layer.
    """
    policies = [int(k) for k in policy_ids.unique()]
    moments = [_first_norm_moments(model, forward, views[policy_ids == k]) for k in policies]
    if not (found := _shift(moments, policies)):
        raise InputError("model: expected a network with a norm layer, found none")
    return found


def _first_norm_moments(
    model: nn.Module, forward: Callable[[Tensor], object], views: Tensor
) -> Tensor | None:
    """:func:`_moments` of what the first norm layer on their way sees of ``views``."""
    seen: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        seen.append(_moments(inputs[0] if inputs else next(iter(named.values()))))
        raise _Seen  # what comes after does not matter

    handles = [
        layer.register_forward_pre_hook(look, with_kwargs=True) for layer in channel_norms(model)
    ]
    try:
        with suppress(_Seen):
            forward(views)
    finally:
        for handle in handles:
            handle.remove()
    return seen[0] if seen else None


def _shift(moments: Sequence[Tensor | None], policies: Sequence[int]) -> dict[str, float]:
    there = [each for each in moments if each is not None]
    if len(there) < len(moments):  # a network of one's own without such layers on its way
        return {}
    mean, square = torch.stack(there).unbind(1)  # (policies, C)
    std = (square - mean**2).clamp(min=1e-12).sqrt()
    mean_all, square_all = mean.mean(0), square.mean(0)
    std_all = (square_all - mean_all**2).clamp(min=1e-12).sqrt()
    shift = kl_normal(mean, std, mean_all.expand_as(mean), std_all.expand_as(std)).mean(1)
    return {f"kl_bn1_per_policy/{k}": float(shift[i]) for i, k in enumerate(policies)}


def _moments(x: Tensor) -> Tensor:
    """float64 ``(2, C)``: mean and mean square of every channel."""
    var, mean = torch.var_mean(x.float(), [0, *range(2, x.ndim)], correction=0)
    mean = mean.double()
    return torch.stack([mean, var.double() + mean.square()])


class _Seen(Exception):
    """The forward pass has come as far as was wanted."""


class Along(nn.Module):
    """Scores of a model while it trains, after some of its steps.

    All that it knows lies in buffers. As a submodule of the model during training it is part of
    every checkpoint, so a run that was killed continues with them.

    Args:
        prefix: of the names.
        names: of what ``measure`` gives.
        steps: numbers of steps after which to measure.
        measure: float32 ``(len(names),)``.
        device: of the model.
    """

    values: Tensor

    def __init__(
        self,
        prefix: str,
        names: Sequence[str],
        steps: Sequence[int],
        measure: Callable[[], Sequence[float]],
        device: torch.device,
    ):
        super().__init__()
        self.prefix, self.names, self.steps = prefix, tuple(names), tuple(steps)
        self.measure = measure
        shape = len(self.names), len(self.steps)
        self.register_buffer("values", torch.full(shape, torch.nan, device=device))

    def after_step(self, step: int, loss: Tensor) -> None:
        """For ``on_step`` of :func:`contrastive_tutorial.train.loop.train`."""
        if step + 1 in self.steps:
            found = torch.tensor(self.measure(), dtype=torch.float32)
            self.values[:, self.steps.index(step + 1)] = found.to(self.values.device)

    def close(self) -> dict[str, float]:
        """``<prefix>/<name>/<step>`` of the steps that were reached."""
        return {
            f"{self.prefix}/{name}/{step}": float(self.values[row, column])
            for row, name in enumerate(self.names)
            for column, step in enumerate(self.steps)
            if not torch.isnan(self.values[row, column])
        }


class EarlyAccuracy(Along):
    """Moving averages of two decays beside the encoder's own statistics, scored on the way.

    Args:
        encoder: its ``nn.BatchNorm2d`` layers are watched.
        steps: numbers of steps after which to score.
        score: gives the cluster accuracy of an encoder in evaluation mode.
        exact: replaces an encoder's running statistics by exact ones.
    """

    def __init__(
        self,
        encoder: nn.Module,
        steps: tuple[int, ...],
        score: Callable[[nn.Module], float],
        exact: Callable[[nn.Module], None],
    ):
        statistics = (*(f"ema{decay}" for decay in DECAYS), "precise")
        super().__init__("early_accuracy", statistics, steps, self._scores, _device(encoder))
        self._score, self._exact = score, exact
        self._encoder = (encoder,)  # in a tuple, or it would be registered a second time
        self._watching = True
        self._handles = []
        for i, layer in enumerate(_batch_norms(encoder)):
            for decay in DECAYS:
                # PyTorch's start: as if the data had mean 0 and variance 1.
                ones = torch.ones(layer.num_features, device=_device(encoder))
                self.register_buffer(_buffer(decay, i, "mean"), torch.zeros_like(ones))
                self.register_buffer(_buffer(decay, i, "var"), ones)
            self._handles.append(layer.register_forward_pre_hook(self._watch(i)))

    def _watch(self, index: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        @torch.no_grad()
        def update(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if not (self._watching and layer.training):
                return
            var, mean = torch.var_mean(inputs[0].float().transpose(0, 1).flatten(1), dim=1)
            for decay in DECAYS:
                self.get_buffer(_buffer(decay, index, "mean")).lerp_(mean, 1 - decay)
                self.get_buffer(_buffer(decay, index, "var")).lerp_(var, 1 - decay)

        return update

    def _scores(self) -> list[float]:
        self._watching = False  # a copy of the encoder comes with its hooks
        found = [self._score(self._copy(name)) for name in self.names]
        self._watching = True
        return found

    def _copy(self, statistics: str) -> nn.Module:
        """A copy of the encoder in evaluation mode, with these statistics."""
        twin = copy.deepcopy(self._encoder[0])
        if statistics == "precise":
            self._exact(twin)
            return twin.eval()
        decay = float(statistics.removeprefix("ema"))
        for i, layer in enumerate(_batch_norms(twin)):
            layer.running_mean = self.get_buffer(_buffer(decay, i, "mean")).clone()
            layer.running_var = self.get_buffer(_buffer(decay, i, "var")).clone()
        return twin.eval()

    def close(self) -> dict[str, float]:
        """Stop watching; as :meth:`Along.close`."""
        for handle in self._handles:
            handle.remove()
        return super().close()


def along_training(evaluator: Any, encoder: nn.Module) -> list[Along]:
    """What cell and preset of an :class:`.evaluator.Evaluator` want measured during training."""
    found: list[Along] = []
    if steps := evaluator.cell.early_steps:
        score, exact = evaluator.quick_cluster_accuracy, evaluator.make_exact
        found.append(EarlyAccuracy(encoder, steps, score, exact))
    if steps := evaluator.preset.measured_steps:
        measure = partial(evaluator.along, encoder)
        found.append(Along("along", ALONG, steps, measure, _device(encoder)))
    return found


def _batch_norms(encoder: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _buffer(decay: float, layer: int, what: str) -> str:
    return f"ema{round(100 * decay)}_{layer}_{what}"
