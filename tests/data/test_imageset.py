"""ImageSet: what it holds, what one may ask of it, and own tensors made into one."""

from __future__ import annotations

import io

import images
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from contrastive_tutorial import data
from contrastive_tutorial.data import ImageSet
from contrastive_tutorial.data.imageset import content_hash
from contrastive_tutorial.errors import InputError


def test_shapes():
    found = data.load("shapes", "val")
    assert (found.name, found.split, len(found)) == ("shapes", "val", 1_000)
    assert found.images.shape == (1_000, 3, 32, 32)
    assert found.images.dtype == torch.uint8
    assert found.labels.dtype == torch.int64
    assert len(found.class_names) == 10
    assert found.factors is not None
    assert found.content_hash == images.content_hash(found)
    assert data.load("shapes", "val").content_hash == found.content_hash


def test_defaults_are_the_training_images_of_shapes():
    found = data.load(num_images=50)
    assert (found.name, found.split, len(found)) == ("shapes", "train", 50)


def test_subset_keeps_rows_together():
    whole = data.load("shapes", "test", num_images=40)
    index = torch.tensor([7, 3, 3, 39])
    part = whole.subset(index)
    assert torch.equal(part.images, whole.images[index])
    assert torch.equal(part.labels, whole.labels[index])
    assert whole.factors is not None
    assert part.factors is not None
    assert torch.equal(part.factors["x"], whole.factors["x"][index])
    assert part.content_hash == images.content_hash(part) != whole.content_hash
    assert len(whole.subset(whole.labels == 3)) == 4
    assert len(whole.subset([1, 2])) == 2
    assert len(whole.subset(range(5))) == 5


def test_to_another_device_keeps_the_hash():
    found = data.load("shapes", "test", num_images=20)
    assert found.to("cpu") is found
    moved = found.to("meta")
    assert moved.device.type == moved.labels.device.type == "meta"
    assert moved.factors is not None
    assert moved.factors["x"].device.type == "meta"
    assert moved.content_hash == found.content_hash


def test_content_hash_covers_pixels_labels_and_names():
    found = data.load("shapes", "test", num_images=20)
    pixels, labels = found.images.clone(), found.labels.clone()
    pixels[3, 1, 5, 5] ^= 1
    labels[0] += 1
    names = (*found.class_names[:-1], "moon")
    hashes = {
        found.content_hash,
        content_hash(pixels, found.labels, found.class_names),
        content_hash(found.images, labels, found.class_names),
        content_hash(found.images, found.labels, names),
    }
    assert len(hashes) == 4
    strided = found.images.to(memory_format=torch.channels_last)
    assert content_hash(strided, found.labels, found.class_names) == found.content_hash


def test_numbers_give_images_and_slices_give_sets():
    found = data.load("shapes", "test", num_images=20)
    image, label = found[3]
    assert torch.equal(image, found.images[3])
    assert (label, type(label)) == (int(found.labels[3]), int)
    assert torch.equal(found[-1][0], found.images[19])
    assert found[np.int64(3)][1] == label
    assert found[5:9].content_hash == found.subset([5, 6, 7, 8]).content_hash
    assert len(found[::3]) == 7
    assert len(found[found.labels == 3]) == 2
    assert [label for _, label in found] == found.labels.tolist()
    with pytest.raises(IndexError):
        found[20]


def test_a_loader_takes_it():
    found = data.load("shapes", "test", num_images=20)
    batches = list(DataLoader(found, batch_size=8))
    assert torch.equal(torch.cat([images for images, _ in batches]), found.images)
    assert torch.equal(torch.cat([labels for _, labels in batches]), found.labels)


def test_it_prints_itself_in_one_line_and_shows_ten_pictures():
    found = data.load("shapes", "test", num_images=20)
    assert len(repr(found)) < 120
    for part in ("shapes", "test", "20 images", "32x32", "10 classes"):
        assert part in repr(found)
    shown = found._repr_html_()
    assert shown.count("<img ") == 10
    assert len(shown) < 60_000
    hostile = ImageSet.of(found.images[:2], [0, 1], ["<script>", '" onerror="x'], "<b>")
    assert "<script>" not in hostile._repr_html_()
    assert '" onerror' not in hostile._repr_html_()
    plain = ImageSet.of(found.images)
    assert "no labels" in repr(plain)
    assert plain._repr_html_().count("<img ") == 10


PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
FIRST = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    "given",
    [PIXELS, FIRST, FIRST.float() / 255, FIRST.double() / 255, PIXELS.astype(np.float32) / 255,
     list(PIXELS)],
)  # fmt: skip
def test_own_images_in_any_ordinary_form(given):
    found = ImageSet.of(given, [0, 1, 2] * 2)
    assert torch.equal(found.images, FIRST)
    assert found.class_names == ("class 0", "class 1", "class 2")
    assert found.content_hash == images.content_hash(found)
    assert found.labelled


