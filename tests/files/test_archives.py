"""Folders and archives as streams of members: what is passed on, and what is refused by name."""

from __future__ import annotations

import contextlib
import errno
import gzip
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import fuzz_seeds
import images
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.archives import Limits, is_archive, members, stem

SOURCES = ["pets", "pets.tar", "pets.tar.gz", "pets.tgz", "pets.tar.xz", "pets.tar.bz2", "pets.zip"]
FILES = [("train/cat/1.png", b"one"), ("train/dog/2.png", b"two" * 500), ("test/cat/3.png", b"")]


def _files(path, limits=None):
    found = members(path, limits or Limits())
    return {"/".join(name): content for name, content in found if content is not None}


def _refusal(path, limits=None):
    with pytest.raises(InputError) as caught:
        list(members(path, limits or Limits()))
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize("name", SOURCES)
def test_gives_every_file_with_its_bytes_but_not_what_file_managers_leave_behind(tmp_path, name):
    hidden = (".DS_Store", "train/cat/.hidden.png", "__MACOSX/train/cat/._1.png", "train/Thumbs.db")
    clutter = [(name, b"x") for name in hidden]
    assert _files(images.write(tmp_path / name, FILES + clutter)) == dict(FILES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_member_over_the_byte_limit_is_refused_by_name(tmp_path, name):
    path = images.write(tmp_path / name, FILES)
    assert len(_files(path, Limits(member_bytes=1_500))) == 3
    message = _refusal(path, Limits(member_bytes=1_499))
    assert "train/dog/2.png" in message
    assert "1,500 bytes" in message


@pytest.mark.parametrize("name", [name for name in SOURCES if "." in name])
@pytest.mark.parametrize(
    "member", ["/etc/passwd", "../up.png", "train/../../up.png", "..\\up.png", "C:\\up.png"]
)
def test_names_that_lead_out_are_refused(tmp_path, name, member):
    path = images.write(tmp_path / name, [*FILES, (member, b"x")])
    assert "leads out of the archive" in _refusal(path)


@pytest.mark.parametrize("name", [name for name in SOURCES if "." in name])
def test_the_same_name_twice_is_refused(tmp_path, name):
    warned = pytest.warns(UserWarning, match="Duplicate")
    with warned if name.endswith("zip") else contextlib.nullcontext():
        path = images.write(tmp_path / name, [*FILES, FILES[0]])
    assert "'train/cat/1.png' appears twice" in _refusal(path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "neither a plain file nor a folder"),
        (tarfile.CHRTYPE, "neither a plain file nor a folder"),
        (tarfile.GNUTYPE_SPARSE, "neither a plain file nor a folder"),
    ],
)
def test_tar_links_and_devices_are_refused(tmp_path, kind, reason):
    odd = tarfile.TarInfo("train/cat/odd.png")
    odd.type, odd.linkname = kind, "/etc/passwd"
    assert reason in _refusal(images.write_tar(tmp_path / "pets.tar", [*FILES, odd]))


