"""An image set: uint8 images and int64 labels on one device, with names and a content hash.

>>> mine = ImageSet.of(torch.zeros(4, 3, 32, 32), [0, 1, 0, 1], ["cat", "dog"], name="mine")
>>> mine
ImageSet('mine', train: 4 images of 32x32, 2 classes, on cpu)
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import operator
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contrastive_tutorial.data.folders import UNLABELLED, stacked
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import SIDE, fit, pixels_of, safe_name, shown

SPLITS = ("train", "val", "test")
_THUMBNAILS = 10
_CLASSES = 100_000  # as many as a record can name


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One split of a data set, in memory.

    ``len(images)``; ``images[3]`` is an image and its label, so that a ``DataLoader`` takes the
    set; ``images[10:20]`` or ``images[mask]`` is a smaller set.

    Attributes:
        images: uint8 ``(N, 3, S, S)``; S is 32 unless another size was asked for.
        labels: int64 ``(N,)``, index into ``class_names``; all 0 where there are no labels.
        class_names: one name per class.
        name: of the data set, as records state it.
        split: "train", "val" or "test".
        content_hash: SHA-256 (hex) of pixels, labels and class names; the same on every device.
        factors: ``shapes`` only: ground truth per image, each ``(N,)``; see
            :func:`contrastive_tutorial.data.shapes.draw`.
        skipped: how many images of the whole source were broken and left out (``skip_broken``).
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    split: str
    content_hash: str
    factors: dict[str, Tensor] | None = None
    skipped: int = 0

    @classmethod
    def of(
        cls,
        images: Any,
        labels: Any = None,
        class_names: Sequence[str] | None = None,
        name: str = "own",
        split: str = "train",
        size: int | None = None,
    ) -> ImageSet:
        """Your own images.

        Args:
            images: a tensor ``(N, C, H, W)`` or an array ``(N, H, W, C)`` with C = 1 or 3, or
                ``(N, H, W)``; uint8, or floating numbers in [0, 1].
            labels: ``(N,)`` integers from 0; ``None`` for images without labels.
            class_names: one per class; default ``"class 0"`` and so on.
            name: of the data set; records carry it.
            split: "train", "val" or "test".
            size: resize (shorter side, antialiased) and crop to this; default: images that are
                square stay as they are, others are cropped to their shorter side.

        Raises:
            InputError: naming the argument, what was expected and what was found.
        """
        pixels = _pixels(images, size)
        if labels is None:
            index = torch.zeros(len(pixels), dtype=torch.int64)
            names: tuple[str, ...] = (UNLABELLED,)
        else:
            index, names = _labels(labels, len(pixels), class_names)
        if split not in SPLITS:
            raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
        index = index.to(pixels.device)
        digest = content_hash(pixels, index, names)
        return cls(pixels, index, names, safe_name(name), split, digest)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        """``(image, label)`` for a number: uint8 ``(3, S, S)`` and an int; else a smaller set."""
        if isinstance(index, Tensor) and index.ndim == 0:
            index = index.item()
        if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
            return self.images[index], int(self.labels[index])
        if isinstance(index, slice):
            index = range(*index.indices(len(self)))
        return self.subset(index)

    def __repr__(self) -> str:
        side = self.images.shape[-1]
        classes = f"{len(self.class_names)} classes" if self.labelled else "no labels"
        return (
            f"ImageSet({self.name!r}, {self.split}: {len(self):,} images of {side}x{side}, "
            f"{classes}, on {self.device})"
        )

    def _repr_html_(self) -> str:
        """For notebooks: the line of ``repr`` and the first image of each of ten classes."""
        cells = []
        for label, name in list(enumerate(self.class_names))[:_THUMBNAILS]:
            of_class = (self.labels == label).nonzero().flatten()
            chosen = of_class[:1] if self.labelled else of_class[:_THUMBNAILS]
            cells += [(self.images[int(i)], name if self.labelled else "") for i in chosen]
        figures = "".join(
            '<figure style="display:inline-block;margin:4px;text-align:center">'
            f'<img src="{_as_png(image)}" alt="{html.escape(name) or "image"}" width="48" '
            f'height="48" style="image-rendering:pixelated"><figcaption>{html.escape(name)}'
            "</figcaption></figure>"
            for image, name in cells
        )
        return f"<div><p>{html.escape(repr(self))}</p>{figures}</div>"

    @property
    def labelled(self) -> bool:
        """Whether labels tell anything: there are two classes or more."""
        return len(self.class_names) > 1

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set on another device."""
        if self.device == torch.device(device):
            return self
        factors = self.factors
        if factors is not None:
            factors = {name: values.to(device) for name, values in factors.items()}
        images, labels = self.images.to(device), self.labels.to(device)
        return replace(self, images=images, labels=labels, factors=factors)

    def subset(self, indices: Tensor | Sequence[int]) -> ImageSet:
        """The images with these indices, in this order, with a content hash of their own.

        Args:
            indices: whole numbers ``(n,)``, or a bool mask ``(N,)``.

        Raises:
            InputError: for a mask of another length, or anything else.
        """
        try:
            index = torch.as_tensor(indices, device=self.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"indices: expected whole numbers or a mask, got {shown(repr(indices))}"
            ) from error
        is_mask, whole = index.dtype == torch.bool, not index.is_floating_point()
        if index.ndim != 1 or (is_mask and len(index) != len(self)) or (len(index) and not whole):
            raise InputError(
                f"indices: expected whole numbers (n,) or a mask ({len(self)},), got {index.dtype} "
                f"of shape {tuple(index.shape)}"
            )
        index = index.nonzero().flatten() if is_mask else index.long()
        images, labels = self.images[index], self.labels[index]
        factors = self.factors
        if factors is not None:
            factors = {name: values[index] for name, values in factors.items()}
        digest = content_hash(images, labels, self.class_names)
        return replace(self, images=images, labels=labels, content_hash=digest, factors=factors)


