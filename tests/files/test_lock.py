"""exclusive: one process at a time works on a file, and nothing stays behind."""

import errno
import os
import subprocess
import sys

import pytest

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.lock import exclusive


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
    assert list(target.parent.iterdir()) == []


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
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_made_is_explained(tmp_path, monkeypatch):
    real = os.open

    def full(path, *rest, **options):
        if str(path).endswith(".lock"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", full)
    with (
        pytest.raises(InputError, match=r"run\.json: the disk is full"),
        exclusive(tmp_path / "run.json"),
    ):
        raise AssertionError("not reached")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_explained(tmp_path):
    (tmp_path / "results").write_text("")
    with (
        pytest.raises(InputError, match="cannot be written"),
        exclusive(tmp_path / "results" / "run.json"),
    ):
        raise AssertionError("not reached")
