"""Files that fuzzers start from: valid ones of every kind, and some made to hurt."""

from __future__ import annotations

import bz2
import functools
import gzip
import json
import lzma
import struct
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import images
import numpy as np
from PIL import Image

from contrastive_tutorial import records
from contrastive_tutorial.files.storage import save_arrays

KINDS = ("x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2", "x.zip")
_WIDE = (50_000, 1_270)  # just under the limit of pixels


# -- images ----------------------------------------------------------------------------------------


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image file; an empty one where this Pillow writes no such kind."""
    try:
        return images.encoded(image, kind, **options)
    except (OSError, KeyError, ValueError):
        return b""


@functools.cache
def valid_images() -> list[bytes]:
    """Every kind of image file that somebody may call a picture."""
    rgb = Image.fromarray(images.pixels(1, 40, 36))
    frames = [Image.fromarray(images.pixels(i, 40, 36)) for i in range(3)]
    animated = {"save_all": True, "append_images": frames[1:]}
    deep = Image.fromarray((images.pixels(2, 40, 36)[..., 0].astype(np.uint16) << 8) + 7)
    grey = rgb.convert("L")
    made = [_encoded(rgb, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")]
    made += [_encoded(grey, kind) for kind in ("PNG", "JPEG", "TIFF", "PPM", "BMP")]
    made += [_encoded(rgb.convert(mode), "PNG") for mode in ("1", "P", "LA", "RGBA")]
    made += [_encoded(rgb.convert("CMYK"), kind) for kind in ("JPEG", "TIFF")]
    made += [_encoded(deep, kind) for kind in ("PNG", "TIFF", "PPM")]
    made += [_encoded(rgb.convert(mode), "TIFF") for mode in ("F", "I", "LAB", "YCbCr")]
    made += [_encoded(frames[0], kind, **animated) for kind in ("GIF", "PNG", "WEBP", "TIFF")]
    made += [_encoded(rgb, "JPEG", progressive=True), _encoded(rgb, "JPEG", quality=1)]
    made += [_encoded(rgb, "TIFF", compression=name) for name in ("tiff_lzw", "packbits")]
    made += [b"P2 9 9 255\n" + b"7 " * 81, b"P5 9 9 200\n" + bytes(81), images.run_lengths(40, 36)]
    made += [b"", b"\0" * 100]
    exif = Image.Exif()
    exif[0x0112] = 6
    made.append(_encoded(rgb, "JPEG", exif=exif.tobytes()))
    return made


@functools.cache
def wide_images() -> list[bytes]:
    """Fifty thousand pixels wide or high, in little memory."""
    sizes = ((50_000, 1), (1, 50_000), (50_000, 3))
    made = [
        _encoded(Image.new(mode, size), kind)
        for size in sizes
        for mode, kind in (
            ("RGB", "PNG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF"), ("P", "PNG"),
            ("RGB", "TIFF"), ("L", "BMP"), ("I;16", "PNG"), ("L", "PPM"),
        )
    ]  # fmt: skip
    made.append(_encoded(Image.new("1", (50_000, 1_200)), "PNG"))
    made.append(images.bare_png(50_000, 50_000))
    made.append(_encoded(Image.new("RGB", (16_383, 4)), "WEBP"))
    return made


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _encoded(Image.new("RGBA", _WIDE), "PNG", exif=exif.tobytes())


def _animated_webp(height: int) -> bytes:
    pages = [Image.new("RGBA", (16_000, height), colour) for colour in ("red", (1, 2, 3, 4))]
    return _encoded(
        pages[0], "WEBP", save_all=True, append_images=pages[1:], lossless=True, method=0
    )


#: Images at the limits of what is read, which take the decoders' full memory; made when needed.
HEAVY_IMAGES: dict[str, Callable[[], bytes]] = {
    "progressive": lambda: _encoded(Image.new("RGB", _WIDE), "JPEG", progressive=True),
    "cmyk": lambda: _encoded(Image.new("CMYK", _WIDE), "JPEG", progressive=True),
    "palette": lambda: _encoded(Image.new("P", _WIDE), "PNG", transparency=0),
    "turned": _turned,
    "deep": lambda: _encoded(Image.fromarray(np.zeros(_WIDE[::-1], np.uint16)), "PNG"),
    "gif": lambda: _encoded(Image.new("P", _WIDE), "GIF", transparency=0),
    "webp": lambda: _animated_webp(1_990),
    "large webp": lambda: _animated_webp(3_990),
    "levels": lambda: b"P6 2000 999 200\n" + bytes(3 * 1_998_000),
    "many levels": lambda: b"P5 8000 7000 200\n" + bytes(56_000_000),
    "text": lambda: b"P2 2000 999 255\n" + b"0 " * 1_998_000,
    "run lengths": lambda: images.run_lengths(2_000, 999),
}


@functools.cache
def heavy_image(name: str) -> bytes:
    """One of ``HEAVY_IMAGES``."""
    return HEAVY_IMAGES[name]()


# -- archives --------------------------------------------------------------------------------------

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "x.tar.gz": gzip.compress, "x.tar.xz": lzma.compress, "x.tar.bz2": bz2.compress,
}  # fmt: skip


def _repeated(kind: str, block: bytes, times: int, start: bytes = b"") -> bytes:
    """One compressed stream after another is one stream to every reader: compress a block once."""
    compress = _COMPRESS[kind]
    return (compress(start) if start else b"") + compress(block) * times


def _zeros(kind: str) -> bytes:
    return _repeated(kind, images.tar_header(".x", size=32 << 20) + bytes(32 << 20), 64)


def _sparse() -> bytes:
    block = images.sparse_map(2_048)
    return _repeated("x.tar.gz", block, 200, images.sparse_header())


def _folders() -> bytes:
    name = b"aa/" * 1_300
    deep = [images.extended_name(name + b"%06d" % i) for i in range(1_000)]
    return _repeated("x.tar.gz", b"".join(deep), 40)


#: Kind of archive and what it holds: kilobytes or little more that ask for gigabytes or minutes.
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip": ("x.tar.gz", lambda: _zeros("x.tar.gz")),
    "xz": ("x.tar.xz", lambda: _zeros("x.tar.xz")),
    "bzip2": ("x.tar.bz2", lambda: _zeros("x.tar.bz2")),
    "lying zip": ("x.zip", lambda: images.lying_zip("cat/1.png", 100, 1_500)),
    "zip of bzip2": ("x.zip", lambda: images.lying_zip("cat/1.png", 100, 64, 12)),
    "long name": (
        "x.tar.gz",
        lambda: gzip.compress(images.extended(tarfile.GNUTYPE_LONGNAME, b"aa/" * (20 << 20))),
    ),
    "extended header": (
        "x.tar.gz",
        lambda: gzip.compress(
            images.extended(tarfile.XHDTYPE, b"".join(b"13 k%07d=\n" % i for i in range(99_999)))
        ),
    ),
    "headers": (
        "x.tar.gz",
        lambda: _repeated(
            "x.tar.gz",
            b"".join(images.tar_header(f"d{i}", tarfile.DIRTYPE) for i in range(2_000)),
            250,
        ),
    ),
    "sparse": ("x.tar.gz", _sparse),
    "deep folders": ("x.tar.gz", _folders),
    "huge member": ("x.tar", lambda: images.tar_header("cat/1.png", size=1 << 40)),
}


@functools.cache
def bomb(name: str) -> tuple[str, bytes]:
    """One of ``BOMBS``: file name and bytes."""
    kind, make = BOMBS[name]
    return kind, make()


@functools.cache
def valid_archive(kind: str) -> bytes:
    """Six images for training and two for the test of each of two classes."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        return images.write(Path(folder) / kind, images.split_files(6, 2)).read_bytes()