def test_grey_images_and_other_sizes():
    grey = PIXELS[..., 0]
    for given in (grey, grey[..., None], torch.from_numpy(grey)[:, None]):
        found = ImageSet.of(given)
        assert torch.equal(found.images, torch.from_numpy(grey)[:, None].expand(-1, 3, -1, -1))
    wide = np.full((2, 40, 60, 3), 7, np.uint8)
    assert ImageSet.of(wide).images.shape == (2, 3, 40, 40)
    assert (ImageSet.of(wide, size=32).images == torch.full((2, 3, 32, 32), 7)).all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"images": FIRST.float()}, r"images: expected floating numbers in \[0, 1\]"),
        ({"images": FIRST.float() / 0}, "images: expected floating numbers"),
        ({"images": FIRST.int()}, "images: expected uint8"),
        ({"images": PIXELS[..., :2]}, "images: .* 1 or 3 channels"),
        ({"images": FIRST[0, 0]}, "images: "),
        ({"images": FIRST[:0]}, "images: "),
        ({"images": "photos"}, "images: expected an array of numbers"),
        ({"images": [[1, 2], [3]]}, "images: expected one array"),
        ({"labels": "cat"}, "labels: expected an array of numbers"),
        ({"labels": [None] * 6}, "labels: expected an array of numbers"),
        ({"labels": [2**70] * 6}, "labels: expected an array of numbers"),
        ({"labels": [0, 1]}, "labels: expected 6 integers"),
        ({"labels": [0.5] * 6}, "labels: expected 6 integers"),
        ({"labels": [-1] * 6}, "labels: .* got -1 to -1"),
        ({"labels": [2] * 6, "class_names": ["a", "b"]}, "labels: 2 class names allow 0 to 1"),
        ({"split": "valid"}, "split: expected one of"),
        ({"size": 0}, "size: expected a whole number"),
        ({"size": True}, "size: expected a whole number"),
        ({"labels": [0, 1, 2, 3, 4, 10**9]}, "labels: expected numbers .* 100,000 at most"),
        ({"labels": [0, 1] * 3, "class_names": ["a", "a"]}, "class_names: .* 'a' twice"),
    ],
)
def test_other_things_are_refused_by_name(arguments, reason):
    with pytest.raises(InputError, match=reason):
        ImageSet.of(**({"images": FIRST} | arguments))


@pytest.mark.parametrize(
    "indices",
    [torch.ones(5, dtype=torch.bool), [True] * 7, [0.5], [[0, 1]], torch.tensor(0), "a", None],
)
def test_other_indices_are_refused(indices):
    with pytest.raises(InputError, match="indices: expected"):
        ImageSet.of(FIRST).subset(indices)


def test_images_of_pil_follow_the_rules_for_files():
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert data.from_torchvision([(clear, 0)]).images.unique().tolist() == [255]
    deep = Image.fromarray(np.full((40, 40), 4_095, np.uint16))
    with pytest.warns(UserWarning, match="hold numbers of 12 bits"):
        found = data.from_torchvision([(deep, 0), (clear, 1)])
    assert found.images.unique().tolist() == [255]
    exif = Image.Exif()
    exif[274] = 3
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(buffer, "PNG", exif=exif)
    upright = data.from_torchvision([(Image.open(buffer), 0)]).images[0]
    assert torch.equal(upright, FIRST[0].flip(1, 2))
    with pytest.raises(InputError, match="dataset: 'image 1' has pixels of 32 bits"):
        data.from_torchvision([(clear, 0), (Image.new("F", (40, 40)), 0)])


PICTURE = Image.fromarray(PIXELS[0])


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ([], "dataset: list has no images"),
        (iter([(PICTURE, 0)]), "dataset: expected one with len"),
        ([(PICTURE, 1.7)], r"dataset: expected \(image, whole number\), .* at 0"),
        ([(PICTURE, 0), (PICTURE, "cat")], r"dataset: expected \(image, whole number\), .* at 1"),
        ([(PICTURE, {"label": 1})], "dataset: expected"),
        ([(PICTURE, torch.tensor([1, 0]))], "dataset: expected"),
        ([(PICTURE,)], "dataset: expected"),
        ([PICTURE], "dataset: expected"),
        ([(b"bytes", 0)], "images: expected"),
        ([(PICTURE, 10**12)], "labels: expected numbers from 0"),
    ],
)
def test_what_is_no_labelled_image_is_refused(dataset, reason):
    with pytest.raises(InputError, match=reason):
        data.from_torchvision(dataset)


def test_a_data_set_of_torchvision():
    class Pets:
        classes = ("cat", "dog")

        def __init__(self, as_tensor):
            self.as_tensor = as_tensor

        def __len__(self):
            return 6

        def __getitem__(self, i):
            return (FIRST[i] / 255 if self.as_tensor else Image.fromarray(PIXELS[i])), i % 2

    for as_tensor in (False, True):
        found = data.from_torchvision(Pets(as_tensor), "test")
        assert torch.equal(found.images, FIRST)
        assert (found.name, found.split, found.class_names) == ("pets", "test", ("cat", "dog"))
        assert found.labels.tolist() == [0, 1] * 3
