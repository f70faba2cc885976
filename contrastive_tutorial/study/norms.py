"""Which normalisation copes with small batches, and which with shifted subsets: a supervised study.

Ioffe 2017 (arXiv 1702.03275) tested Batch Renormalization on a classifier trained with small
batches; this is that setting, small. One three-convolution classifier is trained by one pass over
the same images in the same order with each kind of normalisation, at several batch sizes, once with
*exchangeable* subsets (a random partition) and once with *shifted* ones (each subset has a tint of
its own, :func:`shift`). Every training batch holds equally many images of each of K = 4 subsets,
which is what 4 data-parallel workers with local BN would get.

Every run sees equally many images, so smaller batches take more steps, with the learning rate
scaled by batch size (Goyal et al. 2017, arXiv 1706.02677). Compare kinds at one batch size, not
batch sizes with one another: steps, rate and noise all differ between those.

Test images are shifted as the training images were, in equal shares, and no layer is told how
(``oracle`` under ``evaluations``: is told). A run leaves one record, ``preset`` ``"norm"``.
"""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial.data import ImageSet, SubsetBatches, partition, require_seed
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import convert_norm, evaluation_statistics, precise_bn
from contrastive_tutorial.records import Record
from contrastive_tutorial.study.cells import DEFINITION
from contrastive_tutorial.study.request import NORM_PRESET, Request
from contrastive_tutorial.study.scoring import circumstances, images_used
from contrastive_tutorial.train import (
    History,
    TrainConfig,
    resolve_device,
    step_seed,
    train,
)

NORMS = ("bn", "renorm", "split")
CONDITIONS = ("exchangeable", "shifted")
BATCH_SIZES = (4, 32, 256)
NUM_SUBSETS = 4
NUM_IMAGES = 12_288
LR_AT_256 = 0.2
_TEST_IMAGES = 4_096
_EVALUATION_ROWS = 1_024  # one forward of the classifier at a time
_PRECISE_IMAGES = 2_048
#: What else a network with branches is scored under, besides its headline statistics.
SPLIT_MENU = ("mean", "branch:0", "ensemble", "test-batch", "oracle")

#: Gain and offset per colour channel of each subset's tint, for values in [0, 1]: none, dark,
#: washed out, reddish. All keep the values in [0, 1], so nothing is clipped and lost.
TINTS = (
    ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    ((0.3, 0.3, 0.3), (0.0, 0.0, 0.0)),
    ((0.4, 0.4, 0.4), (0.6, 0.6, 0.6)),
    ((0.6, 0.3, 0.3), (0.4, 0.0, 0.0)),
)


@dataclass(frozen=True)
class Setting:
    """One run of the study.

    Attributes:
        norm: kind of normalisation, one of :data:`NORMS`.
        condition: one of :data:`CONDITIONS`.
        batch_size: images a step, a multiple of 4.
        seed: of weights, partition and batches; kinds of one seed share all of them.

    Raises:
        InputError: for anything else.
    """

    norm: str
    condition: str
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise InputError(f"norm: expected one of {', '.join(NORMS)}, got {self.norm!r}")
        if self.condition not in CONDITIONS:
            raise InputError(
                f"condition: expected one of {', '.join(CONDITIONS)}, got {self.condition!r}"
            )
        if self.batch_size < NUM_SUBSETS or self.batch_size % NUM_SUBSETS:
            raise InputError(
                f"batch_size: expected a multiple of the {NUM_SUBSETS} subsets, got "
                f"{self.batch_size}"
            )
        require_seed(self.seed)

    @property
    def cell(self) -> str:
        """Its name among records, e.g. ``renorm-shifted-b16``."""
        return f"{self.norm}-{self.condition}-b{self.batch_size}"

    @property
    def evaluation(self) -> str:
        """Its headline evaluation statistics: of an image whose subset is unknown."""
        return "pooled" if self.norm == "split" else "running"

    def request(self, **how: Any) -> Request:
        """What the runner takes; ``how`` are other fields of it."""
        return Request(self.cell, NORM_PRESET, self.seed, NUM_SUBSETS, **how)

    @classmethod
    def of(cls, request: Request) -> Setting:
        """What a request of preset ``"norm"`` asks for.

        Raises:
            InputError: for a cell that no setting is called.
        """
        found = re.fullmatch(r"([a-z]+)-([a-z]+)-b([0-9]{1,6})", request.cell_name)
        if not found or request.num_subsets != NUM_SUBSETS:
            raise InputError(
                f"preset 'norm': expected a cell such as renorm-shifted-b32 with K = {NUM_SUBSETS},"
                f" got {request}"
            )
        return cls(found[1], found[2], int(found[3]), request.seed)


