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
import torch.nn.functional as F
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm.kernels import (
    grouped_normalize,
    is_recomputed,
    normalize_by_domain,
    pool_moments,
    shuffled_order,
)

GROUPINGS = ("contiguous", "interleaved", "shuffled")
AFFINES = ("shared", "split", None)


def _positive_int(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name}: expected an integer of at least 1, got {value!r}")
    return value


def _fixed_subsets(num_features: int, num_subsets: int, grouping: str) -> int:
    """K, after checking what a layer with a branch for each subset can be asked for."""
    _positive_int("num_features", num_features)
    if grouping == "shuffled":
        raise InputError(
            "grouping: subsets are fixed, so expected 'contiguous' or 'interleaved', got "
            "'shuffled'; GhostBatchNorm2d has random groups"
        )
    return _positive_int("num_subsets", num_subsets)


def check_shape(x: Tensor, dims: tuple[int, ...], num_features: int) -> None:
    """Raise :class:`InputError` unless ``x`` is floating point, ``(N, num_features, ...)``."""
    if x.ndim not in dims or x.shape[1] != num_features:
        raise InputError(
            f"x: expected {' or '.join(map(str, dims))} dimensions (N, C, ...) with "
            f"C = {num_features} channels, got shape {tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise InputError(
            f"x: expected floating point values, got {x.dtype}; convert with x.float()"
        )


def has_activation_inside(layer: nn.Module) -> bool:
    """Whether ``layer`` is timm's Batch Normalization with dropout and activation inside."""
    kind = type(layer)
    return kind.__name__ == "BatchNormAct2d" and kind.__module__.startswith("timm.")


def drop_and_activate(layer: Any, args: Any, y: Tensor) -> Any:
    """A forward hook: what timm's layer does after normalising."""
    return layer.act(layer.drop(y))


class OwnBatchNorm(nn.modules.batchnorm._BatchNorm):
    """A norm layer of this package, known to other tools as one of PyTorch's BN family."""

    dims: tuple[int, ...] = (4,)
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    _load_from_state_dict = nn.Module._load_from_state_dict  # there are no old versions to mend

    @property
    def track_running_stats(self) -> bool:  # type: ignore[override]
        """Read by tools that put another layer in place of a ``_BatchNorm``, and by ``torch.jit``.

        Raises:
            InputError: always; that layer could not keep what this one has learned.
        """
        raise InputError(
            f"{type(self).__name__}: plain BN cannot keep its statistics, so other tools "
            "(SyncBatchNorm, timm's and lightly's converters, torch.func's replacement, torch.jit) "
            "must not put that in its place; call convert_norm(model, 'bn') first, which pools "
            "them, or leave these layers out"
        )

    def check_shape(self, x: Tensor) -> None:
        """Raise :class:`InputError` unless ``x`` has this layer's dimensions and channels."""
        check_shape(x, self.dims, self.num_features)


