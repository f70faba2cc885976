"""Published sets in small stand-ins with their own checksums; the code that reads is the same."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torchvision
from webserver import serving

from contrastive_tutorial import data
from contrastive_tutorial.data import loading
from contrastive_tutorial.data.published import SETS
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.download import Download

CLASSES = ["airplane", "automobile", "bird"]


@pytest.fixture
def server():
    with serving("cifar-10-python.tar.gz") as found:
        yield found


def _offered(monkeypatch, folder, name, files):
    """An archive of these files in the published form, which is then the published one."""
    found = SETS[name]
    archive = folder / found.downloads[0].file_name
    with tarfile.open(archive, "w:gz") as tar:
        for file, content in files.items():
            member = tarfile.TarInfo(f"{found.folder}/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    content = archive.read_bytes()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    offer = replace(found.downloads[0], size=len(content), checksum=digest)
    monkeypatch.setitem(SETS, name, replace(found, downloads=(offer,)))
    return archive


def _pickled(monkeypatch, folder, name, contents):
    """CIFAR's form: parts of the training images, the test images, and the names of the classes."""
    files = {part: pickle.dumps(content) for part, content in contents.items()}
    *training, test, meta = ([part, _md5(content)] for part, content in files.items())
    reader = getattr(torchvision.datasets, SETS[name].reader)
    monkeypatch.setattr(reader, "train_list", training)
    monkeypatch.setattr(reader, "test_list", [test])
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": meta[1]})
    return _offered(monkeypatch, folder, name, files)


@pytest.fixture
def published(monkeypatch, tmp_path):
    """A small archive in the published form, with torchvision told of its checksums."""
    pixels = np.random.default_rng(1).integers(0, 256, (6, 60, 3_072), dtype=np.uint8)
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    files = {
        name: {"data": rows, "labels": [k % 3 for k in range(60)]}
        for name, rows in zip(names, pixels, strict=True)
    }
    files["batches.meta"] = {"label_names": CLASSES}
    archive = _pickled(monkeypatch, tmp_path, "cifar10", files)
    return archive, pixels.reshape(-1, 3, 32, 32)


def test_reads_what_torchvision_reads(published):
    archive, pixels = published
    found = SETS["cifar10"].read(archive)
    assert np.array_equal(found.images, pixels)
    assert found.classes[:4] == ["airplane", "automobile", "bird", "airplane"]
    assert found.folders == ["train"] * 300 + ["test"] * 60


def test_an_archive_with_another_checksum_is_never_unpickled(published, monkeypatch):
    archive, _ = published
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("a pickle was loaded"))
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(InputError, match="wrong checksum"):
        SETS["cifar10"].read(archive)


def test_unpacked_files_with_another_checksum_are_never_unpickled(published, tmp_path, monkeypatch):
    with tarfile.open(published[0]) as archive:
        archive.extractall(tmp_path)
    found = SETS["cifar10"].read(tmp_path)
    assert np.array_equal(found.images, published[1])
    assert np.array_equal(
        SETS["cifar10"].read(tmp_path / "cifar-10-batches-py").images, published[1]
    )
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"x")
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("a pickle was loaded"))
    with pytest.raises(InputError, match="missing or have the wrong checksum"):
        SETS["cifar10"].read(tmp_path)


def test_load_downloads_once_and_splits(published, server, tmp_path, monkeypatch):
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_CIFAR10", raising=False)
    server.content = published[0].read_bytes()
    _elsewhere(monkeypatch, "cifar10", server.url)
    sets = {split: data.load("cifar10", split, cache=tmp_path / "c") for split in loading.SPLITS}
    assert [len(images) for images in sets.values()] == [270, 30, 60]
    assert {images.name for images in sets.values()} == {"cifar10"}
    assert server.asked == [None]
    assert np.array_equal(sets["test"].images.numpy(), published[1][300:])


@pytest.mark.parametrize("unpacked", [False, True])
def test_load_uses_the_copy_that_the_environment_names(published, tmp_path, monkeypatch, unpacked):
    place = published[0]
    if unpacked:
        with tarfile.open(place) as archive:
            archive.extractall(tmp_path / "unpacked")
        place = tmp_path / "unpacked"
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_CIFAR10", str(place))
    found = data.load("cifar10", "test", cache=tmp_path / "c")
    assert (found.name, len(found), found.class_names) == ("cifar10", 60, tuple(CLASSES))


def _elsewhere(monkeypatch, name, url):
    """The files of a set are offered by one host alone."""
    found = SETS[name]
    offers = tuple(replace(offer, urls=(url,)) for offer in found.downloads)
    monkeypatch.setitem(SETS, name, replace(found, downloads=offers))


def _md5(content):
    return hashlib.md5(content).hexdigest()


