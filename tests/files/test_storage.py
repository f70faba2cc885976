"""storage: a file is written completely or not at all."""

import errno
import os
import stat
import tracemalloc
import zipfile

import images
import numpy as np
import pytest
from recorded import make

from contrastive_tutorial import data
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import storage
from contrastive_tutorial.records import load_record
from contrastive_tutorial.train import checkpoints, load_encoder


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces(tmp_path):
    target = tmp_path / "new" / "file.json"
    storage.atomic_write(target, b"one")
    storage.atomic_write(target, b"two")
    assert target.read_bytes() == b"two"
    assert leftovers(target.parent) == ["file.json"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_says_who_may_read(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        storage.atomic_write(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@pytest.mark.parametrize(
    ("call", "number", "words"),
    [
        ("fdopen", errno.ENOSPC, "the disk is full"),
        ("fsync", errno.ENOSPC, "the disk is full"),
        ("replace", errno.ENOSPC, "the disk is full"),
        ("open", errno.EROFS, "the folder cannot be written"),
    ],
)
def test_a_full_disk_or_a_read_only_folder_keeps_the_old_file(
    tmp_path, monkeypatch, call, number, words
):
    target = tmp_path / "file.json"
    storage.atomic_write(target, b"old")

    def refused(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refused)
    with pytest.raises(InputError, match=rf"file\.json: {words}"):
        storage.atomic_write(target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert leftovers(tmp_path) == ["file.json"]


def test_interrupt_between_write_and_rename_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.atomic_write(tmp_path / "file", b"x")
    assert leftovers(tmp_path) == []


def test_a_leftover_is_removed_and_one_that_cannot_be_is_named(tmp_path, monkeypatch):
    left = tmp_path / "left.npz"
    left.touch()
    storage.remove(left)
    storage.remove(left)  # nothing there
    assert not left.exists()
    (tmp_path / "folder").touch()  # somebody put a file where the folder was
    with pytest.raises(InputError, match=r"left\.npz: cannot be written"):
        storage.remove(tmp_path / "folder" / "left.npz")
    record = make("B0", 0)
    with pytest.raises(InputError):
        record.save(tmp_path / "folder")

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(storage.Path, "unlink", denied)
    with pytest.raises(InputError, match="choose another folder"):
        storage.remove(left)


def test_arrays_round_trip_without_pickles(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.float16([0.5, -1])}
    storage.save_arrays(tmp_path / "x.npz", arrays)
    found = storage.load_arrays(tmp_path / "x.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    with pytest.raises(InputError, match="Python objects"):
        storage.save_arrays(tmp_path / "y.npz", {"o": np.array([{}])})
    assert not (tmp_path / "y.npz").exists()


def test_pickled_and_damaged_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "pickled.npz", o=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="pickled"):
        storage.load_arrays(tmp_path / "pickled.npz")
    storage.save_arrays(tmp_path / "x.npz", {"a": np.zeros(100)})
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"x\.npz"):
        storage.load_arrays(tmp_path / "x.npz")
    with pytest.raises(InputError, match="cannot be read"):
        storage.load_arrays(tmp_path / "missing.npz")


def test_arrays_that_unpack_to_gigabytes_are_refused_unread(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", b"x")
        file.infolist()[-1].file_size = 2 << 30  # what the directory promises
    with pytest.raises(InputError, match=r"unpacks to 2,147,483,648 bytes"):
        storage.load_arrays(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_arrays_that_lie_about_their_size_are_refused_unread(tmp_path, method):
    """Sixty-four MiB behind a header that says a hundred bytes."""
    path = tmp_path / "bomb.npz"
    path.write_bytes(images.lying_zip("a.txt", 100, 64, method))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"holds other files than arrays \('a.txt'\)"):
            storage.load_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    for read in (storage.load_arrays, load_record, load_encoder, lambda p: checkpoints.read(p, "")):
        with pytest.raises(InputError, match="expected a file"):
            read(tmp_path / "x.npz")
    (tmp_path / "x.npz").rename(tmp_path / "x.zip")
    with pytest.raises(InputError, match="expected a file"):
        data.load(tmp_path / "x.zip", cache=tmp_path / "cache")


def test_what_a_killed_process_left_goes_after_a_day(tmp_path):
    """Reports and embeddings are written without a lock, so only age tells what is abandoned."""
    path = tmp_path / "[a].svg"
    old, fresh, other = (tmp_path / f".{name}.0a1b~" for name in ("[a].svg", "[a].svg.", "b.svg"))
    for left in (old, fresh, other):
        left.write_bytes(b"half")
    for left in (old, other):
        os.utime(left, (1e9, 1e9))
    storage.atomic_write(path, b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, fresh, other])