class GroupedBatchNorm(OwnBatchNorm):
    """What the K-group layers have in common: arguments, buffers, checks, evaluation.

    ``num_groups`` is K; ``branches`` is the number of ways in which the layer can treat a row in
    evaluation (K, or 1 where nothing is kept per subset). ``domain`` is what
    :func:`~contrastive_tutorial.norm.domains` sets: the subset of every row, for the time being.
    """

    affine: Any  # "shared", "split" or None
    pooled = False  # whether all groups share one mean and variance in training
    domain: Tensor | None = None

    def __init__(
        self,
        num_features: int,
        num_groups: int,
        statistics: int,
        affine: str | None,
        grouping: str,
        eps: float,
        momentum: float | None,
        device: Any,
        dtype: Any,
    ):
        nn.Module.__init__(self)
        if affine not in AFFINES:
            raise InputError(f"affine: expected 'shared', 'split' or None, got {affine!r}")
        if grouping not in GROUPINGS:
            raise InputError(f"grouping: expected one of {GROUPINGS}, got {grouping!r}")
        self.num_features, self.num_groups = num_features, num_groups
        self.affine, self.grouping, self.eps, self.momentum = affine, grouping, eps, momentum
        kind = {"device": device, "dtype": dtype}
        if affine is None:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)
        else:
            shape = (num_groups, num_features) if affine == "split" else (num_features,)
            self.weight = nn.Parameter(torch.ones(shape, **kind))
            self.bias = nn.Parameter(torch.zeros(shape, **kind))
        shape = (statistics, num_features) if statistics else (num_features,)
        self.register_buffer("running_mean", torch.zeros(shape, **kind))
        self.register_buffer("running_var", torch.ones(shape, **kind))
        self.register_buffer(
            "num_batches_tracked", torch.zeros((), dtype=torch.int64, device=device)
        )

    @property
    def branches(self) -> int:
        """Number of branches of the evaluation menu."""
        return self.num_groups if self.affine == "split" or self.running_mean.ndim == 2 else 1

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, no batches seen."""
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def check_groups(self, x: Tensor) -> None:
        """Raise :class:`InputError` unless ``x`` divides into groups that have a variance."""
        k = self.num_groups
        if x.shape[0] % k:
            raise InputError(
                f"x: a batch of N = {x.shape[0]} rows does not divide into K = {k} equal groups; "
                f"use a batch size that is a multiple of {k}"
            )
        if x.numel() <= (1 if self.pooled else k) * self.num_features:
            raise InputError(
                f"x: shape {tuple(x.shape)} in K = {k} groups leaves at most one value per channel "
                "and group, which has no variance; use a larger batch or fewer groups"
            )

    def order(self, batch: int) -> Tensor | None:
        """Row order of this step's groups; ``None`` where the grouping is fixed."""
        return None

    def check_domain(self, x: Tensor, domain: Tensor) -> None:
        """Raise :class:`InputError` unless ``domain`` names a subset for every row of ``x``.

        Its values are looked at on a CPU only: on another device that would wait for it.
        """
        k = self.num_groups
        if self.branches == 1 and k > 1:
            raise InputError(
                f"domain: {type(self).__name__} keeps nothing per subset; only split, dsbn and "
                "affine layers take it"
            )
        if domain.dtype != torch.int64 or domain.shape != x.shape[:1]:
            raise InputError(
                f"domain: expected int64 of shape ({x.shape[0]},), the subset of every row, got "
                f"{domain.dtype} of shape {tuple(domain.shape)}"
            )
        if domain.device.type != "cpu" or torch.compiler.is_compiling():
            return
        counts = torch.bincount(domain - domain.min().clamp_max(0), minlength=k)
        if domain.min() < 0 or len(counts) > k:
            raise InputError(
                f"domain: expected subsets from 0 to {k - 1}, got {int(domain.min())} to "
                f"{int(domain.max())}"
            )
        counts = counts.sum()[None] if self.pooled else counts
        if self.training and bool((counts * (x[0].numel() // self.num_features) == 1).any()):
            raise InputError(
                f"domain: a subset with one value per channel in x of shape {tuple(x.shape)} has "
                "no variance; give it two rows, or none"
            )

    def _affine_rows(self) -> tuple[Tensor | None, Tensor | None]:
        return (
            (None, None)
            if self.weight is None
            else (
                self.weight.view(-1, self.num_features),
                self.bias.view(-1, self.num_features),
            )
        )

    def normalize(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training output of ``x``; its means and biased variances ``(K or 1, C)``, by group."""
        self.check_groups(x)
        return grouped_normalize(
            x,
            *self._affine_rows(),
            self.num_groups,
            self.pooled,
            self.grouping,
            self.order(x.shape[0]),
            self.eps,
        )

    @torch.no_grad()
    def update_running(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Fold means and biased variances ``(K or 1, C)`` of ``count`` values each into ours."""
        if is_recomputed():
            return
        self.num_batches_tracked.add_(1)
        if self.momentum is None:
            factor: Tensor | float = 1 / self.num_batches_tracked.to(self.running_mean.dtype)
        else:
            factor = self.momentum
        var = var * (count / (count - 1))
        if self.running_mean.ndim == 1:
            # One set of statistics: the average over groups. For groups of the same distribution
            # the mean of unbiased variances is unbiased too.
            mean, var = mean.mean(0), var.mean(0)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), factor)
        self.running_var.lerp_(var.to(self.running_var.dtype), factor)

    def _train_by_domain(self, x: Tensor, domain: Tensor) -> Tensor:
        if self.momentum is None:
            raise InputError(
                "domain: momentum=None averages over batches, but a subset may be absent from some "
                "of them; give the layer a momentum"
            )
        y, mean, var, count = normalize_by_domain(
            x, *self._affine_rows(), domain, self.num_groups, self.pooled, self.eps
        )
        if not is_recomputed():
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                # A subset without rows stays where it was.
                factor = (self.momentum * (count > 0)).expand_as(mean)
                var = var * (count / (count - 1).clamp_min(1))
                for running, now in ((self.running_mean, mean), (self.running_var, var)):
                    table = running.view_as(now)
                    table.lerp_(now.to(table.dtype), factor.to(table.dtype))
        return y

    def through_branches(self, x: Tensor, domain: Tensor) -> Tensor:
        """Evaluation of every row of ``x`` by the statistics and affine of its subset ``(N,)``."""
        weight, bias = self._affine_rows()
        mean, var = (t.view(-1, self.num_features) for t in (self.running_mean, self.running_var))
        scale = torch.rsqrt(var + self.eps)
        if weight is not None:
            scale = scale * weight
        shift = -mean * scale
        if bias is not None:
            shift = shift + bias
        shape = (x.shape[0], self.num_features) + (1,) * (x.ndim - 2)
        a, b = (
            t.expand(self.num_groups, self.num_features)[domain].view(shape) for t in (scale, shift)
        )
        return torch.addcmul(b, x.to(a.dtype), a).to(x.dtype)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Running mean and variance ``(C,)`` of all subsets together (law of total variance)."""
        if self.running_mean.ndim == 1:
            return self.running_mean, self.running_var
        return pool_moments(self.running_mean, self.running_var, dim=0)

    def mean_affine(self) -> tuple[Tensor | None, Tensor | None]:
        """Weight and bias ``(C,)`` for a row of no known subset: their average over subsets."""
        if self.weight is None or self.weight.ndim == 1:
            return self.weight, self.bias
        return self.weight.mean(0), self.bias.mean(0)

    def forward(self, x: Tensor, domain: Tensor | None = None) -> Tensor:
        """Normalise ``x``; the class says what training and evaluation mean.

        Args:
            x: ``(N, C, H, W)``; of the 1d layers ``(N, C)`` or ``(N, C, L)``. Floating point.
            domain: int64 ``(N,)``, the subset of every row, from 0 to K - 1 and in any order.
                Without it a training batch is K equal groups, and a row in evaluation has no
                subset. With it subsets may differ in size: in training each is normalised by its
                own moments, as K ``nn.BatchNorm2d`` would do it, and one without rows keeps its
                statistics; in evaluation each row goes through its own branch. To reach the layers
                inside a model: :func:`~contrastive_tutorial.norm.domains`.

        Raises:
            InputError: for wrong dimensions or channels; in training, if the batch does not divide
                by the number of groups, or a group has one value per channel; for a ``domain`` of
                another type or shape, out of range, or of a layer that has no subsets.
        """
        self.check_shape(x)
        domain = self.domain if domain is None else domain
        if domain is not None:
            self.check_domain(x, domain)
            return (
                self._train_by_domain(x, domain)
                if self.training
                else self.through_branches(x, domain)
            )
        if not self.training:
            return F.batch_norm(x, *self.moments(), *self.mean_affine(), False, 0.0, self.eps)
        y, mean, var = self.normalize(x)
        self.update_running(mean, var, x.numel() // mean.numel())
        return y

    def extra_repr(self) -> str:
        """The arguments, for ``print(model)``."""
        return (
            f"{self.num_features}, {self.num_groups}, affine={self.affine!r}, "
            f"grouping={self.grouping!r}, eps={self.eps}, momentum={self.momentum}"
        )


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
        device: Any = None,
        dtype: Any = None,
    ):
        k = _fixed_subsets(num_features, num_subsets, grouping)
        super().__init__(num_features, k, k, affine, grouping, eps, momentum, device, dtype)


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
        eps, momentum: as in :class:`SplitBatchNorm2d`.

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
        device: Any = None,
        dtype: Any = None,
    ):
        k = _fixed_subsets(num_features, num_subsets, grouping)
        super().__init__(num_features, k, 0, "split", grouping, eps, momentum, device, dtype)


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
        eps, momentum: as in :class:`SplitBatchNorm2d`.

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
        device: Any = None,
        dtype: Any = None,
    ):
        _positive_int("num_features", num_features)
        k = _positive_int("num_groups", num_groups)
        shared = "shared" if affine else None
        super().__init__(num_features, k, 0, shared, grouping, eps, momentum, device, dtype)
        self.views = _positive_int("views", views)

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
