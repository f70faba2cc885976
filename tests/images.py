"""Small image files and archives for the tests of everything that reads them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

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


def write_zip(path: Path, content: Iterable[File], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content:
            archive.writestr(name, data)
    return path


def write(path: Path, content: Iterable[File]) -> Path:
    """A folder, tar or zip, as the name says."""
    if path.suffix == ".zip":
        return write_zip(path, content)
    return write_tar(path, content) if ".t" in path.name else write_folder(path, content)
