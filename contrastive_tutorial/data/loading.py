"""Data sets by name or path: the embedded shapes, published sets, your own images.

>>> train = load("shapes", "train", num_images=100)
>>> train.images.shape, len(train.class_names)
(torch.Size([100, 3, 32, 32]), 10)
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch

from contrastive_tutorial.data import folders, published, shapes
from contrastive_tutorial.data.cache import cache_folder, cached, say
from contrastive_tutorial.data.folders import Decoded
from contrastive_tutorial.data.imageset import SPLITS, ImageSet, content_hash
from contrastive_tutorial.data.splitting import split_by_position
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import (
    SIDE,
    Limits,
    archives,
    bar,
    members,
    safe_name,
    shown,
)
from contrastive_tutorial.files.download import sha256

#: Archives that results must call by a name of their own, recognised by their SHA-256.
KNOWN_ARCHIVES = {
    "a5350f6189ad8fd8f85471bc6d29ed42fa926029cfb20f8878e3215e583f9a55": "cifar10-jpeg75",
}
_NAMES = ("shapes", *published.SETS)
_RESERVED = {*_NAMES, *KNOWN_ARCHIVES.values()}
_SIZES = range(8, 257)


def load(
    name_or_path: str | Path = "shapes",
    split: str = "train",
    device: torch.device | str = "cpu",
    *,
    num_images: int | None = None,
    size: int = SIDE,
    cache: str | Path | None = None,
    limits: Limits | None = None,
) -> ImageSet:
    """Load one split of a data set.

    Args:
        name_or_path: ``"shapes"`` (drawn on the spot, no files); ``"cifar10"``, ``"cifar100"``,
            ``"stl10"`` or ``"svhn"`` (downloaded once, in any spelling: ``"CIFAR-10"``); or the
            path of a folder, ``.tar``, ``.tar.gz``, ``.tar.xz`` or ``.zip`` in the ImageFolder
            layout: ``train/<class>/*`` and ``test/<class>/*``, optionally ``val/<class>/*``; or
            ``<class>/*`` alone; or images alone, which then have no labels. A ``Path``, or a name
            with a ``/``, is never one of the names. Images of any size are resized (shorter side,
            antialiased) and centre-cropped.
        split: "train", "val" or "test". What the source does not separate is separated by
            position, with no seed: with the images of a class in the order of their names, every
            fifth (the 3rd, 8th, ...) is a test image where there is no ``test/``, and of the
            remaining ones every tenth (the 5th, 15th, ...) is a validation image where there is no
            ``val/``. CIFAR-10 gives 45,000, 5,000 and 10,000 images.
        device: where the tensors go.
        num_images: of ``shapes``: draw this many instead of the default.
        size: width and height of the images, 8 to 256; ``shapes`` has 32 only.
        cache: folder for decoded images; default ``CONTRASTIVE_TUTORIAL_CACHE``, then
            ``~/.cache/contrastive_tutorial``. Keyed by the SHA-256 of what was read.
        limits: how much a source may ask for, see
            :class:`contrastive_tutorial.files.archives.Limits`.

    Warns:
        UserWarning: what was left out or decided: files that are no images, test images that are
            also in the training set, names in another code.

    Raises:
        InputError: for an unknown name or split, and for files that cannot be used, naming them.
    """
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    known = _known(name_or_path)
    if size not in _SIZES or (known == "shapes" and size != SIDE):
        raise InputError(f"size: expected 8 to 256 (shapes: 32 only), got {size}")
    if known == "shapes":
        images, labels, factors = shapes.draw(split, num_images)
        names = shapes.SHAPES
        digest = content_hash(images, labels, names)
        drawn = ImageSet(images, labels, names, "shapes", split, digest, factors)
        return drawn.to(device)
    if num_images is not None:
        raise InputError("num_images: only for shapes; use .subset(...) on the loaded images")
    return _sets(name_or_path, known, (split,), size, cache, limits)[split].to(device)


def load_splits(
    source: str | Path | ImageSet | Sequence[ImageSet],
    device: torch.device | str = "cpu",
    *,
    size: int = SIDE,
    cache: str | Path | None = None,
    limits: Limits | None = None,
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """The train, validation and test sets of one source, which is decoded once.

    Args:
        source: as of :func:`load`; or one image set, to be separated by position as there; or the
            three sets, which pass through.
        device, size, cache, limits: as of :func:`load`.

    Raises:
        InputError: as :func:`load`; also for sets that differ in size, or in their classes.
    """
    if isinstance(source, ImageSet):
        return _of_one(source, device)
    if not isinstance(source, (str, Path)):
        return _of_three(source, device)
    if (known := _known(source)) == "shapes":
        train, val, test = (load(source, split, device, size=size) for split in SPLITS)
        return train, val, test
    sets = _sets(source, known, SPLITS, size, cache, limits)
    return sets["train"].to(device), sets["val"].to(device), sets["test"].to(device)


def _of_one(images: ImageSet, device: torch.device | str) -> tuple[ImageSet, ImageSet, ImageSet]:
    kinds = [images.class_names[label] for label in images.labels.tolist()]
    decoded = Decoded(images.images.cpu().numpy(), kinds, [""] * len(kinds))
    sets, remarks = split_by_position(images.name, decoded)
    say(images.name, remarks)
    return sets["train"].to(device), sets["val"].to(device), sets["test"].to(device)


def _of_three(
    sets: Sequence[ImageSet], device: torch.device | str
) -> tuple[ImageSet, ImageSet, ImageSet]:
    if len(sets) != 3 or not all(isinstance(part, ImageSet) for part in sets):
        raise InputError(
            "data: expected a name, a path, an ImageSet, or three of them (train, val, test); "
            "make one of tensors with ImageSet.of(images, labels)"
        )
    train, val, test = (part.to(device) for part in sets)
    for part in (val, test):
        if part.images.shape[1:] != train.images.shape[1:] or part.class_names != train.class_names:
            raise InputError(
                f"data: {part.split} has images {tuple(part.images.shape[1:])} of "
                f"{len(part.class_names)} classes, but train {tuple(train.images.shape[1:])} of "
                f"{len(train.class_names)}; give all three the same size and classes"
            )
    return train, val, test


def _known(name: object) -> str | None:
    """Which of the known sets a name means; None for a path."""
    if not isinstance(name, (str, Path)):
        raise InputError(
            f"data: expected a name or a path, got {type(name).__name__}; make a set of tensors "
            "with ImageSet.of(images, labels)"
        )
    if isinstance(name, Path):
        return None
    plain = re.sub(r"[-_ ]", "", name.casefold())
    if plain not in _NAMES:
        return None
    here = Path(name).exists()
    if here and name != plain:
        return None
    if here:
        say(plain, [f"is the known data set, not the {name!r} that lies here; that is ./{name}"])
    return plain


def _unknown(name: object) -> InputError:
    return InputError(
        f"data: {shown(name)!r} is neither a known name nor a path; expected "
        f"{', '.join(_NAMES)}, or the path of a folder or archive of images"
    )


def _sets(
    name_or_path: str | Path,
    known: str | None,
    splits: Sequence[str],
    size: int,
    cache: str | Path | None,
    limits: Limits | None,
) -> dict[str, ImageSet]:
    folder = cache_folder(cache)
    if known is not None:
        own = os.environ.get("CONTRASTIVE_TUTORIAL_CIFAR10") if known == "cifar10" else None
        if not own:
            source = published.SETS[known]

            def fetched() -> Decoded:
                return source.resized(source.fetched(folder), size)

            return cached(known, f"{source.key}-{size}", fetched, splits, folder)
        name_or_path = own
    if not str(name_or_path):
        raise _unknown(name_or_path)
    return _from_path(Path(name_or_path).expanduser(), splits, size, folder, limits or Limits())


def _from_path(
    path: Path, splits: Sequence[str], size: int, folder: Path, limits: Limits
) -> dict[str, ImageSet]:
    try:
        release = published.release_at(path)
        if release is not None:
            content = "" if path.is_dir() else _file_key(path)
        elif path.is_dir():
            content = _folder_key(path, limits)
        elif path.exists():
            content = _file_key(path)
        else:
            raise _unknown(path)
    except OSError as error:
        where = shown(path if error.filename is None else error.filename)
        raise InputError(f"{where}: cannot be read ({error.strerror or error})") from error
    if release is not None:

        def unpacked() -> Decoded:
            return release.resized(release.read(path), size)

        key = content or release.folder_key(path)
        return cached(release.name, f"{key}-{size}", unpacked, splits, folder)
    if not path.is_dir() and not archives.is_archive(path):
        raise InputError(
            f"{path}: expected a folder or an archive ({', '.join(archives.ARCHIVE_SUFFIXES)}); "
            "unpack others, and give the folder"
        )
    name = safe_name(path.resolve().name if path.is_dir() else archives.stem(path))
    if content in KNOWN_ARCHIVES:
        name = KNOWN_ARCHIVES[content]
    elif name.casefold() in _RESERVED:  # a record must never pass for one on the published images
        name = f"{name}-local"

    def decoded() -> Decoded:
        with bar(f"decoding {name}", "image") as shown_bar:
            return folders.read(path, limits, shown_bar.update, size)

    return cached(name, f"{content}-{size}-{limits}", decoded, splits, folder)


def _file_key(path: Path) -> str:
    status = path.stat()
    return _hashed(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _hashed(path: Path, size: int, changed: int) -> str:
    return sha256(path)


def _folder_key(path: Path, limits: Limits) -> str:
    """SHA-256 of the names and bytes of all that is read, and of the names of what is not."""
    digest = hashlib.sha256()

    def skip(name: folders.Name) -> bool:
        if over := folders.passed_over(name):
            digest.update(repr(name).encode())
        return over

    for name, content in members(path, limits, skip):
        digest.update(f"{name!r}{-1 if content is None else len(content)}".encode())
        digest.update(content or b"")
    return digest.hexdigest()
