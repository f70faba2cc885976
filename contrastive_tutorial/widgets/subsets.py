"""What the subsets of an explorer are called, and what their policies do to an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from contrastive_tutorial import augment
from contrastive_tutorial.augment import Policy
from contrastive_tutorial.data import SHAPES, load
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import own_subset_share
from contrastive_tutorial.study import CELLS, Cell, policies
from contrastive_tutorial.widgets.packing import atlas

_SHOWN = "star"


def table_of(cells: Sequence[str]) -> tuple[Policy, ...]:
    """The policies that subsets have in these cells; none where they have none or differ.

    Cells with one policy for all subsets, and cells that nobody registered, say nothing.
    """
    tables = {policies(CELLS[name]) for name in cells if name in CELLS}
    several = [table for table in tables if len(table) > 1]
    return several[0] if len(several) == 1 else ()


def names(table: Sequence[Policy], count: int) -> list[str]:
    """``"2 grayscale"`` for each of ``count`` subsets, ``"subset 2"`` without policies.

    >>> names((), 2)
    ['subset 0', 'subset 1']
    """
    if not table:
        return [f"subset {k}" for k in range(count)]
    return [f"{k} {table[k % len(table)].name}" for k in range(count)]


def pictured(cell: Cell, definition: int) -> str:
    """What the picture of augmented images shows: under whose policy, through which statistics.

    Records of the first definition show a cell with one policy under that one; later ones show
    every cell under policies of its subsets, so that panels compare like with like.
    """
    one = len(policies(cell)) == 1 and definition < 2
    policy = "the one policy of this experiment" if one else "its subset's policy"
    branch = ", through its subset's branch" if cell.has_branches else ""
    return f"each image with {policy}{branch}"


def own_share(arrays: Mapping[str, np.ndarray]) -> float | None:
    """:func:`~contrastive_tutorial.metrics.own_subset_share` of recorded features.

    ``None`` where a run kept no features of images under their subset's policy, or too few.
    """
    if "features_subset" not in arrays or "subsets" not in arrays:
        return None
    try:
        return own_subset_share(arrays["features_subset"].astype(np.float32), arrays["subsets"])
    except InputError:
        return None


def pictures(table: Sequence[Policy]) -> dict[str, Any]:
    """What every policy does to one drawn image, uncropped, as one picture for a page."""
    image = load("shapes", "test").images[SHAPES.index(_SHOWN)]
    whole = tuple(replace(p, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0) for p in table)
    generator = torch.Generator().manual_seed(0)
    ids = torch.arange(len(table))
    views = augment.apply(
        image.repeat(len(table), 1, 1, 1), augment.sample(whole, ids, generator, image.shape[-1])
    )
    pixels = (views.clamp(0, 1) * 255).round().to(torch.uint8)
    return atlas(pixels.numpy()) | {"of": _SHOWN, "count": len(table)}
