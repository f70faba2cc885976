"""The order of the rows in one batch of views, on which norm layers and losses rely.

Rows are ordered (group, view, image): group *k* holds both views of its images, contiguously.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError


@dataclass(frozen=True)
class Layout:
    """Order of the rows of one batch of ``2 * num_images`` views.

    Attributes:
        num_images: N, images a step.
        groups: G contiguous groups of N / G images.
        shuffle_views: second views sit in other groups than first ones, so that no group holds
            both views of an image. They move by half a batch, block by block: those of one group
            stay together. (MoCo's shuffling BN, arXiv 1911.05722 section 3.3, deals them at
            random.)
    """

    num_images: int
    groups: int = 1
    shuffle_views: bool = False

    def __post_init__(self) -> None:
        if self.groups < 1 or self.num_images % self.groups:
            raise InputError(
                f"N = {self.num_images} images do not divide into K = {self.groups} equal groups; "
                f"choose a batch size that is a multiple of {self.groups}"
            )

    def rows(self, per_image_0: Tensor, per_image_1: Tensor) -> Tensor:
        """Arrange two ``(N, ...)`` tensors, one per view, as ``(2N, ...)`` rows."""
        if self.shuffle_views:
            per_image_1 = per_image_1.roll(self.num_images // 2, 0)
        shape = (self.groups, self.num_images // self.groups, *per_image_0.shape[1:])
        return torch.stack([per_image_0.view(shape), per_image_1.view(shape)], 1).flatten(0, 2)

    def views(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Undo :meth:`rows`: the two ``(N, ...)`` tensors in image order."""
        shape = (self.groups, 2, self.num_images // self.groups, *rows.shape[1:])
        both = rows.view(shape)
        first, second = both[:, 0].flatten(0, 1), both[:, 1].flatten(0, 1)
        if self.shuffle_views:
            second = second.roll(-(self.num_images // 2), 0)
        return first, second
