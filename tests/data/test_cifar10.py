"""CIFAR-10 from a server on this machine: resume, mirrors, checksums, torchvision's reader.

The files are small stand-ins with checksums of their own; the code that handles them is the same.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import pickle
import socketserver
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torchvision

from contrastive_tutorial import data
from contrastive_tutorial.data import cifar10, loading
from contrastive_tutorial.errors import InputError

CLASSES = ["airplane", "automobile", "bird"]


@dataclass
class Server:
    """What it does with each request in turn, and the ranges it was asked for."""

    content: bytes
    url: str = ""
    behaviours: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(np.random.default_rng(0).bytes(700_001))

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            behaviour = state.behaviours.pop(0) if state.behaviours else "serve"
            content, start = state.content, 0
            if behaviour == "missing":
                self.send_error(404)
                return
            if behaviour == "sign-in page":
                content, asked = b"<html>please sign in</html>", None
            if behaviour == "damage":
                content = content[:100] + b"\0" * 50 + content[150:]
            if behaviour == "no ranges":
                asked = None
            if asked:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                self.send_response(206)
                shown = start + 1 if behaviour == "wrong range" else start
                self.send_header(
                    "Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            stop = start + 300_000 if behaviour == "hang up" else len(content)
            self.wfile.write(content[start:stop])

    class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    listener = Threaded(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{listener.server_port}/cifar-10-python.tar.gz"
    yield state
    listener.shutdown()
    listener.server_close()
    thread.join()


def _release(server: Server, *urls: str) -> cifar10.Release:
    digest = hashlib.sha256(server.content).hexdigest()
    return cifar10.Release(urls or (server.url,), len(server.content), digest)


def test_a_plain_download(server: Server, tmp_path: Path) -> None:
    file = cifar10.fetch(tmp_path / "new" / "folder", _release(server))
    assert file.read_bytes() == server.content
    assert [path.name for path in file.parent.glob("*.part")] == []
    assert cifar10.fetch(tmp_path / "new" / "folder", _release(server)) == file
    assert server.asked == [None]  # the second call asked for nothing


def test_goes_on_where_the_connection_broke(server: Server, tmp_path: Path) -> None:
    server.behaviours = ["hang up", "hang up", "serve"]
    assert cifar10.fetch(tmp_path, _release(server)).read_bytes() == server.content
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_goes_on_after_the_process_was_killed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(server.content[:123_456])
    assert cifar10.fetch(tmp_path, _release(server)).read_bytes() == server.content
    assert server.asked == ["bytes=123456-"]


def test_a_host_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(b"x" * 1_000)
    server.behaviours = ["no ranges"]
    assert cifar10.fetch(tmp_path, _release(server)).read_bytes() == server.content


def test_the_next_host_goes_on_where_the_first_one_stopped(server: Server, tmp_path: Path) -> None:
    server.behaviours = ["hang up", "missing", "serve"]
    release = _release(server, server.url, server.url + "?mirror")
    assert cifar10.fetch(tmp_path, release).read_bytes() == server.content
    assert server.asked == [None, "bytes=300000-", "bytes=300000-"]


@pytest.mark.parametrize("behaviour", ["missing", "sign-in page", "damage"])
def test_a_bad_host_is_left_for_the_next(server: Server, tmp_path: Path, behaviour: str) -> None:
    server.behaviours = [behaviour]
    release = _release(server, server.url, server.url + "?mirror")
    assert cifar10.fetch(tmp_path, release).read_bytes() == server.content


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "HTTP 404"),
        ("sign-in page", "offers another file"),
        ("damage", "wrong checksum"),
        ("wrong range", "another range"),
    ],
)
def test_failure_says_why_and_what_else_to_do(
    server: Server, tmp_path: Path, behaviour: str, reason: str
) -> None:
    if behaviour == "wrong range":
        (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(server.content[:10])
    server.behaviours = [behaviour] * 9
    with pytest.raises(InputError) as caught:
        cifar10.fetch(tmp_path, _release(server))
    message = str(caught.value)
    assert reason in message
    assert "\n" not in message
    for alternative in ("shapes", "path", "CONTRASTIVE_TUTORIAL_CIFAR10"):
        assert alternative in message
    assert not (tmp_path / "cifar-10-python.tar.gz").exists()


def test_a_damaged_partial_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz.part").write_bytes(b"x" * len(server.content))
    release = _release(server, server.url, server.url)
    assert cifar10.fetch(tmp_path, release).read_bytes() == server.content


def test_without_a_network(tmp_path: Path, server: Server) -> None:
    release = _release(server, "http://127.0.0.1:9/x", "https://no-such-host.invalid/x")
    with pytest.raises(InputError, match=r"no connection.*no connection.*shapes"):
        cifar10.fetch(tmp_path, release)


def test_a_folder_that_cannot_be_written(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written.*run the same command again"):
        cifar10.fetch(tmp_path / "file", _release(server))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A small archive in the published form, with torchvision told of its checksums."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (6 * 60, 3_072), dtype=np.uint8)
    files, listed = {}, []
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        rows = pixels[60 * i : 60 * (i + 1)]
        files[name] = pickle.dumps({"data": rows, "labels": [k % 3 for k in range(60)]})
        listed.append([name, hashlib.md5(files[name]).hexdigest()])
    files["batches.meta"] = pickle.dumps({"label_names": CLASSES})
    meta = hashlib.md5(files["batches.meta"]).hexdigest()
    reader = torchvision.datasets.CIFAR10
    monkeypatch.setattr(reader, "train_list", listed[:5])
    monkeypatch.setattr(reader, "test_list", listed[5:])
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": meta})
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    content = archive.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(
        cifar10, "CIFAR10", replace(cifar10.CIFAR10, size=len(content), sha256=digest)
    )
    return archive, pixels.reshape(-1, 3, 32, 32)


def test_reads_what_torchvision_reads(published: tuple[Path, np.ndarray]) -> None:
    archive, pixels = published
    found = cifar10.read(archive)
    assert np.array_equal(found.images, pixels)
    assert found.classes[:4] == ["airplane", "automobile", "bird", "airplane"]
    assert found.folders == ["train"] * 300 + ["test"] * 60


def test_an_archive_with_another_checksum_is_never_unpickled(
    published: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, _ = published
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("a pickle was loaded"))
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(InputError, match="wrong checksum"):
        cifar10.read(archive)


def test_unpacked_files_with_another_checksum_are_never_unpickled(
    published: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(published[0]) as archive:
        archive.extractall(tmp_path)
    found = cifar10.read(tmp_path)
    assert np.array_equal(found.images, published[1])
    assert np.array_equal(cifar10.read(tmp_path / "cifar-10-batches-py").images, published[1])
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"x")
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("a pickle was loaded"))
    with pytest.raises(InputError, match="missing or have the wrong checksum"):
        cifar10.read(tmp_path)


def test_load_downloads_once_and_splits(
    published: tuple[Path, np.ndarray],
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_CIFAR10", raising=False)
    server.content = published[0].read_bytes()
    monkeypatch.setattr(cifar10, "CIFAR10", replace(cifar10.CIFAR10, urls=(server.url,)))
    sets = {split: data.load("cifar10", split, cache=tmp_path / "c") for split in loading.SPLITS}
    assert [len(images) for images in sets.values()] == [270, 30, 60]
    assert {images.name for images in sets.values()} == {"cifar10"}
    assert server.asked == [None]
    assert np.array_equal(sets["test"].images.numpy(), published[1][300:])


@pytest.mark.parametrize("unpacked", [False, True])
def test_load_uses_the_copy_that_the_environment_names(
    published: tuple[Path, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unpacked: bool,
) -> None:
    place = published[0]
    if unpacked:
        with tarfile.open(place) as archive:
            archive.extractall(tmp_path / "unpacked")
        place = tmp_path / "unpacked"
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_CIFAR10", str(place))
    found = data.load("cifar10", "test", cache=tmp_path / "c")
    assert (found.name, len(found), found.class_names) == ("cifar10", 60, tuple(CLASSES))


def test_the_published_file_is_the_one_torchvision_knows() -> None:
    """Same name; the checksum is stronger than torchvision's MD5, which guards the files inside."""
    assert cifar10.CIFAR10.file_name == torchvision.datasets.CIFAR10.filename
    assert cifar10.CIFAR10.urls[0] == torchvision.datasets.CIFAR10.url
    assert len(cifar10.CIFAR10.sha256) == 64
