"""Files of a folder or an archive as a stream of names and bytes, however large, broken or hostile.

An archive is read member by member and never unpacked onto the disk. Links, names that lead out of
the archive, and whatever exceeds the limits are refused by name, before they are read. What kind
of archive it is, its first bytes say: browsers unpack a ``.tar.gz`` and leave the name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.names import legacy_code, shown

ARCHIVE_SUFFIXES = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip",
)  # fmt: skip

#: The parts of a name, for example ``("train", "cat", "1.jpg")``.
Name = tuple[str, ...]
#: A file's name and bytes, or a folder's name and None.
Member = tuple[Name, bytes | None]
#: Called with a file's name before it is read; whether to pass over it.
Skip = Callable[[Name], bool]

_CLUTTER = {"thumbs.db", "desktop.ini", "__macosx"}
_MEBI = 1 << 20
_END_OF_TAR = bytes(tarfile.BLOCKSIZE)
# Longer names and deeper folders belong to no image, and a small archive can hold a million.
_NAME_CHARACTERS, _NAME_PARTS = 1_024, 32
# What the standard library raises on broken archives, beyond OSError.
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, ValueError,
    NotImplementedError, RuntimeError, IndexError, KeyError, OverflowError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """How much a source may ask of the machine before it is refused.

    Attributes:
        image_pixels: width times height of one image, read from its header.
        member_bytes: size of one file.
        images: number of images (each takes 3,072 bytes once decoded).
        expansion: an archive may unpack to this multiple of its own size, plus 256 MiB. Of that,
            the headers of a tar may take a tenth of the multiple, plus 32 MiB.
    """

    image_pixels: int = 64_000_000
    member_bytes: int = 64 * _MEBI
    images: int = 300_000
    expansion: int = 100

    def budget(self, archive_bytes: int) -> int:
        """Bytes that an archive of this size may unpack to."""
        return 256 * _MEBI + self.expansion * archive_bytes

    def header_budget(self, archive_bytes: int) -> int:
        """Bytes of them that may be headers, each of which costs as much time as a kilobyte."""
        return 32 * _MEBI + self.expansion * archive_bytes // 10


def is_archive(path: Path) -> bool:
    """Whether the name is that of a supported archive."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def stem(path: Path) -> str:
    """The name without its folder and without the archive's suffix."""
    for suffix in sorted(ARCHIVE_SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)] or path.name
    return path.name


def members(
    path: Path, limits: Limits, skip: Skip = lambda _: False, say: Callable[[str], object] = str
) -> Iterator[Member]:
    """Every file and folder below a folder or in an archive, except hidden ones.

    Args:
        path: a folder or an archive.
        limits: what is refused.
        skip: files for which it returns True are passed over unread, however large they are.
        say: called with what the reader had to decide about this source, in one line.

    Raises:
        InputError: naming the file or member that cannot be used, and why; or saying that the
            archive is damaged. Raised while iterating.
    """
    try:
        if path.is_dir():
            yield from _folder_members(path, limits, skip)
        elif (kind := _kind(path)) == "zip":
            yield from _once(path, _zip_members(path, limits, skip, say))
        else:
            yield from _once(path, _tar_members(path, limits, skip, kind))
    except InputError:
        raise
    except (OSError, *_BROKEN) as error:
        # zipfile takes a disk that fails for a file that is no zip
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError) or cause.errno is None:  # gzip and bz2 raise it so
            raise InputError(
                f"{path}: damaged, incomplete or not what its name says "
                f"({shown(error) or type(error).__name__}); get or make it again"
            ) from error
        where = path if cause.filename is None else cause.filename
        raise InputError(f"{shown(where)}: cannot be read ({cause.strerror})") from error


def _refused(path: Path, name: object, reason: str) -> InputError:
    return InputError(f"{path}: {shown(name)!r} {reason}")


def _check_size(path: Path, name: object, size: int, limits: Limits) -> None:
    if not 0 <= size <= limits.member_bytes:
        raise _refused(
            path, name, f"has {size:,} bytes; the limit for one image is {limits.member_bytes:,}"
        )


def _hidden(part: str) -> bool:
    """Whether a file manager or archiver left this behind."""
    return part.startswith(".") or part.lower() in _CLUTTER


