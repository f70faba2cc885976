"""The registered presets: which encoder, how long it trains, and how it is evaluated.

A preset is chosen by name, and its name may carry changes: ``resnet-100+batch_size=256+steps=30``
is the preset ``resnet-100`` with two values changed. Records keep that name, so a changed preset
never passes for the registered one.

The ``resnet-N`` presets follow the best published ResNet-18 recipe that we know of, that of the
repository ``dkobak/simclr-cifar10`` (commit 44b2500; its README reports 90.3 % kNN accuracy after
500 epochs), value by value:

=================  ==========================================  ====================================
what               here                                        source
=================  ==========================================  ====================================
batch              512 images, two views each                  dkobak
optimiser          SGD, momentum 0.9, no Nesterov              dkobak
learning rate      0.03 x batch / 256 = 0.06, cosine decay     dkobak (500 and 1,000 epochs)
... 100 epochs     0.06 x batch / 256 = 0.12                   dkobak (its 100-epoch row)
... 200 epochs     0.12                                        ours: no published value; untested
warm-up            none                                        dkobak
weight decay       5e-4                                        dkobak; ours spares biases and BN
temperature        0.5                                         dkobak; SimCLR, appendix B.9
head               512-1024-128, ReLU, no BN                   dkobak
crop               area 0.2 to 1                               dkobak
colour jitter      0.4, 0.4, 0.4, 0.1 with probability 0.8     SimCLR, appendix B.9 (strength 0.5)
grayscale          probability 0.1 (0.2 elsewhere)             dkobak (its history: +1 point)
blur               none                                        SimCLR, appendix B.9; dkobak
BN                 each view in a forward pass of its own      dkobak
first convolution  3x3, stride 1, no max pooling               SimCLR, appendix B.9
=================  ==========================================  ====================================

One thing differs from every published run: 45,000 training images instead of 50,000, because the
validation images stay out of training. An epoch is therefore 87 steps.
"""

from __future__ import annotations

import math
import string
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch

from contrastive_tutorial.errors import InputError, unknown
from contrastive_tutorial.train.devices import supports_bf16
from contrastive_tutorial.train.encoders import ENCODERS

OPTIMIZERS = ("adam", "adamw", "sgd")
#: What some fields of a preset may be, and the least that others may be.
_CHOICES = {
    "encoder": ENCODERS,
    "passes": (1, 2),
    "headline": ("", "pooled", "reestimated"),
    "compile": ("no", "default", "reduce-overhead"),
    "precision": ("", "float32", "bfloat16"),
}
_LEAST = dict.fromkeys(("bank", "menu_bank", "kmeans_restarts"), 1)
_LEAST |= {"batch_size": 2, "measured": 0, "knn_every": 0}
_MOST_STEPS = 10**9
_NAME = set(string.ascii_letters + string.digits + "-_.+=")


class Schedule(Protocol):
    """How to optimise: what a preset and a ``training.TrainConfig`` have in common."""

    @property
    def optimizer(self) -> str: ...
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def steps(self) -> int: ...
    @property
    def warmup(self) -> float: ...
    @property
    def checkpoint_every(self) -> int: ...


def require_schedule(given: Schedule) -> None:
    """Refuse values that no training can use, before it begins."""
    if not 0 <= given.steps <= _MOST_STEPS:
        raise InputError(f"steps: expected 0 to {_MOST_STEPS:,}, got {given.steps}")
    if given.optimizer not in OPTIMIZERS:
        raise InputError(f"optimizer: expected one of {OPTIMIZERS}, got {given.optimizer!r}")
    if not 0 < given.lr < math.inf:
        raise InputError(f"lr: expected a positive number, got {given.lr}")
    if not 0 <= given.weight_decay < math.inf:
        raise InputError(f"weight_decay: expected 0 or more, got {given.weight_decay}")
    if not 0 <= given.warmup <= 1:
        raise InputError(f"warmup: expected a fraction of the run from 0 to 1, got {given.warmup}")
    if given.checkpoint_every < 1:
        raise InputError(f"checkpoint_every: expected at least 1, got {given.checkpoint_every}")


