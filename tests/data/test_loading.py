"""Image sets: splits by rule, a cache that is never trusted blindly, one line for bad input."""

from __future__ import annotations

import os
from pathlib import Path

import images
import numpy as np
import pytest
import torch
from recorded import make

from contrastive_tutorial import data
from contrastive_tutorial.data import folders, loading, shapes
from contrastive_tutorial.data.folders import UNLABELLED
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.archives import Limits
from contrastive_tutorial.records import load_record


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path):
    return images.write(tmp_path / "pets.zip", images.split_files())


@pytest.fixture
def decoded(monkeypatch):
    """The sources that were really decoded."""
    decoded: list[Path] = []
    original = folders.read

    def read(path, *rest):
        decoded.append(path)
        return original(path, *rest)

    monkeypatch.setattr(folders, "read", read)
    return decoded


# -- splits by rule --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pets", "pets.tar.xz", "pets.zip"])
def test_validation_images_are_every_tenth_of_a_class(tmp_path, cache, name):
    path = images.write(tmp_path / name, images.split_files(train=20, test=3))
    train, val, test = (data.load(path, split, cache=cache) for split in loading.SPLITS)
    assert [len(part) for part in (train, val, test)] == [36, 4, 6]
    assert {part.name for part in (train, val, test)} == {"pets"}
    assert train.class_names == ("cat", "dog")
    for part in (train, val, test):
        assert part.content_hash == images.content_hash(part)
        counts = part.labels.bincount()
        assert counts[0] == counts[1]
    expected = [images.pixels(1_000 * c + i + 77 * 6) for c in (0, 1) for i in (4, 14)]
    assert np.array_equal(val.images.numpy().transpose(0, 2, 3, 1), np.stack(expected))


def test_without_folders_a_fifth_is_test_and_a_tenth_of_the_rest_validation(tmp_path, cache):
    path = images.write(tmp_path / "pets", images.files(50))
    parts = [data.load(path, split, cache=cache) for split in loading.SPLITS]
    assert [part.labels.bincount().tolist() for part in parts] == [[36, 36], [4, 4], [10, 10]]
    rows = [image.numpy().tobytes() for part in parts for image in part.images]
    assert len(set(rows)) == 100
    test = parts[2].images.numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(test[1], images.pixels(7))  # the 3rd, the 8th, ...


def test_a_validation_folder_is_used(tmp_path, cache):
    files = images.split_files(20, 3) + images.files(5, top="val/")
    path = images.write(tmp_path / "pets", files)
    sizes = [len(data.load(path, split, cache=cache)) for split in loading.SPLITS]
    assert sizes == [40, 10, 6]


def test_the_rule_ignores_content(tmp_path, cache):
    """Changing one image's pixels moves no other image to another split."""
    files = images.files(50)
    before = data.load(images.write(tmp_path / "a", files), "val", cache=cache)
    name, _ = files[0]
    files[0] = (name, images.encoded(images.pixels(99_999)))
    after = data.load(images.write(tmp_path / "b", files), "val", cache=cache)
    assert before.content_hash == after.content_hash


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (images.files(3), "too few images for a val split"),
        (images.files(2, top="train/") + images.files(2, top="val/"), "too few images for a test"),
        (images.files(5), "at least 6 in some class"),
        (
            images.files(9, top="train/") + images.files(9, ("cat", "emu"), "test/"),
            "class 'emu' has no images in the train split",
        ),
    ],
)
def test_too_little_to_split(tmp_path, cache, files, reason):
    path = images.write(tmp_path / "pets", files)
    with pytest.raises(InputError, match=reason):
        data.load(path, cache=cache)
    assert not cache.exists()


def test_six_images_of_a_class_are_enough(tmp_path, cache):
    path = images.write(tmp_path / "pets", images.files(6))
    assert [len(data.load(path, split, cache=cache)) for split in loading.SPLITS] == [8, 2, 2]