# -- folders ---------------------------------------------------------------------------------------


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _folder_members(folder: Path, limits: Limits, skip: Skip) -> Iterator[Member]:
    """Every entry that is not hidden. Links in one's own folder are followed, loops are refused."""
    above: tuple[tuple[int, int], ...] = (_identity(os.stat(folder)),)
    waiting: list[tuple[Name, tuple[tuple[int, int], ...]]] = [((), above)]
    found = 0
    while waiting:
        parent, above = waiting.pop()
        for entry in sorted(os.listdir(folder.joinpath(*parent))):
            if _hidden(entry):
                continue
            name: Name = (*parent, entry)
            status = os.stat(folder.joinpath(*name))
            if stat.S_ISDIR(status.st_mode):
                if _identity(status) in above:
                    raise _refused(folder, name, "links to a folder that it lies in; remove it")
                found += 1
                if len(name) > _NAME_PARTS or found > limits.images:  # links make any number
                    raise _refused(
                        folder, name, f"is one folder too many: at most {limits.images:,} in "
                        f"{_NAME_PARTS} levels are read",
                    )  # fmt: skip
                waiting.append((name, (*above, _identity(status))))
                yield name, None
            elif not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
                raise _refused(folder, name, "is neither a file nor a folder; remove it")
            elif not skip(name):
                _check_size(folder, name, status.st_size, limits)
                yield name, folder.joinpath(*name).read_bytes()


# -- archives --------------------------------------------------------------------------------------


def _once(path: Path, found: Iterator[Member]) -> Iterator[Member]:
    """Pass members through, but no file name twice."""
    seen: set[Name] = set()
    for name, content in found:
        if content is not None:
            if name in seen:
                raise _refused(path, name, "appears twice; make the archive again")
            seen.add(name)
        yield name, content


def _parts(path: Path, raw: str) -> Name | None:
    """A member's name in parts; None if it is hidden."""
    whole = raw.replace("\\", "/").split("/")
    if (whole[0] == "" and len(whole) > 1) or ".." in whole or whole[0].endswith(":"):
        raise _refused(
            path, raw, "has an absolute name or leads out of the archive; make the archive again "
            "from inside the folder",
        )  # fmt: skip
    parts = tuple(part for part in whole if part not in ("", "."))
    if len(raw) > _NAME_CHARACTERS or len(parts) > _NAME_PARTS:
        raise _refused(
            path, raw, f"has a name of {len(raw):,} characters in {len(parts)} folders; at most "
            f"{_NAME_CHARACTERS:,} in {_NAME_PARTS} are read",
        )  # fmt: skip
    return None if not parts or any(map(_hidden, parts)) else parts


def _too_large(path: Path) -> InputError:
    return InputError(
        f"{path}: unpacks to far more than images in an archive of its size could; refused"
    )


class _Bounded(io.RawIOBase):
    """A decompressed stream with budgets: for everything, for headers, and for one header.

    ``tarfile`` reads through :meth:`read`, and headers only. It takes an extended header, or a map
    of a sparse file, as it comes, however long that is.
    """

    def __init__(self, path: Path, stream: IO[bytes], limits: Limits):
        self._path, self._stream = path, stream
        size = path.stat().st_size
        self._budget, self._headers = limits.budget(size), limits.header_budget(size)
        self._header = _MEBI
        self.last = b""  # what was read last

    def next_header(self) -> None:
        """The header before this one has ended."""
        self._header = _MEBI

    def read(self, size: int = -1) -> bytes:
        self._header -= size
        self._headers -= size
        if size < 0 or self._header < 0 or self._headers < 0:
            raise _too_large(self._path)
        return self.content(size)

    def content(self, size: int) -> bytes:
        """What is not a header."""
        if self._stream.tell() + size > self._budget:
            raise _too_large(self._path)
        self.last = self._stream.read(size)
        return self.last

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset > self._budget:
            raise _too_large(self._path)
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


def _kind(path: Path) -> str:
    """What the first bytes say; a file without any is what its name says."""
    with path.open("rb") as file:
        start = file.read(6)
    for kind, magic in (
        ("zip", b"PK"),
        ("gz", b"\x1f\x8b"),
        ("bz2", b"BZh"),
        ("xz", b"\xfd7zXZ\0"),
    ):
        if start.startswith(magic):
            return kind
    # a zip may begin with a program that unpacks it
    return "zip" if path.suffix.lower() == ".zip" else "tar"


