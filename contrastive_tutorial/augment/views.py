"""Views in two lines, for those who bring a training loop of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from contrastive_tutorial.augment.arithmetic import apply
from contrastive_tutorial.augment.params import sample
from contrastive_tutorial.augment.policies import DEFAULT_POLICY, Policy
from contrastive_tutorial.errors import InputError


def two_views(
    images: Tensor, policy: Policy = DEFAULT_POLICY, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Two views of every image, drawn from one policy independently of each other.

    Args:
        images: uint8 in 0..255 or floating point in [0, 1], `(B, 3, S, S)`.
        policy: what may be drawn; SimCLR's recipe for CIFAR-10 unless told otherwise.
        generator: random numbers, on the device of `images`; torch's default generator if None.

    Returns:
        The first and the second views, float32 `(B, 3, S, S)` in [0, 1]; row i of both shows
        image i.

    Raises:
        InputError: as :func:`sample` and :func:`apply`.

    >>> images = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8)
    >>> first, second = two_views(images)
    >>> first.shape, bool((first != second).any())
    (torch.Size([8, 3, 32, 32]), True)
    """
    _check_batch(images)
    first, second = Augment(policy, generator)(torch.cat([images, images])).chunk(2)
    return first, second


class Augment(nn.Module):
    """One view of every image: :func:`sample` and :func:`apply` of one policy, as a module.

    It augments in evaluation too, as the transforms of torchvision do: leave it out of the model.
    `torch.compile` makes one piece of draws and steps, and draws numbers of its own: under it, the
    same seed gives other views. It cannot take a generator into that piece.

    Args:
        policy: what may be drawn.
        generator: random numbers, on the device of the images; torch's default generator if None.
    """

    def __init__(
        self, policy: Policy = DEFAULT_POLICY, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.policy, self.generator = policy, generator

    def forward(self, images: Tensor) -> Tensor:
        """float32 views `(B, 3, S, S)` of images as :func:`apply` takes them."""
        _check_batch(images)
        ids = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        params = sample((self.policy,), ids, self.generator, size=images.shape[-1])
        return apply(images, params)

    def extra_repr(self) -> str:
        """The policy, for ``repr``."""
        return repr(self.policy)


def _check_batch(images: Tensor) -> None:
    square = isinstance(images, Tensor) and images.ndim == 4 and images.shape[1] == 3
    if not square or images.shape[2] != images.shape[3]:
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise InputError(f"images must be a tensor of shape (B, 3, S, S), got {got}")
