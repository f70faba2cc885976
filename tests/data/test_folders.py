"""The ImageFolder layout in folders and archives."""

from __future__ import annotations

import tarfile
import warnings
from collections import Counter

import images
import numpy as np
import pytest
from PIL import Image

from contrastive_tutorial.data.folders import UNLABELLED, read
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.archives import Limits

SOURCES = ["pets", "pets.tar", "pets.tar.xz", "pets.zip"]


def _read(path):
    return read(path, Limits())


def _refusal(path):
    with pytest.raises(InputError) as caught:
        _read(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("wrapped", ["", "pets/", "a/b/"])
def test_train_and_test_folders(tmp_path, name, wrapped):
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
def test_classes_alone(tmp_path, name, wrapped):
    files = [(wrapped + file, data) for file, data in images.files(3)]
    found = _read(images.write(tmp_path / name, files))
    assert found.folders == [""] * 6
    assert found.classes == ["cat"] * 3 + ["dog"] * 3


def test_a_class_may_be_called_train_and_folders_may_nest(tmp_path):
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
def test_class_folders_without_images_are_named(tmp_path, name):
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
def test_no_images_at_all(tmp_path, name):
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
def test_images_in_the_wrong_place(tmp_path, extra, reason):
    files = [*images.split_files(2, 1), (extra, images.encoded(images.pixels(0)))]
    assert reason in _refusal(images.write(tmp_path / "pets.tar", files))


@pytest.mark.parametrize("name", SOURCES)
def test_files_that_promise_no_image_are_left_out_and_counted(tmp_path, name):
    stray = ["README.txt", "train/labels.csv", "train/cat/a.docx", "train/cat/b.csv", "test/.x"]
    content = [*images.split_files(2, 1), *((place, b"hello") for place in stray)]
    content.append(("train/cat/tmp", b""))  # Caltech-101 has one
    found = _read(images.write(tmp_path / name, content))
    assert len(found.classes) == 6
    (remark,) = found.remarks
    for part in ("2 .csv", "1 .docx", "1 .txt", "1 without suffix"):
        assert part in remark


def test_images_without_suffix_are_images(tmp_path):
    content = [(name.removesuffix(".png"), data) for name, data in images.files(3)]
    assert len(_read(images.write(tmp_path / "pets", content)).classes) == 6


def test_all_bad_images_are_in_one_report(tmp_path):
    bad = [(f"train/cat/bad{i:02}.png", b"not") for i in range(37)]
    reason = _refusal(images.write(tmp_path / "pets.zip", [*images.split_files(2, 1), *bad]))
    assert "37 images cannot be used" in reason
    assert "27 more" in reason
    assert reason.count("train/cat/bad") == 10
    reason = _refusal(images.write(tmp_path / "one.zip", [*images.split_files(2, 1), bad[0]]))
    assert "'train/cat/bad00.png' is not an image" in reason


def test_an_archive_inside_an_archive_is_named(tmp_path):
    path = images.write(tmp_path / "caltech.zip", [("101_ObjectCategories.tar.gz", b"x")])
    assert "1 .gz" in _refusal(path)


def _at(places, per_class=3):
    """Different images at ``places``, where CLASS and NAME are filled in."""
    return [
        (places.replace("CLASS", label).replace("NAME", f"{i}.png"),
         images.encoded(images.pixels(hash_of(places) + 100 * c + i)))
        for c, label in enumerate(("cat", "dog"))
        for i in range(per_class)
    ]  # fmt: skip


def hash_of(text):
    """The same number in every process, unlike that of ``hash``."""
    return int.from_bytes(text.encode(), "big") % 1_000_003


ANNOTATED = "".join(
    f"{i}.png\t{label}\t0\t0\t9\t9\n" for i, label in enumerate(["dog", "cat", "cat"])
)


@pytest.mark.parametrize("name", ["set", "set.zip", "set.tar.gz"])
@pytest.mark.parametrize(
    ("published", "splits", "remarks"),
    [
        (  # Intel image classification
            [*_at("seg_train/seg_train/CLASS/NAME"), *_at("seg_test/seg_test/CLASS/NAME"),
             *_at("seg_pred/seg_pred/NAME")[:3]],
            {"train": 6, "test": 6}, ["3 images in seg_pred/"],
        ),
        (  # Imagenette
            [*_at("nette2/train/CLASS/NAME"), *_at("nette2/val/CLASS/NAME"),
             ("nette2/noisy_imagenette.csv", b"path,label")],
            {"train": 6, "val": 6}, ["1 .csv"],
        ),
        (  # Tiny ImageNet
            [*_at("t/train/CLASS/images/NAME"), *_at("t/val/images/NAME")[:3],
             ("t/val/val_annotations.txt", ANNOTATED.encode()), ("t/wnids.txt", b"cat"),
             ("t/train/cat/cat_boxes.txt", b""), *_at("t/test/images/NAME")[:3]],
            {"train": 6, "val": 3}, ["2 .txt", "3 images in test/"],
        ),
        (  # Kaggle's cats and dogs, and GTSRB's Meta
            [*_at("training_set/training_set/CLASS/NAME"),
             *_at("test_set/test_set/CLASS/NAME"), *_at("Meta/NAME")[:3]],
            {"train": 6, "test": 6}, ["3 images in Meta/"],
        ),
        (
            [*_at("Train/CLASS/NAME"), *_at("validation/CLASS/NAME"), *_at("TEST/CLASS/NAME")],
            {"train": 6, "val": 6, "test": 6}, [],
        ),
        (  # Microsoft's cats and dogs
            [*_at("PetImages/CLASS/NAME"), ("MSR-LA - 3467.docx", b"PK"), ("readme[1].txt", b""),
             ("PetImages/cat/Thumbs.db", b"")],
            {"": 6}, ["1 .docx, 1 .txt"],
        ),
        ([*_at("101_ObjectCategories/CLASS/NAME"), ("101_ObjectCategories/cat/tmp", b"")],
         {"": 6}, ["1 without suffix"]),
    ],
    ids=["intel", "imagenette", "tiny", "training_set", "spellings", "microsoft", "caltech"],
)  # fmt: skip
def test_sets_as_they_are_published(
    tmp_path, name, published, splits,
    remarks,
):  # fmt: skip
    found = _read(images.write(tmp_path / name, published))
    assert Counter(found.folders) == splits
    assert set(found.classes) == {"cat", "dog"}
    assert len(found.remarks) == len(remarks)
    for remark in remarks:
        assert any(remark in line for line in found.remarks)


def test_annotations_name_the_classes_of_validation_images(tmp_path):
    content = [*_at("train/CLASS/NAME"), *_at("val/images/NAME")[:3]]
    content.append(("val/val_annotations.txt", ANNOTATED.encode()))
    found = _read(images.write(tmp_path / "t", content))
    assert found.classes[-3:] == ["dog", "cat", "cat"]


@pytest.mark.parametrize(
    ("published", "splits"),
    [(_at("NAME"), {""}), (_at("my photos/NAME"), {""}), (_at("a/b/NAME"), {""}),
     (_at("train/NAME") + _at("test/NAME"), {"train", "test"})],
)  # fmt: skip
def test_images_without_class_folders_have_no_labels(tmp_path, published, splits):
    found = _read(images.write(tmp_path / "photos", published))
    assert set(found.classes) == {UNLABELLED}
    assert set(found.folders) == splits


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        (_at("a/CLASS/NAME") + _at("b/CLASS/NAME"), "hold folders of the same names"),
        (_at("train/CLASS/NAME") + _at("training/CLASS/NAME"), "are both folders of train"),
        (_at("CLASS/NAME") + _at("NAME")[:3], "lies outside a class folder"),
        (_at("x/train/CLASS/NAME") + _at("x/x/train/CLASS/NAME"), "beside train/"),
        (_at("train/NAME")[:3] + _at("test1/NAME")[:3], "test1/ and train/ would be classes"),
        (_at("train_images/NAME")[:3] + _at("val2017/NAME")[:3], "would be classes"),
        (_at("test/CLASS/NAME"), "test/ would be classes, as there is no train/<class>/*"),
        (_at("test/CLASS/NAME") + _at("val/CLASS/NAME"), "test/ and val/ would be classes"),
    ],
)  # fmt: skip
def test_what_could_mean_two_things_is_refused(tmp_path, published, reason):
    assert reason in _refusal(images.write(tmp_path / "pets.zip", published))