def shift(images: Tensor, subset_ids: Tensor) -> Tensor:
    """Tint images as their subset is tinted: gain and offset per colour channel, :data:`TINTS`.

    Args:
        images: float ``(B, 3, H, W)`` in [0, 1].
        subset_ids: int64 ``(B,)`` in [0, 4).
    """
    table = torch.tensor(TINTS, device=images.device, dtype=images.dtype)
    gain, offset = table[subset_ids].unbind(1)
    return images * gain[..., None, None] + offset[..., None, None]


def classifier(num_classes: int) -> nn.Sequential:
    """Three strided convolutions (16, 32, 64 channels), each with BN and ReLU; a linear layer."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))


class Trial:
    """One setting made ready to train, trained, and scored.

    Args:
        setting: what to run.
        train_set, test_set: images.
        num_images: to train on, in all; rounded down to whole batches.
        device: ``None`` for the best there is.

    Raises:
        InputError: for too few images, or a device that is not there.
    """

    def __init__(
        self,
        setting: Setting,
        train_set: ImageSet,
        test_set: ImageSet,
        num_images: int = NUM_IMAGES,
        device: str | torch.device | None = None,
    ):
        for name, count in (("num_images", num_images), ("test_set", len(test_set))):
            if count < setting.batch_size:
                raise InputError(
                    f"{name}: expected at least one batch of {setting.batch_size}, got {count}"
                )
        self.setting, self.device = setting, resolve_device(device)
        self.train_set, self.test_set = train_set.to(self.device), test_set.to(self.device)
        self.steps = num_images // setting.batch_size
        self.config = TrainConfig(
            steps=self.steps,
            lr=LR_AT_256 * setting.batch_size / 256,
            optimizer="sgd",
            warmup=0.1,
            seed=setting.seed,
            bf16=False,
        )
        # One partition and one order of images per seed, whatever the kind and the condition.
        ids = partition(train_set.labels, NUM_SUBSETS, setting.seed)
        self.batches = SubsetBatches(ids, setting.batch_size, setting.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(setting.seed, 0))
            model = classifier(len(train_set.class_names))
        self.model = convert_norm(model, setting.norm, NUM_SUBSETS, total_steps=self.steps)
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 ``(B, 3, 32, 32)``, K equal blocks, as the classifier gets them: float32."""
        x = images.float() / 255
        if self.setting.condition == "shifted":
            block = torch.arange(len(x), device=x.device) // (len(x) // NUM_SUBSETS)
            x = shift(x, block)
        return ((x - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a training step, ordered by subset."""
        index = self.batches.indices(step).to(self.device)
        return self.inputs(self.train_set.images[index]), self.train_set.labels[index]

    def train(self, progress: bool | str = False) -> History:
        """Train by cross-entropy; see :func:`contrastive_tutorial.train.loop.train`."""

        def loss(step: int, generator: torch.Generator) -> Tensor:
            x, labels = self.batch(step)
            return F.cross_entropy(self.model(x), labels)

        return train(
            self.model, loss, self.config, images_per_step=self.setting.batch_size,
            progress=progress,
        )  # fmt: skip

    def _accuracy(self, forward: Callable[[Tensor], Tensor], rows: int) -> float:
        """Share of test images classified right, in batches of ``rows``, K equal blocks each."""
        index = torch.randperm(len(self.test_set), generator=torch.Generator().manual_seed(0))
        index = index[: min(len(index), _TEST_IMAGES)]
        right = total = 0.0
        for part in index[: len(index) - len(index) % rows].to(self.device).split(rows):
            labels = self.test_set.labels[part]
            right += float(
                (forward(self.inputs(self.test_set.images[part])).argmax(1) == labels).sum()
            )
            total += len(part)
        return right / total

    @torch.no_grad()
    def evaluate(self, menu: bool = True) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Test accuracy under the headline statistics, and under others, by name.

        ``as-trained``: the layers still in training mode, in batches of the training size;
        ``precise``: running statistics measured anew from training batches
        (:func:`~contrastive_tutorial.norm.precise_bn`); of ``split`` also :data:`SPLIT_MENU`.
        Without ``menu`` only ``oracle`` is added to the headline: enough for a chapter.
        """
        setting = self.setting
        rows = min(_EVALUATION_ROWS, len(self.test_set) // NUM_SUBSETS * NUM_SUBSETS)

        def score(model: nn.Module, how: str) -> float:
            with evaluation_statistics(model, how) as forward:
                return self._accuracy(forward, rows)

        found = {"test_accuracy": score(self.model, setting.evaluation)}
        others = {}
        if setting.norm == "split":
            chosen = SPLIT_MENU if menu else ("oracle",)
            others = {how: score(self.model, how) for how in chosen}
        if menu:  # on copies: training mode and precise BN change the running statistics
            model = copy.deepcopy(self.model).train()
            others["as-trained"] = self._accuracy(model, setting.batch_size)
            model, steps = copy.deepcopy(self.model), max(1, _PRECISE_IMAGES // setting.batch_size)
            precise_bn(model, (self.batch(step)[0] for step in range(min(steps, self.steps))))
            others["precise"] = score(model, setting.evaluation)
        return found, {how: {"test_accuracy": value} for how, value in others.items()}

    @torch.no_grad()
    def _final_loss(self) -> float:
        """Mean loss in training mode, on batches (4 or more) that no training step saw."""
        twin = copy.deepcopy(self.model).train()  # moves the running statistics
        count = max(4, _EVALUATION_ROWS // self.setting.batch_size)
        batches = (self.batch(self.steps + i) for i in range(count))
        return sum(float(F.cross_entropy(twin(x), labels)) for x, labels in batches) / count

    def record(self, progress: bool | str = False, menu: bool = True) -> Record:
        """Train, evaluate (see there for ``menu``), and describe the run."""
        setting = self.setting
        history = self.train(progress)
        started = time.perf_counter()
        scores, evaluations = self.evaluate(menu)
        return Record(
            cell=setting.cell,
            preset=NORM_PRESET,
            seed=setting.seed,
            num_subsets=NUM_SUBSETS,
            evaluation=setting.evaluation,
            metrics={**scores, "loss_final": self._final_loss()},
            evaluations=evaluations,
            hyperparameters={
                "norm": setting.norm,
                "condition": setting.condition,
                "batch_size": setting.batch_size,
                "steps": self.steps,
                "definition": DEFINITION,
                "lr": self.config.lr,
                "optimizer": "sgd, momentum 0.9, cosine decay",
                "warmup": self.config.warmup,
                "weight_decay": self.config.weight_decay,
                **images_used(self.train_set, self.test_set),
                "train_images": self.steps * setting.batch_size,
                "test_images": min(len(self.test_set), _TEST_IMAGES),
            },
            loss_curve=history.curve(50),
            **circumstances(self.train_set, history, time.perf_counter() - started),
        )


def plan(
    norms: Sequence[str] = NORMS,
    conditions: Sequence[str] = CONDITIONS,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    seeds: Sequence[int] = range(6),
    **how: Any,
) -> list[Request]:
    """Every run of a study, seeds outermost: one that is interrupted has seeds to compare.

    Args:
        norms, conditions, batch_sizes, seeds: the grid.
        how: other fields of :class:`~contrastive_tutorial.study.request.Request`.

    Raises:
        InputError: for an unknown name or a size that does not divide.
    """
    return [
        Setting(norm, condition, batch_size, seed).request(**how)
        for seed in seeds
        for batch_size in batch_sizes
        for condition in conditions
        for norm in norms
    ]