# -- the cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pets", "pets.tar.gz", "pets.zip"])
def test_sources_are_decoded_once(tmp_path, cache, decoded, name):
    path = images.write(tmp_path / name, images.split_files())
    first = [data.load(path, split, cache=cache) for split in loading.SPLITS]
    again = [data.load(str(path), split, cache=str(cache)) for split in loading.SPLITS]
    (tmp_path / "else").mkdir()
    moved = data.load(path.rename(tmp_path / "else" / name), cache=cache)
    assert decoded == [path]
    for a, b in zip([*first, first[0]], [*again, moved], strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)
        assert (a.class_names, a.name, a.content_hash) == (b.class_names, b.name, b.content_hash)


def test_a_changed_source_is_decoded_again(tmp_path, cache, decoded, pets):
    before = data.load(pets, cache=cache)
    images.write(pets, images.split_files(train=11))
    assert len(data.load(pets, cache=cache)) != len(before)
    folder = images.write(tmp_path / "pets", images.split_files())
    data.load(folder, cache=cache)
    file = folder / "train" / "cat" / "00.png"
    file.write_bytes(images.encoded(images.pixels(5_555)))
    assert data.load(folder, cache=cache).content_hash != before.content_hash
    assert len(decoded) == 4


DAMAGE = {
    "flip": lambda whole: whole[:-2_000] + bytes([whole[-2_000] ^ 1]) + whole[-1_999:],
    "cut": lambda whole: whole[:-100],
    "empty": lambda _: b"",
    "text": lambda _: b"not a cache at all",
    "header": lambda whole: b"\xff" * 8 + whole[8:],
    "names": lambda whole: whole.replace(b"cat", b"cow"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_made_anew_without_a_word(pets, cache, decoded, damage):
    expected = [part.content_hash for part in data.load_splits(pets, cache=cache)]
    (file,) = cache.glob("pets-*.safetensors")
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    for _ in range(2):
        found = [part.content_hash for part in data.load_splits(pets, cache=cache)]
        assert found == expected
    assert len(decoded) == 2


def test_a_cache_holds_what_was_in_the_files_whatever_their_names_and_times(tmp_path, cache):
    """Two folders of one name, with files of equal names, sizes and times, as tar leaves them."""
    found = []
    for version in ("v1", "v2"):
        flat = np.full((32, 32, 3), 10 if version == "v1" else 200, np.uint8)
        content = [(name, images.encoded(flat, "BMP")) for name, _ in images.files(6)]
        folder = images.write(tmp_path / version / "photos", content)
        for file in folder.rglob("*.png"):
            os.utime(file, ns=(10**18, 10**18))
        with pytest.warns(UserWarning, match="test images are in the training"):
            found.append(data.load(folder, cache=cache))
    assert [part.images.float().mean() for part in found] == [10, 200]
    assert found[0].content_hash != found[1].content_hash


def test_a_cache_of_another_source_is_not_taken_for_this_one(tmp_path, cache):
    one = images.write(tmp_path / "one.zip", images.files(8))
    other = images.write(tmp_path / "other.zip", images.files(9))
    expected = data.load(one, cache=cache).content_hash
    data.load(other, cache=cache)
    (mine,), (wrong,) = cache.glob("one-*"), cache.glob("other-*")
    mine.write_bytes(wrong.read_bytes())
    assert data.load(one, cache=cache).content_hash == expected


@pytest.mark.parametrize("name", ["pets", "pets.tar.gz", "pets.zip"])
def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path, cache, monkeypatch, name):
    """Its pixels would be kept, and found again, as those of the source that was there before."""
    path = images.write(tmp_path / name, images.split_files())
    original = folders.read

    def read(path, *rest):
        images.write(path, images.split_files(train=11))
        return original(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "read", read)
        with pytest.raises(InputError, match="changed while it was read"):
            data.load(path, cache=cache)
    assert not cache.exists()
    assert len(data.load(path, cache=cache)) == 20


def test_broken_images_are_skipped_on_request_only(tmp_path, cache):
    files = images.split_files()
    path = images.write(tmp_path / "pets.zip", files)
    whole = data.load_splits(path, cache=cache)
    assert whole[0].skipped == 0
    broken = [(name, b"x" if name.startswith("test/") and "00" in name else b) for name, b in files]
    images.write(path, broken)
    with pytest.raises(InputError, match=r"2 images cannot be used: .*--skip-broken"):
        data.load_splits(path, cache=cache)
    for _ in range(2):  # decoded, then from the cache
        with pytest.warns(
            UserWarning, match="2 images cannot be used, left out: 'test/cat/00.png'"
        ):
            found = data.load_splits(path, cache=cache, skip_broken=True)
        assert [part.skipped for part in found] == [2, 2, 2]
        assert len(found[2]) == len(whole[2]) - 2
        # the training images are those of the whole set: only the test images tell them apart
        assert found[0].content_hash == whole[0].content_hash
        assert found[2].content_hash != whole[2].content_hash
    with pytest.raises(InputError, match="--skip-broken"):
        data.load_splits(path, cache=cache)


def test_limits_and_sizes_are_part_of_the_key(pets, cache, monkeypatch, decoded):
    data.load(pets, cache=cache)
    assert data.load(pets, cache=cache, size=48).images.shape[2:] == (48, 48)
    assert data.load(pets, cache=cache).images.shape[2:] == (32, 32)
    assert len(decoded) == 2
    monkeypatch.setattr(loading, "_LIMITS", Limits(images=10))
    with pytest.raises(InputError, match="more than 10 images"):
        data.load(pets, cache=cache)


def test_the_cache_forgets_what_was_used_least_lately(tmp_path, cache, monkeypatch):
    paths = [images.write(tmp_path / f"{i}.zip", images.split_files(8 + i)) for i in range(4)]
    for i, path in enumerate(paths[:3]):
        data.load(path, cache=cache)
        (file,) = cache.glob(f"{i}-*.safetensors")
        os.utime(file, (i, i))
    killed = cache / ".0-abc.safetensors.1234abcd~"
    killed.write_bytes(b"half")
    os.utime(killed, (0, 0))
    data.load(paths[0], cache=cache)  # now 1 is the oldest
    monkeypatch.setattr(data.cache, "_CACHE_BYTES", 3 * file.stat().st_size + 20_000)
    data.load(paths[3], cache=cache)
    assert sorted(path.name[0] for path in cache.iterdir()) == ["0", "2", "3"]


@pytest.mark.parametrize("how", ["load", "load_splits"])
def test_without_a_cache_a_source_is_decoded_once(tmp_path, decoded, how):
    (tmp_path / "cache").write_text("a file where a folder is wanted")
    path = images.write(tmp_path / "pets", images.split_files())
    with pytest.warns(UserWarning, match="not kept for next time"):
        first = data.load_splits(path, cache=tmp_path / "cache")
    for _ in range(2):
        if how == "load":
            again = [data.load(path, split, cache=tmp_path / "cache") for split in loading.SPLITS]
        else:
            again = list(data.load_splits(path, cache=tmp_path / "cache"))
        assert [part.content_hash for part in again] == [part.content_hash for part in first]
        again[0].images.zero_()  # one's own copy
    assert decoded == [path]


def test_writing_to_images_from_the_cache_leaves_the_cache_alone(pets, cache):
    data.load(pets, cache=cache)
    found = data.load(pets, cache=cache)
    found.images.zero_()
    assert data.load(pets, cache=cache).images.any()


def test_the_cache_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_CACHE", str(tmp_path / "a"))
    assert data.cache_folder() == tmp_path / "a"
    assert data.cache_folder(tmp_path / "b") == tmp_path / "b"
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_CACHE")
    assert data.cache_folder() == Path.home() / ".cache" / "contrastive_tutorial"
    assert data.cache_folder("~/x") == Path.home() / "x"


# -- names and bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my photos", "my photos"), ("图片 (1)", "图片 (1)"), ("archive [v2]", "archive [v2]"),
     ("cafe\u0301", "caf\u00e9"), ("a:b?", "a_b_"), ("CIFAR10", "CIFAR10-local"),
     ("shapes", "shapes-local"), ("cifar10-jpeg75", "cifar10-jpeg75-local")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["", ".zip"])
