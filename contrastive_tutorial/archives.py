"""Images from a folder or an archive in the ImageFolder layout, however large, broken or hostile.

``train/<class>/...`` and ``test/<class>/...``, optionally ``val/<class>/...``; or ``<class>/...``
alone. An archive is read member by member as a stream and never unpacked onto the disk. What is
not an ordinary image inside the limits is refused by name, before it is decoded.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import threading
import unicodedata
import warnings
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import numpy as np
from PIL import Image, ImageOps

from contrastive_tutorial.errors import InputError

SIDE = 32
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".txz", ".zip")
# Decoders that Pillow may choose from: raster formats only (its EPS reader starts Ghostscript).
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_CLUTTER = {"thumbs.db", "desktop.ini", "__macosx"}
_BATCH = 256  # images handed to a decoding thread at a time
_MEBI = 1 << 20
# What the readers of broken files raise, beyond OSError.
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, ValueError,
    NotImplementedError, RuntimeError, UnicodeError, IndexError, KeyError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How much a source may ask of the machine before it is refused.

    Attributes:
        image_pixels: width times height of one image, read from its header.
        member_bytes: size of one file.
        images: number of images (each takes 3,072 bytes once decoded).
        expansion: an archive may unpack to this multiple of its own size, plus 256 MiB.
    """

    image_pixels: int = 64_000_000
    member_bytes: int = 64 * _MEBI
    images: int = 300_000
    expansion: int = 100


@dataclass(frozen=True)
class Decoded:
    """The images of one source in the order of their names.

    Attributes:
        images: uint8 ``(N, 3, 32, 32)``.
        classes: class name of every image.
        folders: "train", "val", "test" or, where the source has none of them, "" of every image.
    """

    images: np.ndarray
    classes: list[str]
    folders: list[str]


def is_archive(path: Path) -> bool:
    """Whether the name is that of a supported archive."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def stem(path: Path) -> str:
    """The name without the folder and without the archive's suffix."""
    name = path.name
    for suffix in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or name
    return name


def read(path: Path, limits: Limits, progress: Any = None) -> Decoded:
    """Decode every image of a folder or archive, resized and centre-cropped to 32x32 RGB.

    Args:
        path: a folder, or an archive with one of :data:`ARCHIVE_SUFFIXES`.
        limits: see :class:`Limits`.
        progress: called with the number of images decoded since the last call.

    Raises:
        InputError: naming the file or archive member that cannot be used, and why.
    """
    members = _archive_members(path, limits) if is_archive(path) else _folder_members(path, limits)
    names: list[PurePosixPath] = []
    folders: set[PurePosixPath] = set()
    decoded: list[np.ndarray] = []
    for name, pixels in _decode_all(path, members, limits):
        if pixels is None:
            folders.add(name)
            continue
        names.append(name)
        decoded.append(pixels)
        if progress is not None and len(names) % _BATCH == 0:
            progress(_BATCH)
    if not names:
        raise InputError(
            f"{path}: no images in it; expected train/<class>/* and test/<class>/*, or <class>/*"
        )
    where, classes = _layout(path, names, folders)
    order = sorted(range(len(names)), key=lambda i: names[i].parts)
    images = np.empty((len(order), 3, SIDE, SIDE), np.uint8)
    for row, i in enumerate(order):
        images[row] = decoded[i].transpose(2, 0, 1)
    return Decoded(images, [classes[i] for i in order], [where[i] for i in order])


# -- names and layout ------------------------------------------------------------------------------


def shown(name: object) -> str:
    """A name from a file, made fit for one line of a message."""
    text = "".join(
        c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in str(name)
    )
    return text if len(text) <= 100 else f"{text[:60]}...{text[-30:]}"


