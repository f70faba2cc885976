"""Train, validation and test images of one source: by its folders, else by position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from contrastive_tutorial.data.folders import UNLABELLED, Decoded
from contrastive_tutorial.data.imageset import SPLITS, ImageSet, content_hash
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import shown


def split_by_position(
    name: str, source: Decoded, order: Sequence[str] | None = None
) -> tuple[dict[str, ImageSet], list[str]]:
    """Train, validation and test sets by folder, and by position where a folder is missing.

    With them, what there is to say about the source. Classes are in ``order``, or else by name.
    """
    present = set(source.classes)
    names = tuple(sorted(present) if order is None else [kind for kind in order if kind in present])
    index = {class_name: i for i, class_name in enumerate(names)}
    labels = np.array([index[class_name] for class_name in source.classes], dtype=np.int64)
    parts = np.array([folder or "train" for folder in source.folders], dtype="U5")
    for part, every, first in (("test", 5, 2), ("val", 10, 4)):
        if part in source.folders:
            continue
        for label in range(len(names)):
            left = np.flatnonzero((labels == label) & (parts == "train"))
            parts[left[first::every]] = part
    sets = {}
    for split in SPLITS:
        chosen = np.flatnonzero(parts == split)
        if len(chosen) == 0:
            raise InputError(
                f"{name}: too few images for a {split} split; expected at least 6 in some class, "
                f"or a {split}/ folder"
            )
        images = torch.from_numpy(np.ascontiguousarray(source.images[chosen]))
        own = torch.from_numpy(labels[chosen])
        digest = content_hash(images, own, names)
        sets[split] = ImageSet(images, own, names, name, split, digest, skipped=source.skipped)
    require_learnable(sets["train"])
    remarks = [*source.remarks]
    if names == (UNLABELLED,):
        remarks.append("no class folders, so no labels: only scores that need none are computed")
    elif len(names) == 1:
        remarks.append(
            f"one class, {shown(names[0])!r}, so no labels: only scores that need none are computed"
        )
    return sets, remarks + leaks(*sets.values())


def require_learnable(train: ImageSet) -> None:
    """Refuse a class without images to train on."""
    absent = sorted(set(range(len(train.class_names))) - set(train.labels.tolist()))
    if absent:  # no probe could ever name it, and nothing else would say so
        raise InputError(
            f"{train.name}: class {shown(train.class_names[absent[0]])!r} has no images in the "
            "train split; add some there, or remove the class"
        )


def leaks(train: ImageSet, val: ImageSet, test: ImageSet) -> list[str]:
    """A remark on test images that are also among those that are trained or chosen on, if any."""
    learnt = {hash(image.tobytes()) for part in (train, val) for image in part.images.cpu().numpy()}
    found = sum(hash(image.tobytes()) in learnt for image in test.images.cpu().numpy())
    if not found:
        return []
    return [
        f"{found:,} of {len(test):,} test images are in the training or validation images too, "
        "pixel by pixel; scores on them are too good"
    ]