def from_torchvision(dataset: Any, split: str = "train", size: int = SIDE) -> ImageSet:
    """Any data set that gives ``(image, label)``, as those of torchvision do.

    Args:
        dataset: with ``len`` and integer indices; images are of PIL, or tensors ``(C, H, W)``.
        split: what it is to us.
        size: images are resized and cropped to this.

    Raises:
        InputError: if it gives something else.
    """
    from PIL import Image

    found, labels = [], []
    side = _side(size)
    for i, item in enumerate(_items(dataset)):
        try:
            image, label = item[0], operator.index(item[1])
        except (TypeError, LookupError) as error:
            raise InputError(
                f"dataset: expected (image, whole number), got {shown(repr(item))} at {i}; change "
                "its transforms, or make the set with ImageSet.of(images, labels)"
            ) from error
        if isinstance(image, Image.Image):
            found.append(pixels_of(Path("dataset"), (f"image {i}",), image.copy(), side))
        else:
            one = image[None] if isinstance(image, (Tensor, np.ndarray)) else [image]
            found.append(_pixels(one, side)[0].permute(1, 2, 0).numpy())
        labels.append(label)
    remarks: list[str] = []
    images = torch.from_numpy(stacked(found, side, remarks))
    names = getattr(dataset, "classes", None)
    name = type(dataset).__name__.lower()
    for remark in remarks:
        warnings.warn(f"{name}: {remark}", stacklevel=2)
    return ImageSet.of(images, labels, names, name, split)


def _items(dataset: Any) -> Iterator[Any]:
    """Every item of a data set that has some, by whole numbers."""
    try:
        count = len(dataset)
    except TypeError as error:
        raise InputError(
            f"dataset: expected one with len() and items by number, got {type(dataset).__name__}"
        ) from error
    if not count:
        raise InputError(f"dataset: {type(dataset).__name__} has no images")
    return (dataset[i] for i in range(count))