def _decompressed(path: Path, kind: str) -> IO[bytes]:
    if kind == "gz":
        return cast(IO[bytes], gzip.open(path))
    if kind == "bz2":
        return cast(IO[bytes], bz2.open(path))
    if kind == "xz":
        with path.open("rb") as file:  # the header may ask for gigabytes of dictionary
            lzma.LZMADecompressor(memlimit=256 * _MEBI).decompress(file.read(4096), max_length=1)
        return cast(IO[bytes], lzma.open(path))
    return path.open("rb")


def _tar_members(path: Path, limits: Limits, skip: Skip, kind: str) -> Iterator[Member]:
    with _decompressed(path, kind) as stream:
        bounded = _Bounded(path, stream, limits)
        with tarfile.open(fileobj=cast(IO[bytes], bounded), mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # or it keeps every header
                bounded.next_header()
                name = _parts(path, member.name)
                if member.issym() or member.islnk():
                    raise _refused(path, member.name, "is a link; put its target in its place")
                if member.issparse() or not (member.isfile() or member.isdir()):
                    raise _refused(path, member.name, "is neither a plain file nor a folder")
                if name is None:
                    continue
                if member.isdir():
                    yield name, None
                    continue
                if skip(name):
                    continue
                _check_size(path, member.name, member.size, limits)
                bounded.seek(member.offset_data)
                content = bounded.content(member.size)
                if len(content) != member.size:
                    raise EOFError("it ends in the middle of a file")
                yield name, content
            # tarfile takes a cut or overwritten header for the end: only zeros are the end
            if bounded.last != _END_OF_TAR:
                raise EOFError("it ends before its end mark")
            while bounded.content(_MEBI):  # the checksum of a compressed stream stands at its end
                pass


def _zip_members(
    path: Path, limits: Limits, skip: Skip, say: Callable[[str], object]
) -> Iterator[Member]:
    _check_directory(path, limits)
    with zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
        if sum(member.file_size for member in listed) > limits.budget(path.stat().st_size):
            raise _too_large(path)
        names = _zip_names(listed, say)
        for member, raw in zip(listed, names, strict=True):
            name = _parts(path, raw)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refused(path, raw, "is a link; put its target in its place")
            if name is None:
                continue
            if member.is_dir():
                yield name, None
                continue
            if skip(name):
                continue
            if member.flag_bits & 1:
                raise _refused(path, raw, "is encrypted; use no password")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # the other decompressors cannot be stopped at a size
                raise _refused(path, raw, "uses an unusual compression; use deflate")
            _check_size(path, raw, member.file_size, limits)
            with archive.open(member) as file:  # archive.read would inflate before it counts
                content = file.read(member.file_size)
                if len(content) != member.file_size or file.read(1):
                    raise EOFError(f"{shown(name)} has another size than it says")
            yield name, content


def _check_directory(path: Path, limits: Limits) -> None:
    """Refuse a directory of millions of entries, which ``zipfile`` takes into memory first.

    Counts the mark that begins an entry; a picture holds it by chance once in four gigabytes.
    """
    most = 2 * limits.images + 1_000  # every file may have a hidden twin, as a Mac makes them
    count, rest = 0, b""
    with path.open("rb") as file:
        while block := file.read(_MEBI):
            block, rest = rest + block, block[-3:]
            count += block.count(b"PK\x01\x02")
            if count > most:
                raise InputError(f"{path}: more than {most:,} files; the limit of images is lower")


def _zip_names(listed: list[zipfile.ZipInfo], say: Callable[[str], object]) -> list[str]:
    """The names; those that no flag calls UTF-8 in the code that they are most likely in.

    ``zipfile`` takes such names for code page 437, from which every byte can be had back.
    """
    names = [member.filename for member in listed]
    old = {
        i: member.orig_filename.encode("cp437")
        for i, member in enumerate(listed)
        if not member.flag_bits & 0x800
        and not member.filename.isascii()
        and member.filename == member.orig_filename  # else a field of its own gave the name
    }
    if not old:
        return names
    code = legacy_code(list(old.values()))
    for i, raw in old.items():
        names[i] = raw.decode(code)
    if code not in ("utf-8", "cp437"):
        label = {"gb18030": "GBK", "cp932": "Shift-JIS", "big5": "Big5"}[code]
        say(f"the zip does not say how its names are written; read as {label}, for example "
            f"{shown(names[next(iter(old))])!r}")  # fmt: skip
    return names
