"""One process at a time works on a record, however many studies share its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.storage import explained


@contextmanager
def exclusive(target: str | Path) -> Iterator[bool]:
    """Whether this process, and no other, may work on ``target`` now.

    The lock is a file in a hidden folder beside ``target``; the system drops it when the process
    dies, however it dies. The empty file stays: if it were removed, a process that opened it a
    moment ago would hold a lock that nobody else can see. Who gets the lock also removes what a
    killed process left of the files that begin with the stem of ``target``.

    Raises:
        InputError: if nothing can be written or locked there, saying why.
    """
    from filelock import FileLock, Timeout

    target = Path(target)
    folder = target.parent / ".locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{target.name}.lock")
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except NotImplementedError as error:
        raise InputError(
            f"{folder}: this file system has no locks, so that two processes could do one run; "
            "choose another folder for the results (--results)"
        ) from error
    except OSError as error:  # the file of the lock itself could not be made
        raise explained(target, error) from error
    try:
        for left in target.parent.glob(f".{escape(target.stem)}.*~"):
            left.unlink(missing_ok=True)
        _require_writable(target)
        yield True
    finally:
        lock.release()


def _require_writable(target: Path) -> None:
    probe = target.with_name(f".{target.stem}.probe~")  # swept by the next one if this one dies
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise explained(target, error) from error
