"""Downloads from a server on this machine: resumed, from mirrors, verified."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from webserver import serving

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.download import Download


@pytest.fixture
def server():
    with serving() as found:
        yield found


def _offer(server, *urls, kind="sha256"):
    digest = hashlib.new(kind, server.content).hexdigest()
    return Download(urls or (server.url,), len(server.content), f"{kind}:{digest}")


def _fetch(folder, offered):
    return offered.fetch(folder, "use shapes")


def test_a_plain_download(server, tmp_path):
    file = _fetch(tmp_path / "new" / "folder", _offer(server))
    assert file.read_bytes() == server.content
    assert [path.name for path in file.parent.glob("*.part")] == []
    assert _fetch(tmp_path / "new" / "folder", _offer(server)) == file
    assert server.asked == [None]  # the second call asked for nothing


@pytest.mark.parametrize(
    ("have", "behaviours", "asked"),
    [
        (0, ["hang up", "hang up", "serve"], [None, "bytes=300000-", "bytes=600000-"]),
        (123_456, ["serve"], ["bytes=123456-"]),  # the process was killed
        (0, ["hang up", "missing", "serve"], [None, "bytes=300000-", "bytes=300000-"]),
    ],
    ids=["connection broke", "killed", "next host"],
)
def test_goes_on_where_it_stopped(server, tmp_path, have, behaviours, asked):
    if have:
        (tmp_path / "file.tar.gz.part").write_bytes(server.content[:have])
    server.behaviours = behaviours
    offered = _offer(server, server.url, server.url + "?mirror")
    assert _fetch(tmp_path, offered).read_bytes() == server.content
    assert server.asked == asked


def test_of_three_at_once_one_downloads(server, tmp_path):
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: _fetch(tmp_path, _offer(server)), range(3)))
    assert {file.read_bytes() for file in found} == {server.content}
    assert server.asked == [None]


@pytest.mark.parametrize(("junk", "behaviours"), [(1_000, ["no ranges"]), (700_001, [])])
def test_a_host_without_ranges_or_a_damaged_part_starts_over(server, tmp_path, junk, behaviours):
    (tmp_path / "file.tar.gz.part").write_bytes(b"x" * junk)
    server.behaviours = behaviours
    offered = _offer(server, server.url, server.url)
    assert _fetch(tmp_path, offered).read_bytes() == server.content


@pytest.mark.parametrize("behaviour", ["missing", "sign-in page", "damage"])
def test_a_bad_host_is_left_for_the_next(server, tmp_path, behaviour):
    server.behaviours = [behaviour]
    release = _offer(server, server.url, server.url + "?mirror")
    assert _fetch(tmp_path, release).read_bytes() == server.content


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("missing", "HTTP 404"),
        ("sign-in page", "offers another file"),
        ("damage", "wrong checksum"),
        ("wrong range", "another range"),
    ],
)
def test_failure_says_why_and_what_else_to_do(server, tmp_path, behaviour, reason):
    if behaviour == "wrong range":
        (tmp_path / "file.tar.gz.part").write_bytes(server.content[:10])
    server.behaviours = [behaviour] * 9
    with pytest.raises(InputError) as caught:
        _fetch(tmp_path, _offer(server))
    message = str(caught.value)
    assert reason in message
    assert "\n" not in message
    assert "use shapes" in message
    assert not (tmp_path / "file.tar.gz").exists()


def test_without_a_network(tmp_path, server):
    release = _offer(server, "http://127.0.0.1:9/x", "https://no-such-host.invalid/x")
    with pytest.raises(InputError, match=r"no connection.*no connection.*shapes"):
        _fetch(tmp_path, release)


def test_a_folder_that_cannot_be_written(tmp_path, server):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written.*run the same command again"):
        _fetch(tmp_path / "file", _offer(server))


def test_a_weaker_checksum_is_compared_too(server, tmp_path):
    assert _fetch(tmp_path, _offer(server, kind="md5")).read_bytes() == server.content
    wrong = Download((server.url,), len(server.content), "md5:" + "0" * 32)
    with pytest.raises(InputError, match="wrong checksum"):
        _fetch(tmp_path / "other", wrong)