def test_zip_links_encrypted_members_and_compressions_without_a_brake_are_refused(tmp_path):
    path = tmp_path / "pets.zip"
    link = zipfile.ZipInfo("train/cat/odd.png")
    link.external_attr = 0o120777 << 16
    images.write_zip(path, [(link, b"/etc/passwd")])
    assert "'train/cat/odd.png' is a link" in _refusal(path)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert "unusual compression" in _refusal(images.write_zip(path, FILES, method))
    content = bytearray(images.write_zip(path, FILES).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # general purpose flag, bit 0
    path.write_bytes(content)
    assert "is encrypted" in _refusal(path)


@contextlib.contextmanager
def _little_memory(limit):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


#: Not the ones of headers alone, which take long and have a test below; zips have one, too.
BOMBS = [name for name, (kind, _) in fuzz_seeds.BOMBS.items() if kind != "x.zip"]
BOMBS = [name for name in BOMBS if name not in ("headers", "deep folders")]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(tmp_path, bomb):
    """A few kilobytes, or megabytes, that ask for gigabytes or minutes."""
    name, content = fuzz_seeds.bomb(bomb)
    (tmp_path / name).write_bytes(content)
    stream = bomb in ("gzip", "xz", "bzip2")  # read piece by piece: the watch would take longest
    with contextlib.nullcontext() if stream else _little_memory(8 << 20):
        message = _refusal(tmp_path / name, Limits(expansion=2))
    assert ("has 1,099,511,627,776" if bomb == "huge member" else "unpacks to far") in message


def test_a_zip_of_too_much_is_refused_and_one_that_lies_about_it_is_never_inflated(tmp_path):
    """``ZipFile.read`` would inflate the whole member first, and compare sizes then."""
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as archive:
        archive.writestr(".hidden", b"")
        archive.infolist()[0].file_size = 1 << 30
    assert "unpacks to far more" in _refusal(tmp_path / "large.zip")
    (tmp_path / "pets.zip").write_bytes(images.lying_zip("cat/1.png", 100, 64))
    (tmp_path / "short.zip").write_bytes(images.lying_zip("cat/1.png", 3 << 20, 1))
    with _little_memory(16 << 20):
        # zlib stops at what was asked for: the bytes are those that the directory promises
        assert _files(tmp_path / "pets.zip") == {"cat/1.png": bytes(100)}
    assert "damaged" in _refusal(tmp_path / "short.zip")


def test_a_tar_of_headers_alone_has_a_budget(tmp_path, monkeypatch):
    """Empty folders by the hundred thousand, in a file of some kilobytes."""
    assert Limits().header_budget(0) == 32 << 20
    assert Limits().header_budget(1_000) == (32 << 20) + 10_000
    monkeypatch.setattr(Limits, "header_budget", lambda self, size: 64 * 512 * 10)
    some = b"".join(images.tar_header(f"d{i}", tarfile.DIRTYPE) for i in range(64))
    path = tmp_path / "pets.tar.gz"
    path.write_bytes(gzip.compress(some) * 11 + gzip.compress(bytes(1024)))
    assert "unpacks to far more" in _refusal(path)
    path.write_bytes(gzip.compress(some) * 9 + gzip.compress(bytes(1024)))
    assert _files(path) == {}


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
@pytest.mark.parametrize("member", ["a/" * 40 + "1.png", "cat/" + "y" * 1_100 + ".png"])
def test_long_names_and_deep_folders_are_refused(tmp_path, name, member):
    """A million of them would fill the memory."""
    message = _refusal(images.write(tmp_path / name, [(member, b"x")]))
    assert "has a name of" in message
    assert len(message) < 300


def test_xz_that_asks_for_gigabytes_of_dictionary_is_refused(tmp_path):
    filters: list[dict[str, int]] = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    content = bytearray(lzma.compress(bytes(1000), lzma.FORMAT_XZ, filters=filters))
    block = 12  # after the stream header: size, flags, filter id, length, dictionary size
    size = (content[block] + 1) * 4
    content[block + 4] = 39  # 3 GiB, as section 5.3.1 of the .xz format encodes it
    checked = bytes(content[block : block + size - 4])
    content[block + size - 4 : block + size] = struct.pack("<I", zlib.crc32(checked))
    (tmp_path / "pets.tar.xz").write_bytes(content)
    assert "emory usage limit" in _refusal(tmp_path / "pets.tar.xz")


@pytest.mark.parametrize("name", [name for name in SOURCES if "." in name])
def test_a_cut_archive_is_never_taken_for_a_whole_one(tmp_path, name):
    path = images.write(tmp_path / name, FILES)
    whole = path.read_bytes()
    if name.endswith(".tar"):  # what follows the end mark is padding
        whole = whole.rstrip(b"\0")
        whole += bytes(-len(whole) % 512)
    between = max(0, whole.find(b"train/dog"))  # two members of a tar
    for length in {*range(0, len(whole), max(1, len(whole) // 40)), between, len(whole) - 1}:
        path.write_bytes(whole[:length])
        assert "damaged, incomplete" in _refusal(path)


@pytest.mark.parametrize("name", ["pets.tar.gz", "pets.tar.xz", "pets.tar.bz2", "pets.zip"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_flipped_bits_never_change_bytes_silently(tmp_path_factory, name, data):
    path = images.write(tmp_path_factory.mktemp("flip") / name, FILES)
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    found = {}
    with contextlib.suppress(InputError):
        found = _files(path)
    # names and attributes stand outside the checksum of a zip; contents never do
    assert set(found.values()) <= {content for _, content in FILES}


def test_names_that_are_no_text_fit_one_line(tmp_path):
    path = images.write_tar(tmp_path / "bytes.tar", [("train/cat/\udcff\n.png", b"too much")])
    assert "train/cat/\N{REPLACEMENT CHARACTER}" in _refusal(path, Limits(member_bytes=1))


def test_pipes_and_looping_links_in_a_folder_are_refused(tmp_path):
    images.write_folder(tmp_path / "loop", FILES)
    (tmp_path / "loop" / "train" / "again").symlink_to(tmp_path / "loop" / "train")
    assert "that it lies in" in _refusal(tmp_path / "loop")
    images.write_folder(tmp_path / "pipe", FILES)
    os.mkfifo(tmp_path / "pipe" / "train" / "cat" / "pipe.png")
    assert "neither a file nor a folder" in _refusal(tmp_path / "pipe")


def test_links_in_ones_own_folder_are_followed(tmp_path):
    images.write_folder(tmp_path / "pets", FILES)
    (tmp_path / "elsewhere").write_bytes(b"linked")
    (tmp_path / "pets" / "train" / "cat" / "4.png").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pets" / "val").symlink_to(tmp_path / "pets" / "test")
    found = _files(tmp_path / "pets")
    assert (found["train/cat/4.png"], found["val/cat/3.png"]) == (b"linked", b"")


def test_a_file_that_vanishes_is_named(tmp_path):
    images.write_folder(tmp_path / "pets", FILES)
    (tmp_path / "pets" / "train" / "cat" / "1.png").unlink()
    (tmp_path / "pets" / "train" / "cat" / "1.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"1\.png.*cannot be read"):
        _files(tmp_path / "pets")


def test_names():
    assert stem(Path("a/pets.v2.tar.xz")) == "pets.v2"
    assert stem(Path("a/pets.ZIP")) == "pets"
    assert stem(Path("a/pets")) == "pets"
    assert is_archive(Path("x.TAR.GZ"))
    assert not is_archive(Path("x.rar"))


def test_links_do_not_multiply_folders_without_end(tmp_path):
    """Each level links twice to the next: two to the power of thirty folders."""
    for level in range(30):
        (tmp_path / f"{level}").mkdir()
    for level in range(29):
        for twin in "ab":
            (tmp_path / f"{level}" / twin).symlink_to(tmp_path / f"{level + 1}")
    assert "one folder too many" in _refusal(tmp_path / "0", Limits(images=500))


@pytest.mark.parametrize("written", ["pets.tar", "pets.tar.gz", "pets.tar.xz", "pets.zip"])
@pytest.mark.parametrize("named", ["pets.tar.gz", "pets.tbz2", "pets.tar"])
def test_the_content_says_which_kind_of_archive_it_is(tmp_path, written, named):
    """A browser unpacks a ``.tar.gz`` and leaves its name."""
    (tmp_path / "made").mkdir()
    path = images.write(tmp_path / "made" / written, FILES).rename(tmp_path / named)
    assert _files(path) == dict(FILES)


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_skipped_is_never_read(tmp_path, name):
    path = images.write(tmp_path / name, [*FILES, ("notes.csv", b"x" * 5_000)])
    found = members(path, Limits(member_bytes=1_500), lambda name: name[-1].endswith(".csv"))
    assert {"/".join(name) for name, content in found if content is not None} == set(dict(FILES))


def _unmarked_zip(path, names, code):
    """A zip as Windows makes them: names in the system's code, and no flag that says which."""
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(f"{i:03}".ljust(len(name.encode(code)), "#"), bytes([i]))
    content = path.read_bytes()
    for i, name in enumerate(names):
        raw = name.encode(code)
        content = content.replace(f"{i:03}".encode().ljust(len(raw), b"#"), raw)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("gbk", ["训练/猫/照片1.jpg", "训练/狗/2.jpg"]),
        ("gbk", ["猫/1.jpg", "狗/2.jpg"]),
        ("cp932", ["犬/写真1.jpg", "ねこ/表2.jpg"]),  # the second byte of 表 is a backslash
        ("big5", ["貓/照片1.jpg", "狗/測試2.jpg"]),
        ("utf-8", ["猫/1.jpg", "chien à/2.jpg"]),
        ("cp437", ["Bär/1.jpg", "résumé/2.jpg"]),
    ],
)
def test_names_of_a_zip_without_the_flag_are_decoded(tmp_path, code, names):
    said: list[str] = []
    path = _unmarked_zip(tmp_path / "pets.zip", names, code)
    found = members(path, Limits(), say=said.append)
    assert {"/".join(name): content for name, content in found} == {
        name: bytes([i]) for i, name in enumerate(names)
    }
    assert len(said) == (code not in ("utf-8", "cp437"))
    assert all(names[0] in line for line in said)


def test_a_zip_with_a_directory_of_millions_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "pets.zip"
    path.write_bytes(b"PK\x01\x02" + b"x" * 42 + b"PK\x01\x02" * 1_020)
    with _little_memory(8 << 20):
        assert "more than 1,020 files" in _refusal(path, Limits(images=10))
    images.write(path, FILES)
    assert _files(path, Limits(images=3)) == dict(FILES)


def test_a_disk_that_fails_is_not_called_a_damaged_zip(tmp_path, monkeypatch):
    path = images.write(tmp_path / "x.zip", images.files(1))

    def broken(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(zipfile, "_EndRecData", broken)
    with pytest.raises(InputError, match=r"x\.zip: cannot be read \(Input/output error\)"):
        list(members(path, Limits()))