def test_a_name_is_fit_for_a_record_before_training_starts(tmp_path, cache, folder, name, kind):
    found = data.load(images.write(tmp_path / (folder + kind), images.files(6)), cache=cache)
    assert found.name == name
    record = make(data=found.name, data_hash=found.content_hash)
    saved = record.save(tmp_path / "results")
    assert load_record(saved).data == name


def test_known_names_in_any_spelling(tmp_path, monkeypatch):
    monkeypatch.setitem(shapes.SIZES, "train", 40)
    for name in ("shapes", "Shapes", "SHAPES"):
        assert data.load(name).name == "shapes"
    for name in ("CIFAR-10", "cifar_100", "STL10", "svhn"):
        assert loading.known_set(name) == name.lower().replace("-", "").replace("_", "")
    assert loading.known_set("cifar") is None


def test_a_folder_called_like_a_known_set(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(shapes.SIZES, "train", 40)
    images.write(tmp_path / "shapes", images.files(6))
    images.write(tmp_path / "Svhn", images.files(6))
    with pytest.warns(UserWarning, match=r"not the 'shapes' that lies here; that is \./shapes"):
        assert data.load("shapes").name == "shapes"
    assert data.load("./shapes", cache=cache).name == "shapes-local"
    assert data.load(Path("shapes"), cache=cache).name == "shapes-local"
    assert data.load("Svhn", cache=cache).name == "Svhn-local"


# -- labels, or none, and images that appear twice -------------------------------------------------


@pytest.mark.parametrize("wrapped", ["", "train/", "photos/"])
def test_images_without_labels_are_split_and_said_to_have_none(tmp_path, cache, wrapped):
    content = [(wrapped + name.replace("/", "-"), file) for name, file in images.files(10)]
    path = images.write(tmp_path / "photos.zip", content)
    with pytest.warns(UserWarning, match="no labels"):
        sets = data.load_splits(path, cache=cache)
    assert [len(part) for part in sets] == [14, 2, 4]
    for part in sets:
        assert not part.labelled
        assert part.class_names == (UNLABELLED,)
        assert not part.labels.any()
    with pytest.warns(UserWarning, match="no labels"):  # also from the cache
        data.load(path, cache=cache)


def test_one_class_is_as_good_as_none(tmp_path, cache):
    path = images.write(tmp_path / "pets", images.files(9, ["cat"], "train/"))
    with pytest.warns(UserWarning, match="one class, 'cat', so no labels"):
        assert not data.load(path, cache=cache).labelled


def test_images_both_in_train_and_test_are_counted(tmp_path, cache):
    content = images.split_files(10, 3)
    twins = [(f"test/cat/twin{i}.png", file) for i, (_, file) in enumerate(content[:7])]
    path = images.write(tmp_path / "pets.tar", content + twins)
    with pytest.warns(UserWarning, match="7 of 13 test images are in the training"):
        data.load(path, cache=cache)


def test_load_splits_takes_sets_as_well():
    pixels = torch.randint(0, 256, (60, 3, 40, 40), dtype=torch.uint8)
    whole = data.ImageSet.of(pixels, torch.arange(60) % 3, name="mine")
    parts = data.load_splits(whole)
    assert [len(part) for part in parts] == [42, 6, 12]
    assert {part.name for part in parts} == {"mine"}
    assert data.load_splits(parts) == parts
    for wrong in ((pixels, pixels), parts[:2], (parts[0], parts[1], data.load("shapes", "test"))):
        with pytest.raises(InputError, match="data: "):
            data.load_splits(wrong)
    with pytest.raises(InputError, match=r"ImageSet\.of"):
        data.load(pixels)


def _three(*splits, lacks=-1):
    generator = torch.Generator().manual_seed(0)
    found = []
    for split in splits:
        pixels = torch.randint(256, (12, 3, 8, 8), dtype=torch.uint8, generator=generator)
        labels = torch.arange(12) % 3
        kept = labels != lacks if not found else torch.ones(12, dtype=torch.bool)
        found.append(data.ImageSet.of(pixels[kept], labels[kept], list("abc"), "mine", split))
    return tuple(found)


def test_three_sets_are_looked_at_as_those_of_a_folder():
    for order in (("train", "val", "test"), ("train", "train", "train")):
        assert [part.split for part in data.load_splits(_three(*order))] == list(order)
    for order in (("test", "val", "train"), ("train", "test", "val"), ("val", "train", "train")):
        with pytest.raises(InputError, match="order train, val, test, got"):
            data.load_splits(_three(*order))
    with pytest.raises(InputError, match="class 'b' has no images in the train split"):
        data.load_splits(_three("train", "val", "test", lacks=1))
    train, val, _ = _three("train", "val", "test")
    with pytest.warns(UserWarning, match="12 of 12 test images are in the training"):
        data.load_splits((train, val, train))


@pytest.mark.parametrize("size", [4, 300, 0, 32.0, "32", True])
def test_a_size_is_looked_at_before_any_image(tmp_path, size):
    for load in (data.load, data.load_splits):
        with pytest.raises(InputError, match="size: expected 8 to 256"):
            load(tmp_path / "none", size=size)


def test_classes_of_an_image_set_keep_their_order_and_their_labels():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (240, 3, 8, 8), dtype=torch.uint8, generator=generator)
    own = data.ImageSet.of(pixels, [i % 12 for i in range(240)])  # "class 10" and "class 2"
    train, _, test = data.load_splits(own)
    assert train.class_names == test.class_names == own.class_names
    whole = {
        image.numpy().tobytes(): label for image, label in zip(own.images, own.labels, strict=True)
    }
    for image, label in zip(train.images, train.labels, strict=True):
        assert whole[image.numpy().tobytes()] == label


