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

import numpy as np
import torch

from contrastive_tutorial.data import folders, published, shapes
from contrastive_tutorial.data.cache import cache_folder, cached, say
from contrastive_tutorial.data.folders import Decoded
from contrastive_tutorial.data.imageset import SPLITS, ImageSet, content_hash
from contrastive_tutorial.data.splitting import leaks, require_learnable, split_by_position
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import (
    SIDE,
    Limits,
    archives,
    bar,
    members,
    require_file,
    safe_name,
    shown,
)
from contrastive_tutorial.files.download import file_digest

#: Archives that results must call by a name of their own, recognised by their SHA-256.
KNOWN_ARCHIVES = {
    "a5350f6189ad8fd8f85471bc6d29ed42fa926029cfb20f8878e3215e583f9a55": "cifar10-jpeg75",
}
_NAMES = ("shapes", *published.SETS)
_RESERVED = {*_NAMES, *KNOWN_ARCHIVES.values()}
_SIZES = range(8, 257)
_LIMITS = Limits()  # of what a source may ask for

#: Three sets whose leaks were looked for, by their content.
_looked_at: set[tuple[str, ...]] = set()


def _together(*sets: ImageSet) -> tuple[str, ...]:
    return tuple(part.content_hash for part in sets)


def load(
    name_or_path: str | Path = "shapes",
    split: str = "train",
    device: torch.device | str = "cpu",
    *,
    num_images: int | None = None,
    size: int = SIDE,
    cache: str | Path | None = None,
    skip_broken: bool = False,
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
        skip_broken: leave out images that are damaged or of no format that is read, in place of
            refusing the source. ``skipped`` of the set counts them, and records keep that number.

    Warns:
        UserWarning: what was left out or decided: files that are no images, test images that are
            also in the training set, names in another code.

    Raises:
        InputError: for an unknown name or split, and for files that cannot be used, naming them.
    """
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    known = known_set(name_or_path)
    _require_size(size)
    if known == "shapes":
        if size != SIDE:
            raise InputError(f"size: expected 32, which is all that shapes has, got {size}")
        images, labels, factors = shapes.draw(split, num_images)
        names = shapes.SHAPES
        digest = content_hash(images, labels, names)
        drawn = ImageSet(images, labels, names, "shapes", split, digest, factors)
        return drawn.to(device)
    if num_images is not None:
        raise InputError("num_images: only for shapes; use .subset(...) on the loaded images")
    return _sets(name_or_path, known, (split,), cache, size, skip_broken)[split].to(device)


def load_splits(
    source: str | Path | ImageSet | Sequence[ImageSet],
    device: torch.device | str = "cpu",
    *,
    size: int = SIDE,
    cache: str | Path | None = None,
    skip_broken: bool = False,
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """The train, validation and test sets of one source, which is decoded once.

    Args:
        source: as of :func:`load`; or one image set, to be separated by position as there; or the
            three sets, which pass through.
        device, size, cache, skip_broken: as of :func:`load`.

    Raises:
        InputError: as :func:`load`; also for sets in another order, that differ in size or in
            their classes, or of which the first lacks a class.

    Warns:
        UserWarning: as :func:`load`.
    """
    if isinstance(source, ImageSet):
        return _of_one(source, device)
    if not isinstance(source, (str, Path)):
        return _of_three(source, device)
    if (known := known_set(source)) == "shapes":
        train, val, test = (load(source, split, device, size=size) for split in SPLITS)
        return train, val, test
    _require_size(size)
    return _looked_through(_sets(source, known, SPLITS, cache, size, skip_broken), device)


def _of_one(images: ImageSet, device: torch.device | str) -> tuple[ImageSet, ImageSet, ImageSet]:
    kinds = [images.class_names[label] for label in images.labels.tolist()]
    pixels, unsaid = images.images.cpu().numpy(), [""] * len(kinds)
    decoded = Decoded(pixels, kinds, unsaid, skipped=images.skipped)
    sets, remarks = split_by_position(images.name, decoded, images.class_names)
    say(images.name, remarks)
    return _looked_through(sets, device)


def _looked_through(
    sets: dict[str, ImageSet], device: torch.device | str
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """The three sets; what there is to say of leaks was said when they were made."""
    train, val, test = (sets[split] for split in SPLITS)
    _looked_at.add(_together(train, val, test))
    return train.to(device), val.to(device), test.to(device)


def _of_three(
    sets: Sequence[ImageSet], device: torch.device | str
) -> tuple[ImageSet, ImageSet, ImageSet]:
    if len(sets) != 3 or not all(isinstance(part, ImageSet) for part in sets):
        raise InputError(
            "data: expected a name, a path, an ImageSet, or three of them (train, val, test); "
            "make one of tensors with ImageSet.of(images, labels)"
        )
    for part, expected in zip(sets, SPLITS, strict=True):
        if part.split not in (expected, "train"):  # which ImageSet.of calls all that are not named
            raise InputError(
                f"data: expected the sets in the order train, val, test, got {part.split!r} where "
                f"{expected!r} belongs"
            )
    train, val, test = (part.to(device) for part in sets)
    for part in (val, test):
        if part.images.shape[1:] != train.images.shape[1:] or part.class_names != train.class_names:
            raise InputError(
                f"data: {part.split} has images {tuple(part.images.shape[1:])} of "
                f"{len(part.class_names)} classes, but train {tuple(train.images.shape[1:])} of "
                f"{len(train.class_names)}; give all three the same size and classes"
            )
    require_learnable(train)
    if (key := _together(train, val, test)) not in _looked_at:  # or it was said when they were made
        _looked_at.add(key)
        say(train.name, leaks(train, val, test))
    return train, val, test


def known_set(name: object) -> str | None:
    """Which of the known sets :func:`load` understands by a name; ``None`` for a path.

    Raises:
        InputError: for what is neither text nor a path.
    """
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


def _require_size(size: object) -> None:
    if not isinstance(size, (int, np.integer)) or size not in _SIZES:
        raise InputError(f"size: expected 8 to 256 (shapes: 32 only), got {size!r}")


def _sets(
    name_or_path: str | Path,
    known: str | None,
    splits: Sequence[str],
    cache: str | Path | None,
    size: int,
    skip_broken: bool,
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
    return _from_path(Path(name_or_path).expanduser(), splits, folder, size, skip_broken)


def _from_path(
    path: Path, splits: Sequence[str], folder: Path, size: int, skip_broken: bool
) -> dict[str, ImageSet]:
    release, content = _content(path)
    if release is not None:
        name, key = release.name, f"{content}-{size}"
    elif not path.is_dir() and not archives.is_archive(path):
        raise InputError(
            f"{path}: expected a folder or an archive ({', '.join(archives.ARCHIVE_SUFFIXES)}); "
            "unpack others, and give the folder"
        )
    else:
        # what decides, beside the source, which pixels come out
        key = f"{content}-{size}-{_LIMITS}" + "-skipping" * skip_broken
        name = safe_name(path.resolve().name if path.is_dir() else archives.stem(path))
        if content in KNOWN_ARCHIVES:
            name = KNOWN_ARCHIVES[content]
        elif name.casefold() in _RESERVED:  # a record must never pass for one on published images
            name = f"{name}-local"

    def decoded() -> Decoded:
        if release is not None:
            found = release.resized(release.read(path), size)
        else:
            with bar(f"decoding {name}", "image") as shown_bar:
                found = folders.read(path, _LIMITS, shown_bar.update, size, skip_broken)
        if _content(path) != (release, content):
            raise InputError(
                f"{path}: changed while it was read; run the same command again once nothing "
                "writes to it"
            )
        return found

    return cached(name, key, decoded, splits, folder)


def _content(path: Path) -> tuple[published.Published | None, str]:
    """Which published set lies at a path, if any, and what tells its content from any other."""
    try:
        release = published.release_at(path)
        if not path.is_dir():
            if not path.exists():
                raise _unknown(path)
            status = require_file(path)
            changed = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            return release, _file_key(path.resolve(), changed)
        return release, _folder_key(path) if release is None else release.folder_key(path)
    except OSError as error:
        where = shown(path if error.filename is None else error.filename)
        raise InputError(f"{where}: cannot be read ({error.strerror or error})") from error


@lru_cache(maxsize=16)
def _file_key(path: Path, changed: tuple[int, ...]) -> str:
    return file_digest(path)


def _folder_key(path: Path) -> str:
    """SHA-256 of the names and bytes of all that is read, and of the names of what is not."""
    digest = hashlib.sha256()

    def skip(name: folders.Name) -> bool:
        if over := folders.passed_over(name):
            digest.update(repr(name).encode())
        return over

    for name, content in members(path, _LIMITS, skip):
        digest.update(f"{name!r}{-1 if content is None else len(content)}".encode())
        digest.update(content or b"")
    return digest.hexdigest()
