"""Writing files so that a reader never sees half of one.

Everything that a run leaves behind (records, arrays, checkpoints) goes through
:func:`atomic_write`: a kill, a full disk or a read-only folder leaves the old file or none.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import time
import zipfile
from collections.abc import Mapping
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contrastive_tutorial.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

MAX_ARRAY_BYTES = 1 << 28
_ABANDONED = 86_400  # seconds after which no process can still be writing a temporary file


def atomic_write(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path`` completely or not at all, creating its folder.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and replace
    ``path`` in one rename. What killed processes left of earlier attempts goes after a day.

    Raises:
        InputError: when the disk is full or the folder cannot be written, saying which and what
            to do; the temporary file is removed.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}~")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:  # less the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # also an interrupt between the write and the rename
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise explained(path, error) from error
        raise
    with contextlib.suppress(OSError):  # another process may sweep at the same time
        for left in path.parent.glob(f".{escape(path.name)}.*~"):
            if left.stat().st_mtime < time.time() - _ABANDONED:
                left.unlink()


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Raises:
        InputError: if it cannot be removed, as in a folder that is read-only, or that somebody has
            replaced by a file meanwhile.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise explained(path, error) from error


def explained(path: Path, error: OSError) -> InputError:
    """What to say when ``path`` could not be written or removed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f"{path}: the disk is full; nothing was written. Free some space, or choose another "
            "folder, and run the same command again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InputError(
            f"{path}: the folder cannot be written ({error.strerror}); choose another folder"
        )
    return InputError(f"{path}: cannot be written or removed ({error.strerror or error})")


def require_file(path: str | Path) -> os.stat_result:
    """The status of a plain file. Reading a pipe would wait for ever.

    Raises:
        OSError: if there is none.
        InputError: if it is something else.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: expected a file; remove what is there")
    return status


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as a compressed ``.npz`` without pickles, atomically."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise InputError(f"{path}: array {name!r} holds Python objects; only numbers are kept")
    buffer = io.BytesIO()
    # Objects are refused above: numpy 1 would keep allow_pickle=False as one more array.
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    atomic_write(path, buffer.getvalue())


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read an ``.npz`` written by :func:`save_arrays`; pickled content is refused."""
    path = Path(path)
    try:
        require_file(path)
        with zipfile.ZipFile(path) as packed:  # numpy reads no further than the sizes said here
            size = sum(member.file_size for member in packed.infolist())
            if size > MAX_ARRAY_BYTES:
                raise InputError(
                    f"{path}: unpacks to {size:,} bytes; arrays of one run have at most "
                    f"{MAX_ARRAY_BYTES:,}"
                )
            for member in packed.infolist():
                if not _is_array(packed, member):  # numpy would inflate it to any size
                    raise InputError(
                        f"{path}: holds other files than arrays ({member.filename!r:.100})"
                    )
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for damage
        raise InputError(f"{path}: damaged arrays ({type(error).__name__}: {error})") from error


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors (of :func:`on_host`) and words about them as one safetensors file, atomically.

    Raises:
        InputError: as :func:`atomic_write`.
    """
    from safetensors.torch import save

    atomic_write(path, save(dict(tensors), metadata))


def on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU. safetensors refuses what shares memory or is not contiguous."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, on the CPU, and the words about them.

    Raises:
        OSError, SafetensorError, RuntimeError: whatever is wrong; the caller knows what it is of.
    """
    from safetensors import safe_open

    require_file(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, file.metadata() or {}


def _is_array(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Whether numpy would see an array, compressed in a way that can be unpacked piece by piece."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return False
    with packed.open(member) as file:
        return file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX
