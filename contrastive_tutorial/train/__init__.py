"""Training: encoders, presets, optimiser and schedule, the loop, checkpoints, several processes.

Enters: a module, a function that gives the loss of a step, a configuration.
Leaves: the trained module, its history, a checkpoint while it lasts.
Never: knows cells, policies or records; waits for the device inside a step.
"""

from contrastive_tutorial.train.compiling import compiled
from contrastive_tutorial.train.encoders import ContrastiveModel, resnet18, seeded, two_conv
from contrastive_tutorial.train.layout import Layout
from contrastive_tutorial.train.loop import (
    History,
    TrainConfig,
    device_name,
    resolve_device,
    step_seed,
    supports_bf16,
    train,
)
from contrastive_tutorial.train.memory import Saved
from contrastive_tutorial.train.optimizers import learning_rate, make_optimizer
from contrastive_tutorial.train.presets import OPTIMIZERS, PRESETS, Preset, Schedule, preset
from contrastive_tutorial.train.processes import World, processes, requested
from contrastive_tutorial.train.sharding import adapt_norms, settle, share

__all__ = [
    "OPTIMIZERS",
    "PRESETS",
    "ContrastiveModel",
    "History",
    "Layout",
    "Preset",
    "Saved",
    "Schedule",
    "TrainConfig",
    "World",
    "adapt_norms",
    "compiled",
    "device_name",
    "learning_rate",
    "make_optimizer",
    "preset",
    "processes",
    "requested",
    "resnet18",
    "resolve_device",
    "seeded",
    "settle",
    "share",
    "step_seed",
    "supports_bf16",
    "train",
    "two_conv",
]