def _checked(path: Path, raw: str) -> PurePosixPath | None:
    """A member's name as a relative path; None for hidden files that archivers leave behind."""
    name = PurePosixPath(raw.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or (name.parts and ":" in name.parts[0]):
        raise InputError(
            f"{path}: member {shown(raw)!r} has an absolute name or leads out of the archive; "
            "make the archive again from inside the folder"
        )
    if any(part.startswith(".") or part.lower() in _CLUTTER for part in name.parts):
        return None
    return name


def _layout(
    path: Path, names: list[PurePosixPath], folders: set[PurePosixPath]
) -> tuple[list[str], list[str]]:
    """Folder ("train", "val", "test" or "") and class of every image."""
    depth = _wrapping(names)
    tops = {name.parts[depth] for name in names}
    has_train = "train" in tops and all(len(n.parts) > depth + 2 for n in names)
    if has_train and (odd := tops - {"train", "val", "test"}):
        raise InputError(
            f"{path}: {shown(min(odd))!r} stands beside train/; expected only train/, val/ and "
            "test/ there"
        )
    if "test" in tops and not has_train and len(tops) == 1:
        raise InputError(f"{path}: there is a test/ folder but no train/<class>/*")
    where, classes = [], []
    level = depth + 1 if has_train else depth
    for name in names:
        if len(name.parts) < level + 2:
            raise InputError(
                f"{path}: image {shown(name)!r} lies outside a class folder; expected "
                + ("train/<class>/image" if has_train else "<class>/image")
            )
        where.append(name.parts[depth] if has_train else "")
        classes.append(name.parts[level])
    for folder in sorted(folders):
        if len(folder.parts) == level + 1 and not any(_inside(folder, name) for name in names):
            raise InputError(
                f"{path}: class folder {shown(folder)!r} has no images; add some or remove it"
            )
    return where, classes


def _inside(folder: PurePosixPath, name: PurePosixPath) -> bool:
    return name.parts[: len(folder.parts)] == folder.parts


def _wrapping(names: list[PurePosixPath]) -> int:
    """How many folders wrap everything, as in ``pets/train/cat/1.jpg``."""
    shortest = min(len(name.parts) for name in names)
    depth = 0
    while depth < shortest - 2:
        tops = {name.parts[depth] for name in names}
        if len(tops) > 1 or "train" in tops:
            break
        depth += 1
    return depth


# -- folders and archives: (name, bytes) of files, (name, None) of folders ------------------------

_Members = Iterator[tuple[PurePosixPath, bytes | None]]


def _too_many(path: Path, limits: Limits) -> InputError:
    return InputError(f"{path}: more than {limits.images:,} images; use fewer, or raise the limit")


def _too_big(path: Path, name: object, size: int, limits: Limits) -> InputError:
    return InputError(
        f"{path}: {shown(name)!r} has {size:,} bytes; the limit for one image file is "
        f"{limits.member_bytes:,}"
    )


def _folder_files(path: Path) -> Iterator[tuple[PurePosixPath, Path, os.stat_result]]:
    """Every entry that is not hidden, in order. Links in one's own folder are followed."""
    seen: set[tuple[int, int]] = set()
    waiting = [PurePosixPath()]
    while waiting:
        folder = waiting.pop()
        inner = []
        for entry in sorted(os.listdir(path / folder)):
            name = _checked(path, str(folder / entry)) if ":" not in entry else folder / entry
            if name is None:
                continue
            status = os.stat(path / name)
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in seen:
                    raise InputError(f"{path}: {shown(name)!r} links back to a folder above it")
                seen.add((status.st_dev, status.st_ino))
                inner.append(name)
            yield name, path / name, status
        waiting += reversed(inner)


def _folder_members(path: Path, limits: Limits) -> _Members:
    for name, file, status in _folder_files(path):
        if stat.S_ISDIR(status.st_mode):
            yield name, None
        elif not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: {shown(name)!r} is neither a file nor a folder; remove it")
        elif status.st_size > limits.member_bytes:
            raise _too_big(path, name, status.st_size, limits)
        else:
            yield name, file.read_bytes()


def listing(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of change (ns) of every file in a folder, to tell whether it changed."""
    for name, _, status in _folder_files(path):
        yield str(name), status.st_size, status.st_mtime_ns


def _archive_members(path: Path, limits: Limits) -> _Members:
    budget = 256 * _MEBI + limits.expansion * path.stat().st_size
    seen: set[PurePosixPath] = set()
    source = _zip_members if path.suffix.lower() == ".zip" else _tar_members
    for name, content in source(path, limits, budget):
        if content is not None:
            if name in seen:
                raise InputError(f"{path}: member {shown(name)!r} appears twice")
            seen.add(name)
        yield name, content


class _Bounded(io.RawIOBase):
    """A decompressed stream that refuses to grow past a budget, or to return too much at once."""

    def __init__(self, path: Path, stream: IO[bytes], budget: int, at_once: int):
        self._path, self._stream, self._budget, self._at_once = path, stream, budget, at_once

    def _refuse(self) -> InputError:
        return InputError(
            f"{self._path}: it unpacks to far more than an archive of images of its size; refused"
        )

    def read(self, size: int = -1) -> bytes:
        # tarfile reads a whole extended header at once, however long the archive says it is
        if size < 0 or size > self._at_once:
            raise self._refuse()
        if self._stream.tell() + size > self._budget:
            size = max(0, self._budget - self._stream.tell())
            if not (content := self._stream.read(size)) and self._stream.read(1):
                raise self._refuse()
            return content
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence != 0 or offset > self._budget:
            raise self._refuse()
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


def _opened(path: Path) -> IO[bytes]:
    name = path.name.lower()
    if name.endswith(("gz",)):
        return cast(IO[bytes], gzip.open(path))
    if name.endswith("xz"):
        return cast(IO[bytes], lzma.open(path))
    if name.endswith("bz2"):
        return cast(IO[bytes], bz2.open(path))
    return path.open("rb")


def _tar_members(path: Path, limits: Limits, budget: int) -> _Members:
    with _opened(path) as stream:
        bounded = _Bounded(path, stream, budget, max(limits.member_bytes, _MEBI))
        with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # a stream needs no table of contents, however long it gets
                name = _checked(path, member.name)
                if member.issym() or member.islnk():
                    raise InputError(
                        f"{path}: member {shown(member.name)!r} is a link; replace it by its target"
                    )
                if not (member.isfile() or member.isdir()):
                    raise InputError(
                        f"{path}: member {shown(member.name)!r} is neither a file nor a folder"
                    )
                if member.size > limits.member_bytes:
                    raise _too_big(path, f"member {member.name}", member.size, limits)
                if name is None:
                    continue
                if member.isdir():
                    yield name, None
                    continue
                content = cast(IO[bytes], archive.extractfile(member)).read()
                if len(content) != member.size:
                    raise EOFError("ends in the middle of a member")
                yield name, content


def _zip_members(path: Path, limits: Limits, budget: int) -> _Members:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > budget:
            raise InputError(
                f"{path}: it unpacks to far more than an archive of images of its size; refused"
            )
        for member in members:
            name = _checked(path, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind == stat.S_IFLNK:
                raise InputError(
                    f"{path}: member {shown(member.filename)!r} is a link; replace it by its target"
                )
            if member.flag_bits & 1:
                raise InputError(
                    f"{path}: member {shown(member.filename)!r} is encrypted; make an archive "
                    "without a password"
                )
            if member.file_size > limits.member_bytes:
                raise _too_big(path, f"member {member.filename}", member.file_size, limits)
            if name is not None:
                yield name, None if member.is_dir() else archive.read(member)


# -- decoding --------------------------------------------------------------------------------------


def _decode_all(
    path: Path, members: _Members, limits: Limits
) -> Iterator[tuple[PurePosixPath, np.ndarray | None]]:
    """Decode in threads while the main one goes on reading: unpacking xz takes half the time."""
    large = threading.Lock()  # one large image at a time, whatever the number of threads

    def decode(batch: list[tuple[PurePosixPath, bytes]]) -> list[tuple[PurePosixPath, np.ndarray]]:
        return [(name, decode_image(path, name, content, limits, large)) for name, content in batch]

    waiting: deque[Future[list[tuple[PurePosixPath, np.ndarray]]]] = deque()
    workers = max(1, min(4, os.cpu_count() or 1))
    count, size = 0, 0
    batch: list[tuple[PurePosixPath, bytes]] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for name, content in _readable(path, members):
                if content is None:
                    yield name, None
                    continue
                count, size = count + 1, size + len(content)
                if count > limits.images:
                    raise _too_many(path, limits)
                batch.append((name, content))
                if len(batch) == _BATCH or size > 8 * _MEBI:
                    waiting.append(pool.submit(decode, batch))
                    batch, size = [], 0
                if len(waiting) > workers:
                    yield from waiting.popleft().result()
            waiting.append(pool.submit(decode, batch))
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _readable(path: Path, members: _Members) -> _Members:
    """Pass members through; say in one line what made the rest unreadable."""
    try:
        yield from members
    except InputError:
        raise
    except OSError as error:
        if error.errno is None:  # gzip and bz2 report damage this way
            raise InputError(f"{path}: damaged or not what its name says ({error})") from error
        where = error.filename if error.filename is not None else path
        raise InputError(f"{shown(where)}: cannot be read ({error.strerror})") from error
    except _BROKEN as error:
        raise InputError(
            f"{path}: damaged, incomplete or not what its name says ({shown(error)}); "
            "get or make it again"
        ) from error


def decode_image(
    path: Path,
    name: PurePosixPath,
    content: bytes,
    limits: Limits,
    large: threading.Lock | None = None,
) -> np.ndarray:
    """One file as uint8 ``(32, 32, 3)``: first frame, upright, over white, resized and cropped.

    Raises:
        InputError: naming the file, if it is not an image, damaged, too large, or has pixels of
            32 bits and more.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd files; errors still raise
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                pixels = image.width * image.height
                if pixels > limits.image_pixels:
                    raise InputError(
                        f"{path}: image {shown(name)!r} has {image.width} x {image.height} pixels; "
                        f"the limit is {limits.image_pixels:,}"
                    )
                if pixels <= 1_000_000 or large is None:
                    return _to_rgb(path, name, image)
                with large:
                    return _to_rgb(path, name, image)
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly everything on hostile bytes
        reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else "damaged"
        raise InputError(
            f"{path}: {shown(name)!r} is {reason} (expected JPEG, PNG, WebP, BMP, GIF, TIFF or "
            "PPM); remove or replace it"
        ) from error


def _to_rgb(path: Path, name: PurePosixPath, image: Image.Image) -> np.ndarray:
    target = (SIDE, SIDE)
    if image.format == "JPEG" and min(image.size) >= 8 * SIDE:
        image.draft(None, (4 * SIDE, 4 * SIDE))  # the decoder shrinks by 2, 4 or 8 for free
    if image.mode == "RGB" and image.size == target and "exif" not in image.info:
        return np.asarray(image)
    if "exif" in image.info or image.format == "TIFF":
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        sixteen = np.asarray(image)
        image = Image.fromarray((sixteen >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise InputError(
            f"{path}: image {shown(name)!r} has pixels of 32 bits; convert it to 8 or 16 bits"
        )
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = ImageOps.fit(image.convert("RGBA"), target, Image.Resampling.BILINEAR)
        white = Image.new("RGBA", target, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    image = image.convert("RGB")
    if image.size != target:
        image = ImageOps.fit(image, target, Image.Resampling.BILINEAR)
    return np.asarray(image)


def class_names(classes: Iterable[str]) -> tuple[str, ...]:
    """The distinct classes in the order of their names."""
    return tuple(sorted(set(classes)))
