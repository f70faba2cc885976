"""Subsets of the training images, and which images make up each step's batch.

A *subset* is a part of the training images. :func:`partition` deals every image to exactly one of
K subsets, stratified by class. :class:`SubsetBatches` answers "which images does step *t* see?" as
a pure function of ``(seed, step)``, so that a run resumed at step *t* sees what an uninterrupted
run would have seen, and nothing about the batches has to be checkpointed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError


def require_seed(seed: int) -> None:
    """Refuse a seed that some library in a run does not take.

    Raises:
        InputError: unless it is a whole number from 0 to 4,294,967,295.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 1 << 32:
        raise InputError(f"seed: expected 0 to 4,294,967,295, got {seed!r}")


def partition(labels: Tensor, num_subsets: int, seed: int = 0) -> Tensor:
    """Deal images to ``num_subsets`` subsets, class by class, as evenly as integers allow.

    Images of a class are shuffled and dealt round-robin; the next class goes on where the last one
    stopped, so subset sizes differ by at most one overall and by at most one within any class.

    Args:
        labels: int64 ``(N,)`` class of every image.
        num_subsets: K, at least 1 and at most N.
        seed: of the shuffle.

    Returns:
        int64 ``(N,)`` subset id in ``[0, K)`` of every image, on the device of ``labels``.

    Raises:
        InputError: if K is not in ``[1, N]``, ``labels`` is not one-dimensional, or the seed is
            none that every library takes.

    >>> partition(torch.tensor([0, 0, 1, 1]), 2).bincount().tolist()
    [2, 2]
    """
    if labels.ndim != 1:
        raise InputError(f"labels: expected shape (N,), got {tuple(labels.shape)}")
    n = len(labels)
    if not isinstance(num_subsets, (int, np.integer)) or not 1 <= num_subsets <= n:
        raise InputError(
            f"num_subsets: expected 1 to {n} (the number of images), got {num_subsets}"
        )
    require_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(n, generator=generator)
    by_class = shuffled[torch.argsort(labels.cpu()[shuffled], stable=True)]
    ids = torch.empty(n, dtype=torch.int64)
    ids[by_class] = torch.arange(n) % num_subsets
    return ids.to(labels.device)


@dataclass
class SubsetBatches:
    """Batches of image indices, sorted by subset, as a pure function of ``(seed, step)``.

    ``balanced=True`` draws ``batch_size / K`` images from every subset: row block *k* of a batch is
    subset *k*, which is the order that :class:`~contrastive_tutorial.norm.SplitBatchNorm2d`
    expects. ``balanced=False`` draws from all images alike (an ordinary shuffled loader).
    ``only_subset=k`` draws from subset *k* alone. Images are drawn without replacement until a
    subset is used up; then it is shuffled anew (a rest smaller than the draw is dropped).

    Args:
        subset_ids: int64 ``(N,)`` from :func:`partition`.
        batch_size: images a step.
        seed: of every shuffle.

    Raises:
        InputError: if ``batch_size`` does not divide by K, or exceeds what the subsets hold.
    """

    subset_ids: Tensor
    batch_size: int
    seed: int = 0
    balanced: bool = True
    only_subset: int | None = None
    _members: list[Tensor] = field(init=False, repr=False)
    _cache: dict[tuple[int, int], Tensor] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        ids = self.subset_ids.cpu()
        self.num_subsets = int(ids.max()) + 1
        if self.batch_size < 2:
            raise InputError(
                f"batch_size: a contrastive batch needs at least 2 images, got {self.batch_size}"
            )
        if self.only_subset is not None:
            if not 0 <= self.only_subset < self.num_subsets:
                raise InputError(
                    f"only_subset: expected 0 to {self.num_subsets - 1}, got {self.only_subset}"
                )
            self._members = [torch.nonzero(ids == self.only_subset).flatten()]
        elif self.balanced:
            self._members = [torch.nonzero(ids == k).flatten() for k in range(self.num_subsets)]
        else:
            self._members = [torch.arange(len(ids))]
        groups = len(self._members)
        if self.batch_size % groups:
            raise InputError(
                f"batch_size: {self.batch_size} images do not divide into K = {groups} equal "
                f"subsets; choose a multiple of {groups}"
            )
        self.per_group = self.batch_size // groups
        smallest = min(len(members) for members in self._members)
        if smallest < self.per_group:
            if groups > 1:
                asked = f"{self.per_group} images a step are asked of each of {groups} subsets, but"
                asked += f" the smallest holds {smallest}"
            else:
                asked = f"{self.per_group} images a step, but there are only {smallest}"
            fits = f"--preset NAME+batch_size={smallest * groups} fits"
            if smallest * groups < 2:
                fits = "there are too few images"
            raise InputError(
                f"batch_size: {asked}; use more images, fewer subsets, or a smaller batch: {fits}"
            )

    def _shuffled(self, group: int, epoch: int) -> Tensor:
        key = (group, epoch)
        if key not in self._cache:
            if len(self._cache) >= 4 * len(self._members):
                self._cache.clear()
            # Distinct streams per (seed, group, epoch) without a host-side random state to save.
            stream = (self.seed * 1_000_003 + group) * 1_000_003 + epoch
            generator = torch.Generator().manual_seed(stream % (1 << 63))
            members = self._members[group]
            self._cache[key] = members[torch.randperm(len(members), generator=generator)]
        return self._cache[key]

    def indices(self, step: int) -> Tensor:
        """int64 ``(batch_size,)`` image indices of ``step`` on the CPU, subset by subset."""
        parts = []
        for group, members in enumerate(self._members):
            epoch, position = divmod(step, len(members) // self.per_group)
            start = position * self.per_group
            parts.append(self._shuffled(group, epoch)[start : start + self.per_group])
        return torch.cat(parts)
