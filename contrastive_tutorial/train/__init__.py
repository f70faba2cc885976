"""Training: encoders, presets, optimiser and schedule, the loop, checkpoints, several processes.

Enters: a module, a function that gives the loss of a step, a configuration.
Leaves: the trained module, its history, a checkpoint while it lasts.
Never: knows cells, policies or records; waits for the device inside a step.
"""

from contrastive_tutorial.train.checkpoints import content_digest
from contrastive_tutorial.train.compiling import compiled
from contrastive_tutorial.train.devices import (
    device_name,
    multiplies_bf16,
    resolve_device,
    supports_bf16,
)
from contrastive_tutorial.train.encoders import (
    ENCODERS,
    ContrastiveModel,
    ConvNet,
    ProjectionHead,
    four_conv,
    load_encoder,
    resnet18,
    save_encoder,
    seeded,
    two_conv,
)
from contrastive_tutorial.train.layout import Layout
from contrastive_tutorial.train.loop import History, TrainConfig, step_seed, train
from contrastive_tutorial.train.memory import Saved
from contrastive_tutorial.train.optimizers import learning_rate, make_optimizer
from contrastive_tutorial.train.presets import (
    OPTIMIZERS,
    PRESETS,
    Preset,
    Schedule,
    changed,
    preset,
)
from contrastive_tutorial.train.processes import ProcessGroup, processes, requested
from contrastive_tutorial.train.sharding import adapt_norms, shard, sync_buffers

__all__ = [
    "ENCODERS",
    "OPTIMIZERS",
    "PRESETS",
    "ContrastiveModel",
    "ConvNet",
    "History",
    "Layout",
    "Preset",
    "ProcessGroup",
    "ProjectionHead",
    "Saved",
    "Schedule",
    "TrainConfig",
    "adapt_norms",
    "changed",
    "compiled",
    "content_digest",
    "device_name",
    "four_conv",
    "learning_rate",
    "load_encoder",
    "make_optimizer",
    "multiplies_bf16",
    "preset",
    "processes",
    "requested",
    "resnet18",
    "resolve_device",
    "save_encoder",
    "seeded",
    "shard",
    "step_seed",
    "supports_bf16",
    "sync_buffers",
    "train",
    "two_conv",
]
