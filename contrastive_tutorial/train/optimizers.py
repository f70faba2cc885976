"""Optimisers by name, and the learning rate over a run."""

from __future__ import annotations

import math

import torch
from torch import nn

from contrastive_tutorial.train.presets import Schedule


def make_optimizer(model: nn.Module, config: Schedule) -> torch.optim.Optimizer:
    """The optimiser that ``config.optimizer`` names; weight decay on matrices only.

    Biases and norm affines are vectors and spared. The affines of domain-specific BN, one for each
    subset, form a matrix ``(K, C)`` and are not.

    All are torch's, with their fused kernels; ``sgd`` has momentum 0.9 (not Nesterov's).
    """
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    fused = next(model.parameters()).device.type in ("cuda", "cpu")
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, fused=fused)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(groups, lr=config.lr, fused=fused)


def learning_rate(config: Schedule, step: int) -> float:
    """Of one step: a linear warm-up, then a cosine to zero at the end of the run.

    In closed form, because torch's ``CosineAnnealingLR`` multiplies each rate into the next: its
    last bits depend on the way, and a resumed run would have to be told of it.
    """
    warmup = config.warmup * config.steps
    if step < warmup:
        return config.lr * (step + 1) / warmup
    done = (step - warmup) / max(config.steps - warmup, 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))
