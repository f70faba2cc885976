"""Thirty points of three classes that learn in the page, by a loss that the reader chooses.

``Sandbox`` packs ``static/sandbox.js`` and a start into one piece of HTML that needs neither kernel
nor network. The points are the outputs of a linear network with two outputs; the reader trains the
network, or frees the points from it. The losses are the package's, of squared distances.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from contrastive_tutorial import losses
from contrastive_tutorial.report import style
from contrastive_tutorial.widgets import fragment

_INPUTS, _EACH, _CLASSES = 8, 10, 3


def info_nce_of_distances(points: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Mean over pairs of a class: pick the friend among all strangers by -distance²/temperature.

    Args:
        points: ``(N, D)``, floating.
        classes: ``(N,)``, at least two of a class and two classes.
        temperature: positive.
    """
    logits = -(points[:, None] - points).square().sum(-1) / temperature
    same = classes[:, None] == classes
    strangers = torch.logsumexp(logits.masked_fill(same, -torch.inf), 1)[:, None]
    pairs = same & ~torch.eye(len(points), dtype=torch.bool)
    return (torch.logaddexp(strangers, logits) - logits)[pairs].mean()


_LOSSES = {
    "batch-hard": losses.batch_hard_triplet_loss,
    "batch-all": losses.batch_all_triplet_loss,
    "semi-hard": losses.semi_hard_triplet_loss,
    "InfoNCE": None,
}


class Sandbox(fragment.Piece):
    """A plane of points in the reader's browser: choose a loss, train, drag.

    It opens on hardest negatives and a linear network.

    Args:
        seed: of inputs and weights.

    Attributes:
        points: ``(30, 2)`` float64, where the points stand at first.
        classes: ``(30,)`` int64.
        html: the self-contained piece of HTML.
        summary: the start in words.
    """

    title = "Points that learn"

    def __init__(self, seed: int = 0) -> None:
        loss, margin, temperature = "batch-hard", 0.2, 0.5
        generator = torch.Generator().manual_seed(seed)
        self.classes = torch.arange(_CLASSES * _EACH) % _CLASSES
        angle = 2 * math.pi * self.classes.double() / _CLASSES
        inputs = torch.randn(len(angle), _INPUTS, generator=generator, dtype=torch.float64)
        inputs[:, :2] += 1.5 * torch.stack([angle.cos(), angle.sin()], 1)
        weights = torch.randn(2, _INPUTS, generator=generator, dtype=torch.float64)
        weights /= torch.pdist(inputs @ weights.T).mean()  # points are one apart in the mean
        self.points = inputs @ weights.T
        reached = self.loss(loss, self.points, margin, temperature)
        self.summary = fragment.clean(
            f"{self.title}: {len(self.points)} points of {_CLASSES} classes, {loss}, "
            f"loss {float(reached):.3f}, mean distance {float(torch.pdist(self.points).mean()):.2f}"
        )
        state = {
            "title": self.title,
            "classes": self.classes.tolist(),
            "inputs": inputs.tolist(),
            "weights": weights.tolist(),
            "loss": loss,
            "learns": "a linear network",
            "margin": margin,
            "tau": temperature,
        }
        self.html = fragment.fragment("sandbox", state, self.summary, self.still(340))

    def loss(self, name: str, points: Tensor, margin: float, temperature: float) -> Tensor:
        """The package's loss of ``points`` ``(30, 2)``: what the page minimises."""
        mining = _LOSSES[name]
        if mining is None:
            return info_nce_of_distances(points, self.classes, temperature)
        return mining(points, self.classes, margin, distance="squared")

    @functools.cached_property
    def png(self) -> bytes:
        """The points where they start."""
        import matplotlib.pyplot as plt

        fig, ax = plt.subplots(figsize=(3.6, 3.6))
        for k in range(_CLASSES):
            ax.plot(*self.points[self.classes == k].T, style.MARKERS[k], color=style.PALETTE[k])
        ax.set(aspect="equal", xticks=[], yticks=[], title=self.title)
        return fragment.png_of(fig, 100)