@dataclass(frozen=True)
class Preset:
    """Encoder, length of training and effort of evaluation, equal for every cell.

    Attributes:
        encoder: a name of :func:`contrastive_tutorial.train.encoders.build`.
        steps, batch_size, lr, optimizer, weight_decay, warmup: see
            :class:`~contrastive_tutorial.train.loop.TrainConfig`; ``batch_size`` counts images,
            each seen in two views.
        temperature: of NT-Xent.
        bank: training images that kNN, k-means and the linear probe are fitted on (``None``: all).
        kmeans_restarts: k-means++ initialisations, the best by inertia is scored.
        menu_bank: training images used when other evaluation statistics are compared.
        passes: 1 sends both views through the network together, 2 one after the other. The same
            images and the same loss, but other batch statistics: with 1, BN normalises a view with
            the statistics of both views' pixels; with 2, each view with its own. Published code
            does either (google-research/simclr 1; dkobak, lightly and the MoCo demo 2).
        grayscale: probability of grayscale in the one policy of P0 cells (``None``: the policy's).
        knn_every: steps between measurements of kNN accuracy (k = 10, cosine, clean test images,
            bank of ``bank`` images) during training; 0 for none. They cost no training time.
        headline: evaluation statistics behind the headline metrics of every cell,
            ``"reestimated"`` or ``"pooled"``; empty for the rule that each cell has of its own.
        measured: points along training at which validation images are scored, the last at its
            end; 0 for none. Closer together at the beginning, where more happens.
        compile: mode of ``torch.compile`` for network and augmentation on a GPU, ``"no"`` for
            none; ``"reduce-overhead"`` uses CUDA graphs. CPUs always run eagerly: the same bits.
        precision: what convolutions and matrix products of a training step compute in:
            ``"float32"``, or ``"bfloat16"`` by autocast; empty for bfloat16 on GPUs that compute
            in it and float32 elsewhere. On a CPU bfloat16 pays only where the processor multiplies
            it (see :func:`~contrastive_tutorial.train.devices.multiplies_bf16`). Evaluation on a
            CPU is in float32 either way.
    """

    name: str
    encoder: str
    steps: int
    batch_size: int = 500
    lr: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 1e-4
    warmup: float = 0.0
    temperature: float = 0.5
    bank: int | None = None
    kmeans_restarts: int = 10
    menu_bank: int = 10_000
    checkpoint_every: int = 100
    summary: str = ""
    passes: int = 1
    grayscale: float | None = None
    knn_every: int = 0
    headline: str = ""
    measured: int = 0
    compile: str = "no"
    precision: str = ""

    def __post_init__(self) -> None:
        for field, known in _CHOICES.items():
            if getattr(self, field) not in known:
                given = getattr(self, field)
                raise InputError(f"{field}: expected one of {tuple(known)}, got {given!r}")
        if not self.name or not set(self.name) <= _NAME or self.name.strip(".") == "":
            # It becomes a folder of records.
            raise InputError(
                f"preset: expected a name of letters, digits and '-_.+=', got {self.name!r}"
            )
        require_schedule(self)
        for field, least in _LEAST.items():
            value = getattr(self, field)
            if value is not None and value < least:
                raise InputError(f"{field}: expected at least {least}, got {value}")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"temperature: expected a positive number, got {self.temperature}")
        if self.grayscale is not None and not 0 <= self.grayscale <= 1:
            raise InputError(f"grayscale: expected a probability, got {self.grayscale}")

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """After how many steps ``measured`` points lie: the squares of equal parts of the run."""
        n = self.measured
        return tuple(sorted({max(1, round(self.steps * (i / n) ** 2)) for i in range(1, n + 1)}))

    def bf16(self, device: torch.device) -> bool:
        """Whether a training step on ``device`` computes in bfloat16."""
        return supports_bf16(device) if not self.precision else self.precision == "bfloat16"

    def held_out(self, purpose: str) -> range:
        """Numbers of steps that no training takes, for a batch of one of the evaluation's uses.

        ``"precise"`` statistics, ``"clean"`` re-estimated ones, and what is ``"scored"`` share none
        with each other either.
        """
        first, count = {"precise": (0, 20), "clean": (20, 20), "scored": (40, 4)}[purpose]
        return range(self.steps + first, self.steps + first + count)


