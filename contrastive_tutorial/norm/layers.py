"""Normalisation layers whose batch is made of K groups, and Batch Renormalization.

In training a batch is ordered so that its K subsets are equal-sized groups of rows; a layer needs
to be told K once, not a subset id per row. :class:`SplitBatchNorm2d` keeps statistics per subset,
:class:`GhostBatchNorm2d` normalises in groups but remembers one set of statistics,
:class:`SubsetAffineBatchNorm2d` shares the statistics and separates the affine, and
:class:`BatchRenorm2d` ties the batch's statistics to the running ones.

PyTorch's conventions hold throughout: the biased variance normalises the batch, the unbiased one
enters ``running_var``; ``running = (1 - momentum) * running + momentum * batch``; ``momentum=None``
is the cumulative average. Under autocast, inputs may be half precision while statistics and affine
stay float32.

**Other tools.** The layers are of PyTorch's ``_BatchNorm`` family, so ``swa_utils.update_bn``,
loops that freeze BN, and filters that spare norms by type include them. What would rebuild them as
another layer, such as ``SyncBatchNorm.convert_sync_batchnorm``, gets an InputError: it cannot keep
a table of statistics. Filters that go by the number of dimensions (timm) take the ``(K, C)`` affine
for a matrix: name it to them. Activation checkpointing recomputes a forward; unlike PyTorch's
layers, these do not count it twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.grouped import GroupedBatchNorm, positive_int
from contrastive_tutorial.norm.kernels import is_recomputed, shuffled_order


def _fixed_subsets(num_features: int, num_subsets: int, grouping: str) -> int:
    """K, after checking what a layer with a branch for each subset can be asked for."""
    positive_int("num_features", num_features)
    if grouping == "shuffled":
        raise InputError(
            "grouping: subsets are fixed, so expected 'contiguous' or 'interleaved', got "
            "'shuffled'; GhostBatchNorm2d has random groups"
        )
    return positive_int("num_subsets", num_subsets)


class SplitBatchNorm2d(GroupedBatchNorm):
    """Batch Normalization with separate statistics for each of K subsets.

    **Training.** The batch ``(N, C, H, W)`` holds K equal groups; group k is normalised by its own
    mean and variance and moves row k of ``running_mean`` and ``running_var``, both ``(K, C)``. This
    is what K data-parallel processes with local BN compute, one group each.

    **Evaluation.** A test image has no subset. ``model.eval()`` uses the *pooled* statistics: the
    mean of the branch means, and by the law of total variance the mean of the branch variances
    plus the variance of the branch means (a split affine is averaged).
    :func:`~contrastive_tutorial.norm.evaluation_statistics` offers the alternatives.

    Which rows form a group is a convention on which published code disagrees: ``contiguous`` blocks
    (timm) or ``interleaved``, row i in group i mod K (the MoCo and lightly demos, whose
    ``view(-1, C * K, H, W)`` has this effect). A batch built as ``cat([view0, view1])`` and split
    contiguously is split *by view*: order rows (subset, view, sample) instead.

    Args:
        num_features: C.
        num_subsets: K.
        affine: ``"shared"`` (one weight and bias, ``(C,)``), ``"split"`` (one per subset,
            ``(K, C)``: domain-specific BN, Chang et al. 2019, arXiv 1906.03950) or ``None``.
        grouping: ``"contiguous"`` or ``"interleaved"``.
        eps: added to the variance.
        momentum: weight of the batch in the running statistics; ``None`` for their plain average.
        options: ``device`` and ``dtype``, as ``nn.BatchNorm2d`` takes them.

    Raises:
        InputError: for values outside these; in ``forward`` for a batch that does not divide by K.
    """

    def __init__(
        self,
        num_features: int,
        num_subsets: int,
        affine: str | None = "shared",
        grouping: str = "contiguous",
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        **options: Any,
    ):
        k = _fixed_subsets(num_features, num_subsets, grouping)
        super().__init__(num_features, k, k, affine, grouping, eps, momentum, **options)


class SplitBatchNorm1d(SplitBatchNorm2d):
    """:class:`SplitBatchNorm2d` for ``(N, C)`` or ``(N, C, L)``."""

    dims = (2, 3)


class SubsetAffineBatchNorm2d(GroupedBatchNorm):
    """Batch Normalization with one mean and variance, but a weight and bias per subset.

    The control that isolates the affine half of domain-specific BN: statistics over the whole batch
    ``(N, C, H, W)``, running statistics ``(C,)``; group k is scaled and shifted by row k of
    ``weight`` and ``bias``, both ``(K, C)``. In evaluation the affine is averaged over subsets,
    unless :func:`~contrastive_tutorial.norm.evaluation_statistics` names a branch.

    Args:
        num_features: C.
        num_subsets: K.
        grouping: ``"contiguous"`` or ``"interleaved"``, as in :class:`SplitBatchNorm2d`.
        eps, momentum, options: as in :class:`SplitBatchNorm2d`.

    Raises:
        InputError: as :class:`SplitBatchNorm2d`.
    """

    pooled = True

    def __init__(
        self,
        num_features: int,
        num_subsets: int,
        grouping: str = "contiguous",
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        **options: Any,
    ):
        k = _fixed_subsets(num_features, num_subsets, grouping)
        super().__init__(num_features, k, 0, "split", grouping, eps, momentum, **options)


class SubsetAffineBatchNorm1d(SubsetAffineBatchNorm2d):
    """:class:`SubsetAffineBatchNorm2d` for ``(N, C)`` or ``(N, C, L)``."""

    dims = (2, 3)


class GhostBatchNorm2d(GroupedBatchNorm):
    """Ghost Batch Normalization: normalise in K groups, remember one set of statistics.

    Hoffer, Hubara and Soudry 2017 (arXiv 1705.08741) compute BN on small virtual batches inside a
    large one, for the noise that this adds. Weight, bias and running statistics are ``(C,)`` with
    the names of ``nn.BatchNorm2d``, so state dicts are interchangeable with it; the running
    variance averages the groups' unbiased variances.

    ``grouping`` says which rows share a group:

    * ``"contiguous"``: row blocks. Random groups need a batch in random order; rows ordered (group,
      view, sample) keep both views of an image together.
    * ``"interleaved"``: row i is in group i mod K.
    * ``"shuffled"``: drawn anew every step, the same in all layers of a network (as K workers would
      have), a function of ``num_batches_tracked``. ``views=1`` deals single rows, so that the
      views of an image mostly part. ``views=V`` reads the batch as (block, view, sample), the
      order in which the package trains, and deals whole images: all V views of an image stay
      together.

    Whether both views of an image share a group matters in contrastive learning: statistics that
    the two alone share are a clue that identifies the positive (He et al. 2020, arXiv 1911.05722,
    section 3.3, "shuffling BN").

    Args:
        num_features: C.
        num_groups: K, with the batch divisible by K (and by K times ``views`` when shuffled).
        grouping: see above.
        views: rows of one image that shuffled groups keep together.
        affine: whether there are weight and bias.
        eps, momentum, options: as in :class:`SplitBatchNorm2d`.

    Raises:
        InputError: as :class:`SplitBatchNorm2d`.
    """

    def __init__(
        self,
        num_features: int,
        num_groups: int,
        grouping: str = "contiguous",
        views: int = 1,
        affine: bool = True,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        **options: Any,
    ):
        positive_int("num_features", num_features)
        k = positive_int("num_groups", num_groups)
        shared = "shared" if affine else None
        super().__init__(num_features, k, 0, shared, grouping, eps, momentum, **options)
        self.views = positive_int("views", views)

    def check_groups(self, x: Tensor) -> None:
        """As the base class; shuffled groups of whole images need K times ``views`` to divide."""
        super().check_groups(x)
        if self.grouping == "shuffled" and x.shape[0] % (self.num_groups * self.views):
            raise InputError(
                f"x: a batch of N = {x.shape[0]} rows does not divide into K = {self.num_groups} "
                f"groups of images with {self.views} views each; use a multiple of "
                f"{self.num_groups * self.views} rows"
            )

    def order(self, batch: int) -> Tensor | None:
        """This step's permutation of the rows, if groups are shuffled."""
        if self.grouping != "shuffled":
            return None
        if is_recomputed():
            raise InputError(
                "grouping: shuffled groups are drawn anew by every forward, so a recomputed one "
                "would differ from the first; take 'contiguous', or leave the layer out of the "
                "activation checkpoint"
            )
        k, v = self.num_groups, self.views
        images = shuffled_order(batch // v, self.num_batches_tracked)
        # Image (block, sample) has its views in rows (block, view, sample).
        rows = torch.arange(batch, device=images.device).view(k, v, -1).transpose(1, 2)
        return rows.reshape(-1, v)[images].flatten()


class GhostBatchNorm1d(GhostBatchNorm2d):
    """:class:`GhostBatchNorm2d` for ``(N, C)`` or ``(N, C, L)``."""

    dims = (2, 3)
