"""The ImageFolder layout in folders and archives."""

from __future__ import annotations

import tarfile
import warnings
from pathlib import Path

import images
import numpy as np
import pytest

from contrastive_tutorial.data.folders import Decoded, read
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.archives import Limits

SOURCES = ["pets", "pets.tar", "pets.tar.xz", "pets.zip"]


def _read(path: Path) -> Decoded:
    return read(path, Limits())


def _refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        _read(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("wrapped", ["", "pets/", "a/b/"])
def test_train_and_test_folders(tmp_path: Path, name: str, wrapped: str) -> None:
    files = [(wrapped + file, data) for file, data in images.split_files(4, 2)]
    found = _read(images.write(tmp_path / name, reversed(files)))
    assert found.folders == ["test"] * 4 + ["train"] * 8
    assert found.classes == ["cat", "cat", "dog", "dog"] + ["cat"] * 4 + ["dog"] * 4
    assert found.images.shape == (12, 3, 32, 32)
    # sorted by name, whatever the order inside the archive; channels first
    expected = images.pixels(1_000 + 3 + 77 * len("train/"))
    assert np.array_equal(found.images[-1].transpose(1, 2, 0), expected)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("wrapped", ["", "pets/"])
def test_classes_alone(tmp_path: Path, name: str, wrapped: str) -> None:
    files = [(wrapped + file, data) for file, data in images.files(3)]
    found = _read(images.write(tmp_path / name, files))
    assert found.folders == [""] * 6
    assert found.classes == ["cat"] * 3 + ["dog"] * 3


def test_validation_folder_is_kept(tmp_path: Path) -> None:
    files = images.split_files(2, 1) + images.files(1, top="val/")
    assert set(_read(images.write(tmp_path / "pets", files)).folders) == {"train", "val", "test"}


def test_a_class_may_be_called_train_and_folders_may_nest(tmp_path: Path) -> None:
    files = images.files(2, ("car", "train"))
    assert _read(images.write(tmp_path / "a", files)).classes == ["car"] * 2 + ["train"] * 2
    data = images.encoded(images.pixels(0))
    nested = [
        ("train/cat/deep/1.png", data),
        ("train/dog/2.png", data),
        ("test/dog/x/y/3.png", data),
    ]
    assert _read(images.write(tmp_path / "b", nested)).classes == ["dog", "cat", "dog"]


@pytest.mark.parametrize("name", SOURCES)
def test_class_folders_without_images_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "pets":
        images.write(path, images.split_files())
        (path / "train" / "fish").mkdir()
    elif name.endswith("zip"):
        images.write(path, [*images.split_files(), ("train/fish/", b"")])
    else:
        empty = tarfile.TarInfo("train/fish")
        empty.type = tarfile.DIRTYPE
        images.write_tar(path, [*images.split_files(), empty])
    assert "class folder 'train/fish' has no images" in _refusal(path)


@pytest.mark.parametrize("name", SOURCES)
def test_no_images_at_all(tmp_path: Path, name: str) -> None:
    path = images.write(tmp_path / name, [])
    path.mkdir(exist_ok=True) if name == "pets" else None
    assert "no images in it; expected train/<class>/*" in _refusal(path)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("train/stray.png", "'train/stray.png' lies outside a class folder"),
        ("stray.png", "'stray.png' stands beside train/"),
        ("other/cat/1.png", "'other' stands beside train/"),
        ("train/ca\x07t/1.png", "unprintable name"),
        ("train/\udcff/1.png", "unprintable name"),
    ],
)
def test_images_in_the_wrong_place(tmp_path: Path, extra: str, reason: str) -> None:
    files = [*images.split_files(2, 1), (extra, images.encoded(images.pixels(0)))]
    assert reason in _refusal(images.write(tmp_path / "pets.tar", files))


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    path = images.write(
        tmp_path / "pets.zip", [*images.split_files(2, 1), ("README.txt", b"hello")]
    )
    assert "'README.txt' is not an image" in _refusal(path)


def test_test_without_train(tmp_path: Path) -> None:
    path = images.write(tmp_path / "pets", images.files(3, top="test/"))
    assert "no train/<class>/*" in _refusal(path)


@pytest.mark.parametrize("tops", [("Train", "Test"), ("val", "test"), ("training", "testing")])
def test_splits_under_other_names_are_not_taken_for_classes(
    tmp_path: Path, tops: tuple[str, str]
) -> None:
    content = [file for top in tops for file in images.files(3, top=f"{top}/")]
    reason = _refusal(images.write(tmp_path / "pets", content))
    assert f"{min(tops)}/ and {max(tops)}/" in reason
    assert "train/<class>/" in reason


def test_progress_counts_images_and_warnings_stay_as_they_were(tmp_path: Path) -> None:
    path, counted = images.write(tmp_path / "pets", images.files(4)), []
    before = list(warnings.filters)
    read(path, Limits(), counted.append)
    assert sum(counted) == 8
    assert warnings.filters == before


def test_folders_inside_a_class_are_no_classes(tmp_path: Path) -> None:
    entries: list[tarfile.TarInfo | tuple[str, bytes]] = list(images.files(2, top="train/"))
    for i in range(50):
        entry = tarfile.TarInfo(f"train/cat/{i}")
        entry.type = tarfile.DIRTYPE
        entries.append(entry)
    assert len(_read(images.write_tar(tmp_path / "pets.tar", entries)).classes) == 4
