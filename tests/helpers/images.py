"""Small image files and archives for the tests of everything that reads them."""

from __future__ import annotations

import bz2
import hashlib
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from contrastive_tutorial.data import ImageSet

File = tuple[str, bytes]


def pixels(number: int, width: int = 32, height: int = 32) -> np.ndarray:
    """uint8 ``(height, width, 3)``, different for every number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image file in memory."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def content_hash(found: ImageSet) -> str:
    """Of an image set, worked out anew."""
    labels = found.labels.numpy().astype("<i8").tobytes()
    content = "\0".join(found.class_names).encode() + found.images.numpy().tobytes() + labels
    return hashlib.sha256(content).hexdigest()


def files(
    per_class: int = 10, classes: Iterable[str] = ("cat", "dog"), top: str = ""
) -> list[File]:
    """PNG files ``<top><class>/NN.png``, every one different."""
    return [
        (f"{top}{label}/{i:02}.png", encoded(pixels(1_000 * c + i + 77 * len(top))))
        for c, label in enumerate(classes)
        for i in range(per_class)
    ]


def split_files(train: int = 10, test: int = 3) -> list[File]:
    """The ImageFolder layout with train/ and test/."""
    return files(train, top="train/") + files(test, top="test/")


def write_folder(folder: Path, content: Iterable[File]) -> Path:
    for name, data in content:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_tar(path: Path, content: Iterable[File | tarfile.TarInfo]) -> Path:
    """A tar, compressed as the name says. A bare ``TarInfo`` is a member without data."""
    kind = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz", "txz": "w:xz"}
    with tarfile.open(path, kind.get(path.name.rsplit(".", 1)[-1], "w")) as archive:
        for item in content:
            if isinstance(item, tarfile.TarInfo):
                archive.addfile(item)
                continue
            member = tarfile.TarInfo(item[0])
            member.size = len(item[1])
            archive.addfile(member, io.BytesIO(item[1]))
    return path


def write_zip(
    path: Path,
    content: Iterable[File | tuple[zipfile.ZipInfo, bytes]],
    method: int = zipfile.ZIP_DEFLATED,
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content:
            archive.writestr(name, data)
    return path


def lying_zip(name: str, says: int, zeros: int, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of one member that says that it holds ``says`` bytes and holds a number of MiB."""
    raw = {
        zipfile.ZIP_DEFLATED: lambda: zlib.compressobj(9, zlib.DEFLATED, -15),
        zipfile.ZIP_BZIP2: bz2.BZ2Compressor,
    }[method]()
    body = b"".join(raw.compress(bytes(1 << 20)) for _ in range(zeros)) + raw.flush()
    # the checksum is that of what the reader should see, so that it does not save the reader
    sizes = zlib.crc32(bytes(says)), len(body), says
    encoded_name = name.encode()
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 46, 0, method, 0, 33, *sizes, len(name), 0)
    entry = struct.pack(
        "<IHHHHHHIIIHHHHHII", 0x02014B50, 46, 46, 0, method, 0, 33, *sizes, len(name), 0, 0, 0, 0,
        0, 0,
    )  # fmt: skip
    content = local + encoded_name + body
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, 46 + len(name), len(content), 0)
    return content + entry + encoded_name + end


def tar_header(name: str = "x", kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    """The block that introduces a member."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def extended(kind: bytes, body: bytes, member: bytes | None = None) -> bytes:
    """A member with an extended header, or with a long name, before its own."""
    own = tar_header() if member is None else member
    return tar_header("x", kind, len(body)) + body + bytes(-len(body) % 512) + own


def extended_name(name: bytes) -> bytes:
    """A folder of this name, as an extended header."""
    rest = b" path=" + name + b"\n"
    length = next(n for n in range(len(rest), len(rest) + 9) if n == len(rest) + len(str(n)))
    folder = tar_header("x", tarfile.DIRTYPE)
    return extended(tarfile.XHDTYPE, str(length).encode() + rest, folder)


def sparse_header() -> bytes:
    """A sparse file as GNU tar wrote it, whose map goes on in the next block."""
    header = bytearray(tar_header("x", tarfile.GNUTYPE_SPARSE))
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def sparse_map(blocks: int) -> bytes:
    """Blocks of such a map; each says that another one follows."""
    block = bytearray(b"00000000001\0" * 42 + bytes(8))
    block[504] = 1
    return bytes(block) * blocks


def bare_png(
    width: int, height: int, depth: int = 8, kind: int = 0, lines: bytes = b"", clear: bytes = b""
) -> bytes:
    """A PNG that promises a size; ``lines`` are its rows, each after a filter byte; what is
    ``clear`` is transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", clear) if clear else b"")
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


def deep_tiff(colours: np.ndarray) -> bytes:
    """A TIFF of uint16 ``(height, width, 3)``, in the order of bytes that the array has."""
    height, width, _ = colours.shape
    order = ">" if colours.dtype.str.startswith(">") else "<"
    data = colours.astype(f"{order}u2").tobytes()
    after = 8 + 2 + 12 * 9 + 4  # the header, and a list of nine tags
    short, long = 3, 4
    tags = [
        (256, short, 1, width), (257, short, 1, height), (258, short, 3, after),
        (259, short, 1, 1), (262, short, 1, 2), (273, long, 1, after + 6), (277, short, 1, 3),
        (278, short, 1, height), (279, long, 1, len(data)),
    ]  # fmt: skip
    listed = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + struct.pack(f"{order}HH" if (kind, count) == (short, 1) else f"{order}I",
                      *((value, 0) if (kind, count) == (short, 1) else (value,)))
        for tag, kind, count, value in tags
    )  # fmt: skip
    start = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, len(tags))
    return start + listed + struct.pack(f"{order}I3H", 0, 16, 16, 16) + data


def run_lengths(width: int, height: int) -> bytes:
    """A run-length encoded BMP, black, in runs of one pixel."""
    data, palette = (b"\1\0" * width + b"\0\0") * height + b"\0\1", bytes(1024)
    start = 14 + 40 + len(palette)
    about = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0
    )  # fmt: skip
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + about + palette + data


def write(path: Path, content: Iterable[File]) -> Path:
    """A folder, tar or zip, as the name says."""
    if path.suffix == ".zip":
        return write_zip(path, content)
    return write_tar(path, content) if ".t" in path.name else write_folder(path, content)
