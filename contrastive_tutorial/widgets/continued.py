"""A setting of the lab in PyTorch, where it may run longer and has all the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from contrastive_tutorial import data, norm
from contrastive_tutorial.augment import Policy
from contrastive_tutorial.study import Cell, Experiment
from contrastive_tutorial.train import ContrastiveModel, Preset, seeded
from contrastive_tutorial.train.encoders import ConvNet, MeanOverMap, ProjectionHead

_IMAGES = 2_000  # training images of the lab


@dataclass(frozen=True)
class LabCell(Cell):
    """A cell with recipes of its own, one for each subset."""

    recipes: tuple[Policy, ...] = ()


class LabExperiment(Experiment):
    """One side of the lab, with a value for every name of ``FIELDS``: see ``Lab.experiment``."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._network = settings["network"]
        cell = LabCell(
            "lab",
            "P0" if settings["policy"] == "shared" else "P1c",
            settings["negatives"],
            settings["norm"],
            "A setting of the lab.",
            recipes=recipes(settings),
        )
        preset = Preset(
            "lab",
            "two_conv_strided",
            steps=settings["steps"],
            batch_size=settings["n"],
            lr=settings["lr"],
            weight_decay=0.0,
            temperature=settings["temperature"],
        )
        train, val, test = (data.load("shapes", split) for split in ("train", "val", "test"))
        sets = train.subset(range(_IMAGES)), val, test
        super().__init__(cell, sets, preset, settings["seed"], settings["k"])

    def _build_model(self) -> ContrastiveModel:
        model = small(self.seed) if self._network == "small" else seeded(self.seed, self._network)
        model.encoder = norm.convert_norm(
            model.encoder, self.cell.norm, self.num_subsets, total_steps=self.preset.steps
        )
        return self._placed(model)


def small(seed: int) -> ContrastiveModel:
    """The lab's small network, 9,328 weights: two 3x3 convolutions, mean, 32-64-32 head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for before, channels in ((3, 16), (16, 32)):
            layers += [
                nn.Conv2d(before, channels, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        encoder = ConvNet(nn.Sequential(*layers, MeanOverMap()), 32)
        return ContrastiveModel(encoder, ProjectionHead(32, 32, hidden=64))


def recipes(settings: Mapping[str, Any]) -> tuple[Policy, ...]:
    """The lab's augmentation, one recipe for each subset or one for all, as ``recipe`` of
    ``static/lab/model.js`` draws it."""
    k = settings["k"]
    colours: dict[str, Any] = {}
    if settings["colours"] == "random":
        colours = {
            "jitter": 1.0, "brightness": (0.6, 1.4), "contrast": (0.6, 1.4),
            "saturation": (0.0, 2.0), "hue": (-0.5, 0.5), "grayscale": 0.2,
        }  # fmt: skip
    if settings["policy"] == "shared":
        return (Policy("lab", **colours),)
    policies = []
    for subset in range(k):
        place = subset / (k - 1) if k > 1 else 0.0
        mark: dict[str, Any] = {"shift": 0.6 * settings["strength"] * (place - 0.5)}
        if settings["policy"] == "blur":
            width = 3.0 * settings["strength"] * place
            mark = {"blur": 1.0, "sigma": (width, width)} if width else {}
        policies.append(Policy(f"lab-{subset}", **colours, **mark))
    return tuple(policies)
