"""An image set as uint8 tensors on the device: the embedded shapes, CIFAR-10, your own images.

>>> train = load("shapes", "train", num_images=100)
>>> train.images.shape, len(train.class_names)
(torch.Size([100, 3, 32, 32]), 10)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from contrastive_tutorial.data import cifar10, folders, shapes
from contrastive_tutorial.data.folders import Decoded
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import Limits, archives, atomic_write, bar

SPLITS = ("train", "val", "test")

#: Archives that results must call by a name of their own, recognised by their SHA-256.
KNOWN_ARCHIVES = {
    "a5350f6189ad8fd8f85471bc6d29ed42fa926029cfb20f8878e3215e583f9a55": "cifar10-jpeg75",
}
_RESERVED = {"shapes", "cifar10", *KNOWN_ARCHIVES.values()}
_CACHE_FORMAT = 1  # part of every key: a change of decoding or splitting makes old caches unused


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One split of a data set, in memory.

    Attributes:
        images: uint8 ``(N, 3, 32, 32)``.
        labels: int64 ``(N,)``, index into ``class_names``.
        class_names: one name per class.
        name: of the data set, as records state it.
        split: "train", "val" or "test".
        content_hash: SHA-256 (hex) of pixels, labels and class names; the same on every device.
        factors: ``shapes`` only: ground truth per image, each ``(N,)``; see
            :func:`contrastive_tutorial.data.shapes.draw`.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str
    split: str
    content_hash: str
    factors: dict[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.labels)

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
        """The images with these indices, in this order, with a content hash of their own."""
        index = torch.as_tensor(indices, device=self.device)
        index = index.nonzero().flatten() if index.dtype == torch.bool else index.long()
        images, labels = self.images[index], self.labels[index]
        factors = self.factors
        if factors is not None:
            factors = {name: values[index] for name, values in factors.items()}
        digest = content_hash(images, labels, self.class_names)
        return replace(self, images=images, labels=labels, content_hash=digest, factors=factors)


def load(
    name_or_path: str | Path = "shapes",
    split: str = "train",
    device: torch.device | str = "cpu",
    *,
    num_images: int | None = None,
    cache: str | Path | None = None,
    limits: Limits | None = None,
) -> ImageSet:
    """Load one split of a data set.

    Args:
        name_or_path: ``"shapes"`` (drawn on the spot, no files), ``"cifar10"`` (downloaded once),
            or the path of a folder, ``.tar``, ``.tar.gz``, ``.tar.xz`` or ``.zip`` in the
            ImageFolder layout: ``train/<class>/*`` and ``test/<class>/*``, optionally
            ``val/<class>/*``; or ``<class>/*`` alone. Images of any size are resized (shorter
            side, antialiased) and centre-cropped to 32x32.
        split: "train", "val" or "test". What the source does not separate is separated by
            position, with no seed: with the images of a class in the order of their names, every
            fifth (the 3rd, 8th, ...) is a test image where there is no ``test/``, and of the
            remaining ones every tenth (the 5th, 15th, ...) is a validation image where there is no
            ``val/``. CIFAR-10 gives 45,000, 5,000 and 10,000 images.
        device: where the tensors go.
        num_images: of ``shapes``: draw this many instead of the default.
        cache: folder for decoded images; default ``CONTRASTIVE_TUTORIAL_CACHE``, then
            ``~/.cache/contrastive_tutorial``. Keyed by the SHA-256 of an archive, or by the names,
            sizes and times of change of a folder's files.
        limits: how much a source may ask for, see
            :class:`contrastive_tutorial.files.archives.Limits`.

    Raises:
        InputError: for an unknown name or split, and for files that cannot be used, naming them.
    """
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    if name_or_path == "shapes":
        images, labels, factors = shapes.draw(split, num_images)
        names = shapes.SHAPES
        digest = content_hash(images, labels, names)
        drawn = ImageSet(images, labels, names, "shapes", split, digest, factors)
        return drawn.to(device)
    if num_images is not None:
        raise InputError("num_images: only for shapes; use .subset(...) on the loaded images")
    folder = cache_folder(cache)
    if name_or_path == "cifar10":
        own = os.environ.get("CONTRASTIVE_TUTORIAL_CIFAR10")
        if not own:
            read = cifar10.source(folder)
            return _cached("cifar10", cifar10.CIFAR10.sha256, read, split, folder).to(device)
        name_or_path = own
    if not str(name_or_path):
        raise _unknown(name_or_path)
    path = Path(name_or_path).expanduser()
    return _from_path(path, split, folder, limits or Limits()).to(device)


def _unknown(name: object) -> InputError:
    return InputError(
        f"data: {archives.shown(name)!r} is neither a known name nor a path; expected shapes, "
        "cifar10, or the path of a folder or archive of images"
    )


def _from_path(path: Path, split: str, folder: Path, limits: Limits) -> ImageSet:
    try:
        if path.is_dir():
            listing = archives.listing(path)
            digest = hashlib.sha256(repr(list(listing)).encode("utf-8", "surrogateescape"))
            key = digest.hexdigest()
            name = path.resolve().name
        elif path.exists():
            status = path.stat()
            key = _file_key(path.resolve(), status.st_size, status.st_mtime_ns)
            name = archives.stem(path)
        else:
            raise _unknown(path)
    except OSError as error:
        shown = archives.shown(path if error.filename is None else error.filename)
        raise InputError(f"{shown}: cannot be read ({error.strerror or error})") from error
    if cifar10.is_release(path):
        return _cached("cifar10", key, lambda: cifar10.read(path), split, folder)
    if not path.is_dir() and not archives.is_archive(path):
        raise InputError(
            f"{path}: expected a folder or an archive ({', '.join(archives.ARCHIVE_SUFFIXES)})"
        )
    if key in KNOWN_ARCHIVES:
        name = KNOWN_ARCHIVES[key]
    elif name in _RESERVED:  # a record must never pass for one on the published images
        name = f"{name}-local"

    def read() -> Decoded:
        with bar(f"decoding {name}", "image") as shown:
            return folders.read(path, limits, shown.update)

    return _cached(name, key, read, split, folder)


@lru_cache(maxsize=16)
def _file_key(path: Path, size: int, changed: int) -> str:
    return cifar10.sha256(path)


def _cached(name: str, key: str, read: Callable[[], Decoded], split: str, folder: Path) -> ImageSet:
    """The split from the cache; else read the source, and leave all three splits in the cache."""
    stem = f"{_safe(name)}-{key[:16]}-v{_CACHE_FORMAT}"
    found = _read_cache(folder / f"{stem}-{split}.safetensors", name, split)
    if found is not None:
        return found
    sets = _split(name, read())
    try:
        for images in sets.values():
            atomic_write(folder / f"{stem}-{images.split}.safetensors", _packed(images))
    except InputError as error:
        warnings.warn(f"decoded images are not kept for next time: {error}", stacklevel=4)
    return sets[split]


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)[:60]


def _packed(images: ImageSet) -> bytes:
    metadata = {"class_names": json.dumps(images.class_names), "content": images.content_hash}
    return save({"images": images.images, "labels": images.labels}, metadata)


def _read_cache(file: Path, name: str, split: str) -> ImageSet | None:
    """A split whose pixels match their recorded hash; None for anything else, to be made anew."""
    try:
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata()
            images, labels = stored.get_tensor("images"), stored.get_tensor("labels")
        names = tuple(json.loads(metadata["class_names"]))
        if content_hash(images, labels, names) != metadata["content"]:
            return None
        return ImageSet(images, labels, names, name, split, metadata["content"])
    except Exception:  # missing or damaged in any way: the source is still there
        return None


def _split(name: str, source: Decoded) -> dict[str, ImageSet]:
    """Train, validation and test sets by folder, and by position where a folder is missing."""
    names = tuple(sorted(set(source.classes)))
    if len(names) < 2:
        raise InputError(
            f"{name}: only one class, {archives.shown(names[0])!r}; expected 2 or more"
        )
    index = {class_name: i for i, class_name in enumerate(names)}
    labels = np.array([index[class_name] for class_name in source.classes], dtype=np.int64)
    parts = np.array([folder or "train" for folder in source.folders], dtype="U5")
    for part, every, first in (("test", 5, 2), ("val", 10, 4)):
        if part in source.folders:
            continue
        for label in range(len(names)):
            left = np.flatnonzero((labels == label) & (parts == "train"))
            parts[left[first::every]] = part
    sets = {}
    for split in SPLITS:
        chosen = np.flatnonzero(parts == split)
        if len(chosen) == 0:
            raise InputError(
                f"{name}: too few images for a {split} split; expected at least 6 in some class, "
                f"or a {split}/ folder"
            )
        images, own = torch.from_numpy(source.images[chosen]), torch.from_numpy(labels[chosen])
        sets[split] = ImageSet(images, own, names, name, split, content_hash(images, own, names))
    unlearned = sorted(set(range(len(names))) - set(sets["train"].labels.tolist()))
    if unlearned:  # no probe could ever name it, and nothing else would say so
        raise InputError(
            f"{name}: class {archives.shown(names[unlearned[0]])!r} has no images in the train "
            "split; add some to train/, or remove the class from the other folders"
        )
    return sets


def content_hash(images: Tensor, labels: Tensor, class_names: Sequence[str]) -> str:
    """SHA-256 (hex) of uint8 images, int64 labels (little-endian) and class names."""
    digest = hashlib.sha256("\0".join(class_names).encode("utf-8", "surrogateescape"))
    for tensor, kind in ((images, "u1"), (labels, "<i8")):
        digest.update(np.ascontiguousarray(tensor.cpu().numpy(), dtype=kind).data)
    return digest.hexdigest()


def cache_folder(folder: str | Path | None = None) -> Path:
    """Where decoded images are kept: the argument, the environment variable, or the default."""
    if folder is None:
        folder = os.environ.get("CONTRASTIVE_TUTORIAL_CACHE") or "~/.cache/contrastive_tutorial"
    return Path(folder).expanduser()