def zip_of_names(names: list[bytes], flags: int = 0) -> bytes:
    """A zip of one-byte files with these very names, and this general purpose flag."""
    body, directory = b"", b""
    for name in names:
        about = struct.pack("<HHHHIIIHH", flags, 0, 0, 33, zlib.crc32(b"x"), 1, 1, len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<HH", 20, 20) + about
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\x03\x04" + struct.pack("<H", 20) + about + name + b"x"
    counts = (0, 0, len(names), len(names), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", *counts)


# -- records and arrays ----------------------------------------------------------------------------


def valid_record(number: int = 0) -> dict[str, Any]:
    """The content of a record."""
    record = records.Record(
        cell="B0", preset="cpu", seed=number, num_subsets=10, data="shapes", data_hash="0",
        evaluation="running", metrics={"cluster_accuracy": 0.25, "nmi": 0.5},
        loss_curve=[(0, 6.9), (10, 5.5)], knn_curve=[(10, 1.5, 0.3)],
    )  # fmt: skip
    return json.loads(record.to_json())


@functools.cache
def valid_arrays() -> bytes:
    """Arrays as a run leaves them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npz"
        save_arrays(path, {"features": np.ones((20, 8), np.float16), "labels": np.arange(20)})
        return path.read_bytes()


def packed_array(kind: str, shape: tuple[int, ...], body: bytes) -> bytes:
    """The content of an ``.npy`` that promises any type and shape."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body