def _resnet(epochs: int, lr: float) -> Preset:
    per_epoch = 45_000 // 512
    return Preset(
        f"resnet-{epochs}", "resnet18", steps=epochs * per_epoch, batch_size=512, lr=lr,
        optimizer="sgd", weight_decay=5e-4, checkpoint_every=10 * per_epoch, passes=2,
        grayscale=0.1, knn_every=10 * per_epoch, compile="default",
        summary=f"CIFAR ResNet-18 by the best published recipe, {epochs} epochs",
    )  # fmt: skip


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "live", "two_conv_strided", steps=60, batch_size=200, lr=2e-3, bank=4_000,
            kmeans_restarts=5, menu_bank=2_000,
            summary="seconds on two cores: what the chapters train before your eyes",
        ),
        Preset(
            "cpu", "two_conv_strided", steps=300, kmeans_restarts=5, menu_bank=4_000,
            summary="strided two-conv network, at most two minutes a run on two cores",
        ),
        Preset(
            "cpu-long", "four_conv", steps=500, lr=4e-3, optimizer="adamw", warmup=0.05,
            temperature=0.2, menu_bank=4_000, headline="reestimated", measured=10,
            summary="four convolutions, some seven minutes a run on one core: the second study",
        ),
        Preset(
            "gpu", "two_conv", steps=9_000, checkpoint_every=1_000,
            summary="the article's two-conv network, 100 epochs of 45,000 images",
        ),
        Preset(
            "resnet", "resnet18", steps=18_000, lr=0.06, optimizer="sgd", weight_decay=5e-4,
            checkpoint_every=1_000,
            summary="CIFAR ResNet-18, 200 epochs of 45,000 images",
        ),
        _resnet(100, lr=0.12),
        _resnet(200, lr=0.12),
        _resnet(500, lr=0.06),
    )
}  # fmt: skip


def preset(name: str) -> Preset:
    """A registered preset by name, with the changes that the name carries.

    The changes come back in one order, each value in one form: what says the same is called the
    same, and leaves its records in the same folder.

    Raises:
        InputError: for an unknown name (listing the known ones), an unknown field, or a value that
            does not fit the field.

    >>> preset("live+steps=3+lr=1e-2").name
    'live+lr=0.01+steps=3'
    """
    if name in PRESETS:
        return PRESETS[name]
    base, *changes = name.split("+")
    values: dict[str, object] = {}
    for change in changes:
        field, equals, text = change.partition("=")
        if not equals or field in values:
            raise InputError(
                f"preset {name!r}: expected changes such as +batch_size=256, each field once, got "
                f"+{change}; the fields are {', '.join(_KINDS)}"
            )
        values[field] = text
    return changed(base, **values)


def changed(name: str, /, **values: object) -> Preset:
    """A registered preset with other values, under the name that :func:`preset` understands.

    Args:
        name: of the preset.
        values: fields of :class:`Preset`, as numbers or as text; ``None`` or ``"none"`` where a
            field may be empty. A value that the preset has anyway leaves its name alone.

    Raises:
        InputError: as :func:`preset`.

    >>> changed("cpu", lr=0.002, batch_size=250).name
    'cpu+batch_size=250+lr=0.002'
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    found = PRESETS[name]
    for field, value in sorted(values.items()):
        if field not in _KINDS:
            raise InputError(
                f"preset {name!r}: expected changes such as +batch_size=256, got +{field}={value}; "
                f"the fields are {', '.join(_KINDS)}"
            )
        new = _read(field, _KINDS[field], value)
        if new != getattr(found, field):
            text = "none" if new is None else new
            named: dict[str, Any] = {"name": f"{found.name}+{field}={text}", field: new}
            found = replace(found, **named)
    return found


_KINDS = {f.name: str(f.type) for f in fields(Preset) if f.name not in ("name", "summary")}


def _read(field: str, kind: str, value: object) -> object:
    if kind.endswith("| None") and value in (None, "none"):
        return None
    convert = {"int": int, "float": float, "str": str}[kind.removesuffix(" | None")]
    try:
        if convert is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return convert(value)
    except (TypeError, ValueError):
        raise InputError(f"preset: {field}: expected {kind}, got {value!r}") from None
