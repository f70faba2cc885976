"""A cell's batches and loss: which policy each view gets, how rows are ordered, who is a negative.

Rows of a batch of views are ordered (group, view, image): group *k* holds both views of its
images, contiguously. For a cell with subsets the groups are the subsets, which is the order that
the norm layers rely on; for a plain cell there is one group.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace

import torch
from torch import Tensor

from contrastive_tutorial import augment
from contrastive_tutorial.augment import (
    DEFAULT_POLICY,
    JITTERED_POLICIES,
    POLICIES,
    SHIFTED_POLICIES,
    Policy,
)
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import nt_xent
from contrastive_tutorial.study.cells import Cell
from contrastive_tutorial.train import Layout

_TABLES = {
    "P1": POLICIES, "P-rand": POLICIES, "P-img": POLICIES,
    "P1c": SHIFTED_POLICIES, "P1j": JITTERED_POLICIES,
}  # fmt: skip


def layout(cell: Cell, num_images: int, num_subsets: int) -> Layout:
    """The row order of a cell's training batches.

    Raises:
        InputError: if the images do not divide into the cell's groups, or leave an image alone
            among negatives that it needs.
    """
    if cell.group_size is not None:
        if num_images % cell.group_size:
            raise InputError(
                f"N = {num_images} images do not divide into groups of {cell.group_size}"
            )
        return Layout(num_images, num_images // cell.group_size, cell.shuffle_views)
    if cell.negatives == "within" and cell.balanced and num_images == num_subsets:
        raise InputError(
            f"N = {num_images} images in K = {num_subsets} subsets leave one image a subset, which "
            "has no negatives within it; use fewer subsets or a larger batch"
        )
    return Layout(num_images, num_subsets if cell.balanced else 1, cell.shuffle_views)


def policies(cell: Cell) -> tuple[Policy, ...]:
    """The table of policies that a cell draws from: its own ``recipes``, if it has any."""
    if own := getattr(cell, "recipes", ()):
        return tuple(own)
    if cell.policy in _TABLES:
        return _TABLES[cell.policy]
    if cell.grayscale is None:
        return (DEFAULT_POLICY,)
    return (replace(DEFAULT_POLICY, grayscale=cell.grayscale),)


def policies_hash(cell: Cell) -> str:
    """Of every value in the table of policies that a cell draws from: 16 hexadecimal digits."""
    text = json.dumps([asdict(policy) for policy in policies(cell)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def policy_ids(
    cell: Cell, subsets: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Policy id of the first and the second view of every image.

    Args:
        cell: its ``policy`` rule decides.
        subsets: int64 ``(N,)`` subset of every image of the batch. Under ``"P1"`` subset *k* has
            policy *k* modulo their number.
        generator: for the random rules, on the device of ``subsets``.

    Returns:
        Two int64 ``(N,)`` tensors that index :func:`policies`.
    """
    count = len(POLICIES)
    if cell.policy in ("P0", "P0-shared"):
        ids = torch.zeros_like(subsets)
        return ids, ids
    if cell.policy in ("P1", "P1c", "P1j"):
        ids = subsets % len(policies(cell))
        return ids, ids

    def draw() -> Tensor:
        return torch.randint(
            count, subsets.shape, generator=generator, device=subsets.device, dtype=torch.int64
        )

    first = draw()
    return (first, first) if cell.policy == "P-img" else (first, draw())


def share_colours(params: augment.Params, order: Layout) -> augment.Params:
    """Parameters ``(2N,)`` in which second views have the colours of the first ones."""
    first, _ = order.views(torch.arange(len(params), device=params.top.device))
    return params.with_colours_of(order.rows(first, first))


def make_views(
    images: Tensor,
    subsets: Tensor,
    cell: Cell,
    order: Layout,
    generator: torch.Generator | None,
    rows: Tensor | None = None,
    apply: Callable[..., Tensor] = augment.apply,
) -> Tensor:
    """Both augmented views of a batch in one pass: float32 ``(2N, 3, H, W)`` in layout order.

    In ``channels_last``, as the networks take them.

    Args:
        images: uint8 ``(N, 3, H, W)``, sorted by subset when the cell has subsets.
        subsets: int64 ``(N,)``.
        cell: decides the policies.
        order: of the rows.
        generator: on the device of ``images``.
        rows: only these of the 2N rows; they are the same views as without it.
        apply: :func:`augment.apply <contrastive_tutorial.augment.apply>`, or it compiled.
    """
    first, second = policy_ids(cell, subsets, generator)
    ids = order.rows(first, second)
    params = augment.sample(policies(cell), ids, generator, images.shape[-1])
    if cell.policy == "P0-shared":
        params = share_colours(params, order)
    twice = order.rows(images, images)
    if rows is not None:
        twice, params = twice[rows], params[rows]
    return apply(twice, params, memory_format=torch.channels_last)


def require_one_pass(cell: Cell, passes: int) -> None:
    """Refuse two forward passes for a cell whose groups mix first and second views."""
    if passes == 2 and cell.shuffle_views:
        raise InputError(
            f"passes: {cell.name} shuffles second views between groups, which needs both views in "
            "one forward pass; use passes = 1"
        )


def project(
    model: Callable[[Tensor], tuple[Tensor, Tensor]], views: Tensor, order: Layout, passes: int
) -> Tensor:
    """z ``(2N, D)`` of views in layout order, in one forward pass, or in one for each view.

    With two passes a view meets only views of its own kind in BN; groups stay groups. Cells for
    which this has no meaning were refused by :func:`require_one_pass`.
    """
    if passes == 1:
        return model(views)[1]
    first, second = (
        view.contiguous(memory_format=torch.channels_last) for view in order.views(views)
    )
    return order.rows(model(first)[1], model(second)[1])


def contrastive_loss(z: Tensor, cell: Cell, order: Layout, temperature: float) -> Tensor:
    """NT-Xent of a batch of projections ``(2N, D)`` in layout order.

    ``within`` negatives make every group its own contrastive problem; the loss is the mean over
    groups, i.e. over all 2N anchors. A cell with a temperature of its own ignores the one given.
    """
    z0, z1 = order.views(z)
    if cell.negatives == "within":
        z0 = z0.unflatten(0, (order.groups, -1))
        z1 = z1.unflatten(0, (order.groups, -1))
    return nt_xent(z0, z1, cell.temperature or temperature, normalize=cell.normalize)