def _side(size: Any) -> int:
    whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
    if not whole or size < 1:
        raise InputError(f"size: expected a whole number of pixels from 1 on, got {size!r}")
    return int(size)


def _pixels(images: Any, size: int | None) -> Tensor:
    """uint8 ``(N, 3, S, S)``."""
    if size is not None:
        size = _side(size)
    if isinstance(images, Tensor):
        found = images.detach()
    else:
        array = _array("images", images)
        found = torch.from_numpy(np.ascontiguousarray(array))
        if found.ndim == 3:
            found = found[..., None]
        if found.ndim == 4:
            found = found.permute(0, 3, 1, 2)
    if found.ndim != 4 or found.shape[1] not in (1, 3) or 0 in found.shape:
        raise InputError(
            "images: expected a tensor (N, C, H, W) or an array (N, H, W, C) with 1 or 3 "
            f"channels, got shape {tuple(np.shape(images))}"
        )
    if found.is_floating_point():
        low, high = float(found.min()), float(found.max())
        if not (low >= 0 and high <= 1):  # also where one is no number
            raise InputError(
                f"images: expected floating numbers in [0, 1], got {low:.3g} to {high:.3g}; undo "
                "the normalisation, or give uint8"
            )
        found = (found * 255).round().to(torch.uint8)
    elif found.dtype != torch.uint8:
        raise InputError(f"images: expected uint8 or floating numbers, got {found.dtype}")
    found = found.expand(-1, 3, -1, -1).contiguous()
    side = size if size is not None else min(found.shape[2:])
    if found.shape[2:] == (side, side):
        return found
    rows = found.permute(0, 2, 3, 1).cpu().numpy()
    fitted = np.stack([fit(image, side) for image in rows])
    return torch.from_numpy(fitted).permute(0, 3, 1, 2).contiguous().to(found.device)


def _array(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths
        raise InputError(f"{name}: expected one array of numbers ({shown(error)})") from error
    if array.dtype.kind not in "ufib":
        raise InputError(f"{name}: expected an array of numbers, got {array.dtype}")
    if array.dtype in (np.uint16, np.uint32, np.uint64):  # which torch hardly knows
        array = array.astype(np.int64)
    return array.astype(array.dtype.newbyteorder("="))


def _labels(
    labels: Any, count: int, class_names: Sequence[str] | None
) -> tuple[Tensor, tuple[str, ...]]:
    """int64 ``(N,)`` and the class names."""
    index = labels
    if not isinstance(labels, Tensor):
        index = torch.from_numpy(np.ascontiguousarray(_array("labels", labels)))
    if index.shape != (count,) or index.is_floating_point() or index.is_complex():
        raise InputError(
            f"labels: expected {count} integers, got {index.dtype} of shape {tuple(index.shape)}"
        )
    index = index.long()
    low, high = int(index.min()), int(index.max())
    if high >= _CLASSES:
        raise InputError(
            f"labels: expected numbers from 0 to the number of classes, {_CLASSES:,} at most, got "
            f"up to {high:,}; number the classes one by one"
        )
    if class_names is None:
        class_names = [f"class {i}" for i in range(high + 1)]
    names = tuple(str(name) for name in class_names)
    if len(set(names)) < len(names):  # two classes of one name would become one
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"class_names: expected a name of its own for each, got {twice!r} twice")
    if low < 0 or high >= len(names):
        raise InputError(
            f"labels: {len(names)} class names allow 0 to {len(names) - 1}, got {low} to {high}"
        )
    return index, names


def _as_png(image: Tensor) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def content_hash(images: Tensor, labels: Tensor, class_names: Sequence[str]) -> str:
    """SHA-256 (hex) of uint8 images, int64 labels (little-endian) and class names."""
    digest = hashlib.sha256("\0".join(class_names).encode("utf-8", "surrogateescape"))
    for tensor, kind in ((images, "u1"), (labels, "<i8")):
        digest.update(np.ascontiguousarray(tensor.cpu().numpy(), dtype=kind).data)
    return digest.hexdigest()
