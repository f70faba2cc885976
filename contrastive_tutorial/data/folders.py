"""The ImageFolder layout: ``train/<class>/*``, ``test/<class>/*``, or ``<class>/*`` alone.

Works on a folder and on an archive alike. One folder that wraps everything is looked through, as in
``pets/train/cat/1.jpg``; folders inside a class folder belong to the class.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import SIDE, Limits, Name, decode_all, members, shown

_SPLITS = {"train", "val", "test"}
# Folders of such names that hold class folders are splits, however they are spelt.
_LIKE_SPLITS = _SPLITS | {"training", "testing", "valid", "validation"}


@dataclass(frozen=True)
class Decoded:
    """The images of one source.

    Attributes:
        images: uint8 ``(N, 3, 32, 32)``.
        classes: class name of every image.
        folders: "train", "val" or "test" of every image; "" where the source does not say.
    """

    images: np.ndarray
    classes: list[str]
    folders: list[str]


def read(path: Path, limits: Limits, progress: Callable[[int], object] | None = None) -> Decoded:
    """Decode every image of a folder or archive, in the order of their names.

    Args:
        path: a folder, or an archive with one of ``archives.ARCHIVE_SUFFIXES``.
        limits: what is refused.
        progress: called with the number of images decoded since the last call.

    Raises:
        InputError: naming the file or archive member that cannot be used, and why.
    """
    names: list[Name] = []
    empty: set[Name] = set()
    decoded: list[np.ndarray] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what is wrong raises
        for name, pixels in decode_all(path, members(path, limits), limits):
            if pixels is None:
                empty.add(name)
                continue
            names.append(name)
            decoded.append(pixels)
            if progress is not None:
                progress(1)
    if not names:
        raise InputError(
            f"{path}: no images in it; expected train/<class>/* and test/<class>/*, or <class>/*"
        )
    folders, classes = _layout(path, names, empty)
    order = sorted(range(len(names)), key=names.__getitem__)
    images = np.empty((len(order), 3, SIDE, SIDE), np.uint8)
    for row, i in enumerate(order):
        images[row] = decoded[i].transpose(2, 0, 1)
    return Decoded(images, [classes[i] for i in order], [folders[i] for i in order])


def _layout(path: Path, names: list[Name], all_folders: set[Name]) -> tuple[list[str], list[str]]:
    """Folder ("train", "val", "test" or "") and class of every image."""
    depth = _wrapping(names)
    tops = {name[depth] for name in names}
    # A class may be called "train": it holds images, not class folders.
    split = any(name[depth] == "train" and len(name) > depth + 2 for name in names)
    if split and tops - _SPLITS:
        raise InputError(
            f"{path}: {shown(min(tops - _SPLITS))!r} stands beside train/; expected nothing but "
            "train/, val/ and test/ there"
        )
    if not split and tops == {"test"}:
        raise InputError(f"{path}: there is a test/ folder but no train/<class>/*")
    nested = any(len(name) > depth + 2 for name in names)
    if not split and nested and {top.casefold() for top in tops} <= _LIKE_SPLITS:
        raise InputError(
            f"{path}: {' and '.join(f'{top}/' for top in sorted(tops))} would be classes, as there "
            "is no train/<class>/*; name the folders train/<class>/, test/<class>/ and, if you "
            "like, val/<class>/"
        )
    level = depth + 1 if split else depth
    for name in names:
        if len(name) < level + 2:
            raise InputError(
                f"{path}: image {shown(name)!r} lies outside a class folder; expected "
                f"{'train/<class>/image' if split else '<class>/image'}"
            )
    classes = [name[level] for name in names]
    for label in set(classes):
        if not label.isprintable():  # control characters, and bytes that are not UTF-8
            raise InputError(f"{path}: class folder {shown(label)!r} has an unprintable name")
    filled = {name[: level + 1] for name in names}
    for folder in sorted(all_folders - filled):
        if len(folder) == level + 1:
            raise InputError(
                f"{path}: class folder {shown(folder)!r} has no images; add some or remove it"
            )
    return [name[depth] if split else "" for name in names], classes


def _wrapping(names: list[Name]) -> int:
    """How many folders wrap everything."""
    depth, shortest = 0, min(len(name) for name in names)
    while depth < shortest - 2:
        tops = {name[depth] for name in names}
        if len(tops) > 1 or tops & _SPLITS:
            break
        depth += 1
    return depth
