"""One process at a time works on a record, however many studies share its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from contrastive_tutorial.files.storage import atomic_write, explained


@contextmanager
def exclusive(target: str | Path) -> Iterator[bool]:
    """Whether this process, and no other, may work on ``target`` now.

    A lock beside the file, which the system drops when the process dies, however it dies.

    Raises:
        InputError: if nothing can be written there, saying why.
    """
    from filelock import FileLock, Timeout

    target = Path(target)
    _require_writable(target.parent)
    lock = FileLock(target.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pass
    except OSError as error:  # the file of the lock itself could not be made
        raise explained(target, error) from error
    if not lock.is_locked:
        yield False
        return
    try:
        yield True
    finally:
        # The file goes before the lock does. The other way round, a second process could take the
        # old file's lock just before it vanishes, and a third one a new file's: both would start.
        with suppress(OSError):  # Windows keeps files that are open
            target.with_suffix(".lock").unlink()
        lock.release()


def _require_writable(folder: Path) -> None:
    probe = folder / ".writable"
    atomic_write(probe, b"")
    probe.unlink(missing_ok=True)
