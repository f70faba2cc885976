"""Downloads that are resumed where they stopped, from any of several hosts, and then verified."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.progress import bar

_BLOCK = 1 << 18
_TIMEOUT = 30.0  # seconds without a single byte


@dataclass(frozen=True)
class Download:
    """A file that several hosts offer, and how to know that it is the right one.

    Attributes:
        urls: where it is, in the order in which they are tried.
        size: in bytes.
        checksum: ``sha256:`` or ``md5:`` and the digest in hex.
    """

    urls: tuple[str, ...]
    size: int
    checksum: str

    @property
    def file_name(self) -> str:
        """What the file is called here."""
        return self.urls[0].rsplit("/", 1)[-1]

    def is_at(self, path: Path) -> bool:
        """Whether this very file is there."""
        kind, _, digest = self.checksum.partition(":")
        return path.is_file() and file_digest(path, kind) == digest

    def fetch(self, folder: Path, instead: str) -> Path:
        """The verified file in ``folder``, downloaded if need be.

        A download that stops goes on from its ``.part`` file, from whichever host answers; the
        file gets its name only after its checksum has been verified.

        Args:
            folder: where it is kept.
            instead: what else can be done, for the message.

        Raises:
            InputError: if no host gives the right file, or it cannot be written.
        """
        from filelock import FileLock

        target = folder / self.file_name
        part = target.with_name(target.name + ".part")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{target.name}.lock"):  # two studies started at once
                if self.is_at(target):
                    return target
                reasons = []
                for url in self.urls:
                    reason = self._from(url, part)
                    if reason is None:
                        part.replace(target)
                        return target
                    reasons.append(f"{url}: {reason}")
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            where = getattr(error, "filename", None) or folder
            raise InputError(
                f"{target.name}: {where} cannot be written ({reason}); free some space or choose "
                "another folder with CONTRASTIVE_TUTORIAL_CACHE, then run the same command again: "
                "the download goes on where it stopped"
            ) from error
        raise InputError(
            f"{target.name}: could not be downloaded ({'; '.join(reasons)}); {instead}"
        )

    def _from(self, url: str, part: Path) -> str | None:
        """Fetch one URL into ``part``. Returns why it failed, or None."""
        have, reason = -1, ""
        while True:
            before, have = have, part.stat().st_size if part.exists() else 0
            if have >= self.size:
                if self.is_at(part):
                    return None
                part.unlink()
                return "the file has the wrong checksum"
            if have == before:
                return reason
            reason = _continue(url, part, have, self.size)


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
                bar(part.stem, "B", size, initial=start, unit_scale=True) as shown,
            ):
                while block := _next_block(answer):
                    file.write(block)
                    shown.update(len(block))
        return "the connection ended early"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (urllib.error.URLError, _InterruptedError) as error:
        return f"no connection ({error.args[0]})"
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        return f"no connection ({type(error).__name__})"


class _InterruptedError(Exception):
    """The network failed; told apart from a disk that failed."""


def _next_block(answer: Any) -> bytes:
    try:
        return answer.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(str(error) or type(error).__name__) from error


def file_digest(path: Path, kind: str = "sha256") -> str:
    """The digest of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