def test_class_names_have_one_form(tmp_path):
    """A Mac writes e and an accent where others write one letter."""
    content = [(f"train/caf{e}/{i}.png", data) for i, (e, (_, data)) in enumerate(
        zip(["\u00e9", "e\u0301"] * 3, images.files(3), strict=True))]  # fmt: skip
    content += [("train/\u732b\u3000/1.png", content[0][1]), ("test/\u732b/1.png", content[1][1])]
    found = _read(images.write(tmp_path / "pets.zip", content))
    assert set(found.classes) == {"caf\u00e9", "\u732b"}
    assert found.remarks == ()


def test_classes_that_differ_in_case_alone_are_remarked(tmp_path):
    found = _read(images.write(tmp_path / "pets.tar", images.files(3, ("Cat", "cat", "dog"))))
    assert set(found.classes) == {"Cat", "cat", "dog"}
    assert "'Cat' and 'cat'" in found.remarks[0]


@pytest.mark.parametrize(("bits", "white"), [(8, 255), (10, 1_023), (12, 4_095), (16, None)])
@pytest.mark.parametrize("colour", [False, True])
def test_deep_images_are_scaled_by_one_rule_for_the_whole_set(tmp_path, bits, white, colour):
    """A 12-bit camera leaves numbers to 4,095 in files of 16 bits: nearly black if taken for 16."""
    rows = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    top = (1 << bits) - 1
    bright = (rows.astype(np.uint32) * top // 1_023).astype(np.uint16)
    bright[0, 0] = top
    dark = np.full((32, 32), top // 16, np.uint16)

    def encoded(deep):
        if colour:
            return images.deep_tiff(np.stack([deep, deep, deep // 2], 2))
        return images.encoded(Image.fromarray(deep))

    content = [("a/1.png", encoded(bright)), ("b/1.png", encoded(dark)),
               ("b/2.png", images.encoded(images.pixels(1)))]  # fmt: skip
    if bits == 10:
        content = [(name, data) for name, data in content if "1.png" in name]
    found = _read(images.write(tmp_path / "pets.zip", content))
    assert found.images[0].max() == 255
    assert abs(int(found.images[1].max()) - 15) <= 1
    assert any(f"{white:,}" in line for line in found.remarks) if white else not found.remarks


@pytest.mark.parametrize(("white", "remarked"), [(1, True), (15, True), (63, True), (64, False)])
def test_a_set_that_is_nearly_black_is_remarked(tmp_path, white, remarked):
    """Fractions saved as bytes end at 1."""
    dark = images.encoded(Image.fromarray(np.full((32, 32, 3), white, np.uint8)))
    black = images.encoded(Image.fromarray(np.zeros((32, 32, 3), np.uint8)))
    found = _read(images.write(tmp_path / "pets.zip", [("a/1.png", dark), ("b/1.png", black)]))
    assert any(f"{white} of 255" in line for line in found.remarks) == remarked


def test_progress_counts_images_and_warnings_stay_as_they_were(tmp_path):
    path, counted = images.write(tmp_path / "pets", images.files(4)), []
    before = list(warnings.filters)
    read(path, Limits(), counted.append)
    assert sum(counted) == 8
    assert warnings.filters == before


def test_folders_inside_a_class_are_no_classes(tmp_path):
    entries: list[tarfile.TarInfo | tuple[str, bytes]] = list(images.files(2, top="train/"))
    for i in range(50):
        entry = tarfile.TarInfo(f"train/cat/{i}")
        entry.type = tarfile.DIRTYPE
        entries.append(entry)
    assert len(_read(images.write_tar(tmp_path / "pets.tar", entries)).classes) == 4