def test_a_relative_path_has_a_name(tmp_path, cache, monkeypatch):
    monkeypatch.chdir(images.write(tmp_path / "pets", images.split_files()))
    assert data.load(".", cache=cache).name == "pets"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name_or_path": "shapes", "split": "valid"}, "split: expected one of train, val, test"),
        ({"name_or_path": "no/such/place"}, "neither a known name nor a path"),
        ({"name_or_path": ""}, "neither a known name nor a path"),
        ({"name_or_path": "a\0b"}, "neither a known name nor a path"),
        ({"name_or_path": "x" * 5_000}, "neither a known name nor a path|cannot be read"),
        ({"name_or_path": "shapes", "size": 64}, "size: expected 32"),
        ({"name_or_path": "shapes", "num_images": 3}, "num_images: expected 10 to"),
        ({"name_or_path": "pets", "num_images": 30}, "num_images: only for shapes"),
    ],
)
def test_bad_arguments(arguments, reason):
    with pytest.raises(InputError, match=reason) as caught:
        data.load(**arguments)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "pets.rar").write_bytes(b"Rar!")
    with pytest.raises(InputError, match=r"pets\.rar: expected a folder or an archive"):
        data.load(tmp_path / "pets.rar")


# -- the real archive ------------------------------------------------------------------------------


@pytest.mark.slow
def test_cifar10_as_jpeg(cifar10_archive):
    """Facts about CIFAR-10 (Krizhevsky 2009): 6,000 images per class, 10,000 for the test."""
    train, val, test = data.load_splits(cifar10_archive)
    assert {part.name for part in (train, val, test)} == {"cifar10-jpeg75"}
    assert train.labels.bincount().tolist() == [4_500] * 10
    assert val.labels.bincount().tolist() == [500] * 10
    assert test.labels.bincount().tolist() == [1_000] * 10
    assert train.class_names == (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    both = torch.cat([train.images, val.images])
    moments = [torch.std_mean(both[:, c].float() / 255) for c in range(3)]
    expected = [(0.2452, 0.4913), (0.2428, 0.4821), (0.2606, 0.4465)]
    assert torch.allclose(torch.tensor(moments), torch.tensor(expected), atol=2e-4)
    again = data.load(cifar10_archive, "train")
    assert again.content_hash == train.content_hash == images.content_hash(again)
