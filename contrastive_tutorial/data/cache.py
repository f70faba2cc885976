"""Decoded images kept on disk by the content they were made of, verified when they are read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from contrastive_tutorial.data.folders import Decoded
from contrastive_tutorial.data.imageset import ImageSet, content_hash
from contrastive_tutorial.data.splitting import split_by_position
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write, require_file

_CACHE_FORMAT = 4  # part of every key: a change of decoding or splitting makes old caches unused
_CACHE_BYTES = 8 << 30  # of decoded images; the ones that were used least lately go first
#: The source decoded last, for as long as the cache cannot keep it.
_unkept: dict[str, dict[str, ImageSet]] = {}


def cached(
    name: str, key: str, read: Callable[[], Decoded], splits: Sequence[str], folder: Path
) -> dict[str, ImageSet]:
    """The splits from the cache; else read the source, and leave all three in the cache."""
    slug = re.sub(r"[^A-Za-z0-9.-]", "_", name)[:40]
    digest = hashlib.sha256(f"{_CACHE_FORMAT}-{key}".encode()).hexdigest()
    file = folder / f"{slug}-{digest[:24]}.safetensors"
    if str(file) in _unkept:  # copies, as from a file: who changes them changes no others
        return {split: part.subset(range(len(part))) for split, part in _unkept[str(file)].items()}
    found = _read_cache(file, digest, name, splits)
    if found is None:
        found, remarks = split_by_position(name, read())
        try:
            atomic_write(file, _packed(found, digest, remarks))
            _trim(folder, file)
        except InputError as error:
            warnings.warn(f"decoded images are not kept for next time: {error}", stacklevel=5)
            _unkept.clear()
            _unkept[str(file)] = found
        say(name, remarks)
    return found


def say(name: str, remarks: Sequence[str]) -> None:
    for remark in remarks:
        warnings.warn(f"{name}: {remark}", stacklevel=6)


def _packed(sets: dict[str, ImageSet], digest: str, remarks: Sequence[str]) -> bytes:
    tensors: dict[str, torch.Tensor] = {}
    metadata = {"remarks": json.dumps(remarks), "key": digest}
    for split, part in sets.items():
        tensors |= {f"{split}.images": part.images, f"{split}.labels": part.labels}
        metadata |= {"names": json.dumps(part.class_names), split: part.content_hash}
        metadata["skipped"] = str(part.skipped)
    return save(tensors, metadata)


def _read_cache(
    file: Path, digest: str, name: str, splits: Sequence[str]
) -> dict[str, ImageSet] | None:
    """Splits whose pixels match their recorded hash, in a file that was made for this source; None
    for anything else, to be made anew."""
    try:
        require_file(file)
        found = {}
        with safe_open(file, framework="pt") as stored:
            metadata = stored.metadata()
            if metadata["key"] != digest:
                return None
            names = tuple(json.loads(metadata["names"]))
            skipped = int(metadata["skipped"])
            for split in splits:
                images = stored.get_tensor(f"{split}.images")
                labels = stored.get_tensor(f"{split}.labels")
                if content_hash(images, labels, names) != metadata[split]:
                    return None
                found[split] = ImageSet(
                    images, labels, names, name, split, metadata[split], skipped=skipped
                )
        remarks = [str(remark) for remark in json.loads(metadata["remarks"])]
    except Exception:  # missing or damaged in any way: the source is still there
        return None
    with suppress(OSError):
        os.utime(file)  # was used just now
    say(name, remarks)
    return found


def _trim(folder: Path, kept: Path) -> None:
    """Remove what was used least lately until the rest fits, and what killed processes left."""
    with suppress(OSError):  # another process may trim at the same time
        for left in folder.glob(".*.safetensors.*~"):
            if left.stat().st_mtime < time.time() - 86_400:
                left.unlink()
        stored = [path for path in folder.glob("*.safetensors") if path != kept]
        sizes = {path: path.stat() for path in stored}
        total = kept.stat().st_size + sum(status.st_size for status in sizes.values())
        for path in sorted(stored, key=lambda path: sizes[path].st_mtime):
            if total <= _CACHE_BYTES:
                break
            path.unlink()
            total -= sizes[path].st_size


def cache_folder(folder: str | Path | None = None) -> Path:
    """Where decoded images are kept: the argument, the environment variable, or the default."""
    if folder is None:
        folder = os.environ.get("CONTRASTIVE_TUTORIAL_CACHE") or "~/.cache/contrastive_tutorial"
    return Path(folder).expanduser()
