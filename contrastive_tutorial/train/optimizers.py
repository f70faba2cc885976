"""Optimisers by name, and the learning rate over a run."""

from __future__ import annotations

import math

import torch
from torch import nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.train.presets import OPTIMIZERS, Schedule

__all__ = ["OPTIMIZERS", "Schedule", "learning_rate", "make_optimizer"]


def make_optimizer(model: nn.Module, config: Schedule) -> torch.optim.Optimizer:
    """The optimiser that ``config.optimizer`` names; weight decay on matrices only.

    Biases and norm affines are vectors and spared. The affines of domain-specific BN, one for each
    subset, form a matrix ``(K, C)`` and are not.

    ``adam``, ``adamw``, ``sgd`` and ``nesterov`` (SGD with momentum 0.9) are torch's fused
    kernels. ``lars`` (You et al. 2017, arXiv 1708.03888; trust coefficient 0.001, momentum 0.9) is
    timm's: biases and norm affines take plain momentum steps, as in SimCLR.

    Raises:
        InputError: if ``lars`` is asked for and timm is not installed.
    """
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    fused = next(model.parameters()).device.type in ("cuda", "cpu")
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=config.lr, fused=fused)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, fused=fused)
    if config.optimizer == "lars":
        try:
            from timm.optim import Lars
        except ModuleNotFoundError as error:
            raise InputError(
                "optimizer: 'lars' is timm's; install it with `pip install timm`, or use 'sgd'"
            ) from error
        return Lars(groups, lr=config.lr, momentum=0.9)
    nesterov = config.optimizer == "nesterov"
    return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=nesterov, fused=fused)


def learning_rate(config: Schedule, step: int) -> float:
    """Of one step: a linear warm-up, then a cosine to zero at the end of the run."""
    warmup = config.warmup * config.steps
    if step < warmup:
        return config.lr * (step + 1) / warmup
    done = (step - warmup) / max(config.steps - warmup, 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))
