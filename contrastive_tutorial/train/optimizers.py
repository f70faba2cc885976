"""Optimisers by name, and the learning rate over a run."""

from __future__ import annotations

import math

import torch
from torch import nn

from contrastive_tutorial.train.presets import Schedule

#: Layers whose weight and bias scale and shift, whatever their shape.
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def make_optimizer(model: nn.Module, config: Schedule) -> torch.optim.Optimizer:
    """The optimiser that ``config.optimizer`` names; weight decay spares biases and norm layers.

    By kind of layer and not by shape: the affines of domain-specific BN, one for each subset, form
    a matrix ``(K, C)``, and their cell would otherwise differ from the others by its decay too.

    All are torch's, with their fused kernels; ``sgd`` has momentum 0.9 (not Nesterov's).
    """
    norms = {
        id(p) for m in model.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    spared = [p for p in trained if p.ndim <= 1 or id(p) in norms]
    groups = [
        {
            "params": [p for p in trained if p.ndim > 1 and id(p) not in norms],
            "weight_decay": config.weight_decay,
        },
        {"params": spared, "weight_decay": 0.0},
    ]
    fused = next(model.parameters()).device.type in ("cuda", "cpu")
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, fused=fused)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    return kind(groups, lr=config.lr, fused=fused)


def learning_rate(config: Schedule, step: int) -> float:
    """Of one step: a linear warm-up, then a cosine to zero at the end of the run.

    The warm-up takes whole steps, ``config.warmup`` of all of them, rounded; its last step has the
    peak rate.

    In closed form, because torch's ``CosineAnnealingLR`` multiplies each rate into the next: its
    last bits depend on the way, and a resumed run would have to be told of it.
    """
    warmup = round(config.warmup * config.steps)
    if step < warmup:
        return config.lr * ((step + 1) / warmup)
    done = (step - warmup) / max(config.steps - warmup, 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))
