"""What is done with a fuzzed file: read it as the package does, and look at what came out.

Every function takes a file as bytes (an archive also its name). It returns, raises ``InputError``,
or has found something.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_seeds
import images
import numpy as np
import torch

from contrastive_tutorial import data, records
from contrastive_tutorial.data import folders
from contrastive_tutorial.data.folders import read
from contrastive_tutorial.files import clean, members, safe_name
from contrastive_tutorial.files.archives import Limits
from contrastive_tutorial.files.decoding import decode
from contrastive_tutorial.files.storage import load_arrays

LIMITS = Limits()
#: In memory where there is such a place: fuzzers write a thousand files a second.
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None


def is_line(error: Exception) -> bool:
    """Whether a message is what a reader may say."""
    return len(str(error)) <= 2_000 and "\n" not in str(error)


def read_image(content: bytes) -> None:
    """One image of a set."""
    pixels = decode(Path("fuzz.zip"), ("train", "cat", "1.png"), content, LIMITS)
    assert (pixels.shape, pixels.dtype) in (((32, 32, 3), np.uint8), ((32, 32), np.uint16))


def read_archive(case: tuple[str, bytes]) -> None:
    """A whole set of images; nothing is unpacked beside it."""
    name, content = case
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        found = read(path, LIMITS)
        assert found.images.shape == (len(found.classes), 3, 32, 32)
        assert [entry.name for entry in Path(folder).iterdir()] == [name]


#: A second record of the same cell, so that the report takes means.
GOOD = fuzz_seeds.valid_record(1)


def read_record(content: bytes) -> None:
    """The record beside a good one, through everything that ``report`` does with it."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        (Path(folder) / "B0-K10-s0.json").write_bytes(content)  # names agree with the content
        (Path(folder) / "B0-K10-s1.json").write_text(json.dumps(GOOD))
        printed = records.result_table(records.load_records(folder))
        assert printed.replace("\n", "").isprintable(), "control characters on the terminal"


def read_arrays(content: bytes) -> None:
    """The features beside a record."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder) / "x.npz"
        path.write_bytes(content)
        assert all(not array.dtype.hasobject for array in load_arrays(path).values())


# -- a checkpoint and a cache: a damaged one never changes what a run computes ---------------------


@functools.cache
def _run() -> tuple[Any, Any, Any]:
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(8, 2)).square().sum().backward()
    optimizer.step()
    return model, optimizer, torch.arange(4.0)


IDENTITY = json.dumps({"cell": "B0", "steps": 4})


@functools.cache
def valid_checkpoint() -> bytes:
    """A run after two steps of four."""
    from contrastive_tutorial.train import checkpoints

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        progress = checkpoints.Progress(2, 0.5, [(1, 0.25, 0.5)])
        checkpoints.save(path, *_run(), progress, IDENTITY)
        return path.read_bytes()


@functools.cache
def _undamaged() -> Any:
    from contrastive_tutorial.train import checkpoints

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(valid_checkpoint())
        return checkpoints.read(path, IDENTITY)


def read_checkpoint(content: bytes) -> None:
    """A run goes on from it as from the undamaged one, or not at all."""
    from contrastive_tutorial.train import checkpoints

    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        found = checkpoints.read(path, IDENTITY)
    assert checkpoints.restore(found, *_run()) == _undamaged().progress
    assert found.tensors.keys() == _undamaged().tensors.keys()
    for name, value in _undamaged().tensors.items():
        assert torch.equal(found.tensors[name], value), "a checkpoint with other values"


@functools.cache
def _set() -> tuple[tempfile.TemporaryDirectory[str], Path, Path, Path, str]:
    holder = tempfile.TemporaryDirectory()
    folder, cache = Path(holder.name) / "pets", Path(holder.name) / "cache"
    images.write(folder, images.files(7))
    digest = data.load(folder, cache=cache).content_hash
    (file,) = cache.glob("*.safetensors")
    return holder, folder, cache, file, digest


@functools.cache
def valid_cache() -> bytes:
    """Decoded images, as kept for next time."""
    return _set()[3].read_bytes()


def read_cache(content: bytes) -> None:
    """Whatever lies in the cache, the images are those of the source."""
    _, folder, cache, file, digest = _set()
    file.write_bytes(content)
    assert data.load(folder, cache=cache).content_hash == digest


# -- names, layouts, own tensors, folders ----------------------------------------------------------


def read_names(content: bytes) -> None:
    """A zip of small files with names in any code: each is text, and fit for a record."""
    said: list[str] = []
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder) / "x.zip"
        path.write_bytes(content)
        for name, _ in members(path, LIMITS, say=said.append):
            "/".join(name).encode()
            safe = safe_name(name[0])
            assert safe_name(safe) == safe
            assert safe.isprintable()
    assert all("\n" not in line and line.isprintable() for line in said)


def read_layout(case: tuple[list[tuple[str, ...]], list[tuple[str, ...]]]) -> None:
    """Names alone: every image has a place, or the source is refused; never half of either."""
    names, empty = case
    layout = folders._Layout(Path("x"), names, set(empty), {})
    assert layout.kept.keys() <= set(range(len(names)))
    assert len(layout.kept) == len(names) or layout.remarks
    for split, label in layout.kept.values():
        assert split in ("", "train", "val", "test")
        assert label.isprintable()
        assert label == clean(label)
    assert len({split == "" for split, _ in layout.kept.values()}) <= 1


def read_own(case: tuple[Any, Any, Any]) -> None:
    """Anything as images, labels and class names."""
    pixels, labels, names = case
    found = data.ImageSet.of(pixels, labels, names)
    assert found.images.dtype == torch.uint8
    assert found.images.shape[1] == 3
    assert found.images.shape[2] == found.images.shape[3]
    assert len(found.labels) == len(found.images) == len(pixels)
    assert 0 <= int(found.labels.min()) <= int(found.labels.max()) < len(found.class_names)
    repr(found)


def read_folder(changes: list[tuple[int, int]]) -> None:
    """A folder whose files change, with their times put back: the cache never gives old pixels."""
    _, folder, cache, _, _ = _set()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    before = {path: path.read_bytes() for path in files}
    for which, number in changes:
        path = files[which % len(files)]
        path.write_bytes(images.encoded(images.pixels(number % 50), "BMP"))
        os.utime(path, ns=(10**18, 10**18))
    try:
        expected = read(folder, LIMITS)
        found = data.load_splits(folder, cache=cache)
        rows = {image.tobytes() for part in found for image in part.images.numpy()}
        assert rows == {image.tobytes() for image in expected.images}
    finally:
        for path, content in before.items():
            path.write_bytes(content)
        for file in cache.glob("*.safetensors"):
            file.unlink()


READERS: dict[str, Callable[[Any], None]] = {
    "image": read_image,
    "archive": read_archive,
    "record": read_record,
    "arrays": read_arrays,
    "checkpoint": read_checkpoint,
    "cache": read_cache,
    "names": read_names,
    "layout": read_layout,
    "own": read_own,
    "folder": read_folder,
}
