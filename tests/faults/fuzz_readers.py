"""What is done with a fuzzed file: read it as the package does, and look at what came out.

Every function takes a file as bytes (an archive also its name). It returns, raises ``InputError``,
or has found something.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_seeds
import images
import numpy as np

from contrastive_tutorial import records
from contrastive_tutorial.data.folders import read
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
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8


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
        (Path(folder) / "bad.json").write_bytes(content)
        (Path(folder) / "good.json").write_text(json.dumps(GOOD))
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
    import torch
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
    import torch

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
    from contrastive_tutorial import data

    holder = tempfile.TemporaryDirectory()
    folder, cache = Path(holder.name) / "pets", Path(holder.name) / "cache"
    images.write(folder, images.files(7))
    digest = data.load(folder, cache=cache).content_hash
    (file,) = cache.glob("*-train.safetensors")
    return holder, folder, cache, file, digest


@functools.cache
def valid_cache() -> bytes:
    """Decoded images, as kept for next time."""
    return _set()[3].read_bytes()


def read_cache(content: bytes) -> None:
    """Whatever lies in the cache, the images are those of the source."""
    from contrastive_tutorial import data

    _, folder, cache, file, digest = _set()
    file.write_bytes(content)
    assert data.load(folder, cache=cache).content_hash == digest


READERS: dict[str, Callable[[Any], None]] = {
    "image": read_image,
    "archive": read_archive,
    "record": read_record,
    "arrays": read_arrays,
    "checkpoint": read_checkpoint,
    "cache": read_cache,
}
