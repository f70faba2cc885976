"""Numbers of the explorer as few bytes: coordinates in 12 bits, equal arrays once, one atlas."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.report import vector
from contrastive_tutorial.widgets import fragment
from contrastive_tutorial.widgets.runs import Arrays

_MAX_CATEGORIES = 20


class Pool:
    """Byte arrays, equal ones once."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self._known: dict[str, int] = {}

    def add(self, values: np.ndarray) -> int:
        text = base64.b64encode(np.asarray(values).astype(np.uint8).tobytes()).decode("ascii")
        if text not in self._known:
            self._known[text] = len(self.items)
            self.items.append(text)
        return self._known[text]


def frame(runs: Sequence[Arrays]) -> tuple[np.ndarray, float]:
    """Corner and side of the square that holds every embedding: one frame for all panels and K."""
    points = np.concatenate(
        [
            arrays[name]
            for arrays in runs
            for name in ("embedding", "embedding_subset")
            if name in arrays
        ]
    )
    low, high = points.min(0), points.max(0)
    span = float((high - low).max()) or 1.0
    return (low + high) / 2 - span / 2, span


def pack12(points: np.ndarray) -> np.ndarray:
    """``(n, 2)`` in [0, 1] as three bytes a point: 12 bits of x, then 12 bits of y."""
    x, y = np.round(np.clip(points, 0, 1) * 4095).astype(np.uint32).T
    return np.stack([x & 255, (x >> 8) | ((y & 15) << 4), y >> 4], axis=1)


def factors(per_seed: Mapping[int, Arrays], pool: Pool) -> dict[str, Any]:
    """What else is known of the images, as categories or as a range, by name."""
    names = [name for name in next(iter(per_seed.values())) if name.startswith("factor_")]
    factors: dict[str, Any] = {}
    for name in names:
        found = {seed: arrays[name] for seed, arrays in per_seed.items() if name in arrays}
        if len(found) < len(per_seed):
            continue
        everything = np.concatenate(list(found.values()))
        levels = np.unique(everything)
        if len(levels) <= _MAX_CATEGORIES and (levels == np.round(levels)).all():
            factor: dict[str, Any] = {
                "kind": "category",
                "names": [f"{level:g}" for level in levels.astype(float)],
            }
            coded = {seed: np.searchsorted(levels, value) for seed, value in found.items()}
        else:
            low, high = float(everything.min()), float(everything.max())
            factor = {"kind": "range", "low": low, "high": high}
            coded = {
                seed: np.round(255 * (value.astype(float) - low) / ((high - low) or 1))
                for seed, value in found.items()
            }
        factor["values"] = {seed: pool.add(value) for seed, value in coded.items()}
        factors[fragment.clean(name.removeprefix("factor_"))] = factor
    return factors


def thumbnails(images: Any, total: int) -> dict[str, Any]:
    """One WebP with the images of all points."""
    if hasattr(images, "cpu"):
        images = images.cpu()
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:2] != (total, 3):
        raise InputError(
            f"images: expected uint8 of shape ({total}, 3, H, W), one per point, got "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
    return atlas(pixels)


def atlas(pixels: np.ndarray) -> dict[str, Any]:
    """uint8 ``(n, 3, H, W)`` as one WebP, 64 images a row, each 32 pixels wide."""
    from PIL import Image

    size, columns = 32, 64
    page = Image.new("RGB", (size * min(columns, len(pixels)), size * -(-len(pixels) // columns)))
    for place, image in enumerate(map(Image.fromarray, pixels.transpose(0, 2, 3, 1))):
        if image.size != (size, size):
            image = image.resize((size, size))
        page.paste(image, (size * (place % columns), size * (place // columns)))
    encoded = base64.b64encode(vector.webp(page, quality=70)).decode("ascii")
    return {"source": f"data:image/webp;base64,{encoded}", "size": size, "columns": columns}
