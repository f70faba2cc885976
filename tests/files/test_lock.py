"""exclusive: one process at a time works on a file, and nothing stays behind but empty locks."""

import errno
import os
import subprocess
import sys

import filelock
import pytest

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.lock import exclusive


def only_locks(folder):
    """Whether nothing is in a folder but empty lock files in their own folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return all(path.parent.name == ".locks" and not path.stat().st_size for path in files)


def test_the_second_is_told_so_and_the_next_one_may(tmp_path):
    target = tmp_path / "folder" / "run.json"
    with exclusive(target) as ours:
        assert ours
        with exclusive(target) as theirs:
            assert not theirs
        with exclusive(tmp_path / "folder" / "other.json") as another:
            assert another
    with exclusive(target) as again:
        assert again
    assert only_locks(target.parent)


def test_it_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "run.json"):
        1 / 0  # noqa: B018
    with exclusive(tmp_path / "run.json") as ours:
        assert ours


_HOLD = """
import sys
from contrastive_tutorial.files.lock import exclusive
with exclusive(sys.argv[1]) as ours:
    print(ours, flush=True)
    sys.stdin.read()
"""


def test_another_process_holds_it_until_it_is_killed(tmp_path):
    target = tmp_path / "run.json"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, target],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "True\n"
        with exclusive(target) as ours:
            assert not ours
    finally:
        holder.kill()
        holder.wait()
    with exclusive(target) as ours:  # the dead one's file is no obstacle
        assert ours
    assert only_locks(tmp_path)


def refused(target, words):
    with pytest.raises(InputError, match=words), exclusive(target):
        raise AssertionError("not reached")


def test_a_lock_that_cannot_be_made_is_explained(tmp_path, monkeypatch):
    (tmp_path / "results").write_text("")
    refused(tmp_path / "results" / "run.json", "cannot be written")
    (tmp_path / "results").unlink()
    real = os.open

    def full(path, *rest, **options):
        if str(path).endswith(".lock"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", full)
    refused(tmp_path / "run.json", r"run\.json: the disk is full")
    assert only_locks(tmp_path)


def test_a_lock_is_one_file_for_ever(tmp_path):
    """Who opened the file before the first one ended must see the lock of the third one.

    Were the file removed in between, the two would hold locks of two files of one name.
    """
    target = tmp_path / "run.json"
    with exclusive(target) as first:
        assert first
        (lock,) = (tmp_path / ".locks").iterdir()
        waiting = os.stat(lock).st_ino
    with exclusive(target) as third:
        assert third
        assert os.stat(lock).st_ino == waiting
    assert lock.exists()


def test_a_disk_without_locks_is_named(tmp_path, monkeypatch):
    """filelock 3.13 to 3.18 raise this where the system has no flock (Lustre, some FUSE)."""

    def unsupported(self):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(filelock.FileLock, "_acquire", unsupported)
    refused(tmp_path / "run.json", r"has no locks.*--results")


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    ours = ["B0-K10-s1.checkpoint.0a1b2c3d", "B0-K10-s1.json.xx", "B0-K10-s1.probe"]
    others = [".B0-K10-s11.json.ab~", ".M-B0-K10-s1.json.ab~", "B0-K10-s1.npz", ".B0-K10-s1.note"]
    for name in [*(f".{name}~" for name in ours), *others]:
        (tmp_path / name).write_bytes(b"half")
    with exclusive(tmp_path / "B0-K10-s1.json") as got:
        assert got
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, ".locks"}
    for name in ours:
        (tmp_path / f".{name}~").write_bytes(b"half")
    with exclusive(tmp_path / "other.json"):
        assert {f".{name}~" for name in ours} < {path.name for path in tmp_path.iterdir()}