def test_cifar100(tmp_path, monkeypatch):
    pixels = np.random.default_rng(2).integers(0, 256, (90, 3_072), dtype=np.uint8)
    names = ["apple", "bear", "cloud"]
    files = {
        part: {"data": rows, "fine_labels": [i % 3 for i in range(len(rows))]}
        for part, rows in (("train", pixels[:60]), ("test", pixels[60:]))
    }
    files["meta"] = {"fine_label_names": names}
    archive = _pickled(monkeypatch, tmp_path, "cifar100", files)
    train, val, test = data.load_splits(archive, cache=tmp_path / "c")
    assert [len(part) for part in (train, val, test)] == [54, 6, 30]
    assert (train.name, train.class_names) == ("cifar100", tuple(names))
    assert np.array_equal(test.images.numpy(), pixels[60:].reshape(-1, 3, 32, 32))


def test_stl10(tmp_path, monkeypatch):
    """Images of 96x96, column by column, labels from 1."""
    rng = np.random.default_rng(3)
    rows = {
        part: rng.integers(0, 256, (30, 3, 96, 96), dtype=np.uint8) for part in ("train", "test")
    }
    rows["train"][0, :, :3, :] = 0  # dark above
    rows["train"][0, :, 3:, :] = 255
    labels = (np.arange(30) % 3 + 1).astype(np.uint8)
    files = {f"{part}_X.bin": found.transpose(0, 1, 3, 2).tobytes() for part, found in rows.items()}
    files |= {f"{part}_y.bin": labels.tobytes() for part in rows}
    files |= {"unlabeled_X.bin": b"", "class_names.txt": b"bird\ncar\ncat\n"}
    files["fold_indices.txt"] = b"0 1\n" * 10
    reader = torchvision.datasets.STL10
    for attribute in ("train_list", "test_list"):
        listed = [[name, _md5(files[name])] for name, _ in getattr(reader, attribute)]
        monkeypatch.setattr(reader, attribute, listed)
    archive = _offered(monkeypatch, tmp_path, "stl10", files)
    train, val, test = data.load_splits(archive, cache=tmp_path / "c", size=96)
    assert [len(part) for part in (train, val, test)] == [27, 3, 30]
    assert np.array_equal(test.images.numpy(), rows["test"])
    assert not train.images[0, :, :3].any()
    assert train.class_names == ("bird", "car", "cat")
    assert data.load(archive, cache=tmp_path / "c").images.shape == (27, 3, 32, 32)


def test_svhn(tmp_path, monkeypatch):
    """Two MATLAB files; the digit 0 has the label 10."""
    from scipy.io import savemat

    rng = np.random.default_rng(4)
    listed = dict(torchvision.datasets.SVHN.split_list)
    offers = []
    for part, count in (("train", 60), ("test", 20)):
        labels = (np.arange(count) % 10 + 1).astype(np.uint8)
        pixels = rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        file = tmp_path / f"{part}_32x32.mat"
        savemat(file, {"X": pixels, "y": labels[:, None]})
        content = file.read_bytes()
        listed[part] = [*listed[part][:2], _md5(content)]
        digest = hashlib.sha256(content).hexdigest()
        offers.append(
            Download((f"https://host.invalid/{file.name}",), len(content), "sha256:" + digest)
        )
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", listed)
    monkeypatch.setitem(SETS, "svhn", replace(SETS["svhn"], downloads=tuple(offers)))
    for source in ("svhn", tmp_path):  # the files are there: nothing is downloaded
        monkeypatch.setenv("CONTRASTIVE_TUTORIAL_CACHE", str(tmp_path))
        train, _, test = data.load_splits(source)
        assert train.class_names == tuple("0123456789")
        assert test.labels.tolist() == [*range(1, 10), 0] * 2
        assert np.array_equal(test.images[3].permute(1, 2, 0).numpy(), pixels[..., 3])
        assert train.name == "svhn"


@pytest.mark.parametrize("name", list(SETS))
def test_the_published_files_are_those_that_torchvision_knows(name):
    """Same addresses; SHA-256 where the files are pickles, for which MD5 is too weak."""
    reader = getattr(torchvision.datasets, SETS[name].reader)
    offers = SETS[name].downloads
    if name == "svhn":
        known = [reader.split_list[part][0] for part in ("train", "test")]
    else:
        known = [reader.url]
    assert [offer.urls[0] for offer in offers] == known
    for offer in offers:
        kind, _, digest = offer.checksum.partition(":")
        assert (kind, len(digest)) in (("sha256", 64), ("md5", 32))
        assert kind == "sha256" or name == "stl10"
    if name == "stl10":
        assert offers[0].checksum == f"md5:{reader.tgz_md5}"


def test_without_a_network_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_CIFAR10", raising=False)
    for name in SETS:
        _elsewhere(monkeypatch, name, "http://127.0.0.1:9/x.tar.gz")
        with pytest.raises(InputError, match=r"no connection.*shapes.*path"):
            data.load(name, cache=tmp_path)
    with pytest.raises(InputError, match="CONTRASTIVE_TUTORIAL_CIFAR10"):
        data.load("cifar10", cache=tmp_path)
