"""The ImageFolder layout and its relatives: ``train/<class>/*`` and ``test/<class>/*``,
``<class>/*`` alone, or images without class folders, which have no labels.

Works on a folder and on an archive alike, and takes sets as they are published: one folder that
wraps everything is looked through, and so is ``seg_train/seg_train/``; ``Train/``,
``training_set/`` and ``validation/`` are splits; files whose names promise no image are left out,
aloud. Folders inside a class folder belong to the class.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import (
    SIDE,
    ImageError,
    Limits,
    Member,
    Name,
    clean,
    decode_all,
    is_image_name,
    members,
    shown,
    suffix_of,
)

#: The class of images that have none.
UNLABELLED = "unlabelled"
#: What folders are called that hold class folders, in any case, and which split each is.
_SPLITS = {
    form: split
    for split, words in {
        "train": ("train", "training"),
        "val": ("val", "valid", "validation"),
        "test": ("test", "testing"),
    }.items()
    for word in words
    for form in (word, f"{word}set", f"{word}_set", f"seg_{word}")
}
#: What may stand in such names beside the word: train_images, test1, val2017.
_BESIDE = re.compile(r"[\W\d_]+|images?|imgs?|data|set", re.IGNORECASE)
#: Tiny ImageNet says in this file which validation image has which class.
_ANNOTATIONS = "val_annotations.txt"
_SHOWN = 10  # of the images that cannot be used
_DARK = 64  # of 255: a whole set below it was saved with other numbers than it holds
_EXPECTED = "expected train/<class>/* and test/<class>/*, or <class>/*, or images alone"


@dataclass(frozen=True)
class Decoded:
    """The images of one source.

    Attributes:
        images: uint8 ``(N, 3, S, S)``.
        classes: class name of every image; :data:`UNLABELLED` where there are none.
        folders: "train", "val" or "test" of every image; "" where the source does not say.
        remarks: what was left out or decided, each in one line.
        skipped: how many images were broken and left out.
    """

    images: np.ndarray
    classes: list[str]
    folders: list[str]
    remarks: tuple[str, ...] = ()
    skipped: int = 0


def passed_over(name: Name) -> bool:
    """Whether a file is left out unread: its suffix promises no image."""
    return not is_image_name(name) and name[-1] != _ANNOTATIONS


def read(
    path: Path,
    limits: Limits,
    progress: Callable[[int], object] | None = None,
    side: int = SIDE,
    skip_broken: bool = False,
) -> Decoded:
    """Decode every image of a folder or archive, in the order of their names.

    Args:
        path: a folder, or an archive with one of ``archives.ARCHIVE_SUFFIXES``.
        limits: what is refused.
        progress: called with the number of images decoded since the last call.
        side: width and height of the decoded images.
        skip_broken: leave out images that cannot be used, and say which; else they are refused.

    Raises:
        InputError: naming the files or archive members that cannot be used, and why.
    """
    source = _Source()
    found = source.without_annotations(members(path, limits, source.skip, source.remarks.append))
    source.take(decode_all(path, found, limits, side), progress)
    unusable, remarks, names = source.unusable, source.remarks, source.names
    if unusable and not skip_broken:
        raise InputError(
            f"{path}: {_named(unusable, 'cannot be used')}; {unusable[0].cure}, or leave out what "
            "cannot be used with --skip-broken (skip_broken=True)"
        )
    if unusable:
        remarks.append(_named(unusable, "cannot be used, left out"))
    if source.stray:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in source.stray.most_common(_SHOWN))
        remarks.append(f"files that are no images are left out: {shown(kinds)}")
    if not names:
        raise InputError(f"{path}: no images in it; {'; '.join([*remarks, _EXPECTED])}")
    layout = _Layout(path, names, source.empty, source.annotated)
    remarks += layout.remarks
    order = sorted(layout.kept, key=names.__getitem__)
    images = stacked([source.decoded[i] for i in order], side, remarks)
    places = [layout.kept[i] for i in order]
    return Decoded(
        images, [label for _, label in places], [split for split, _ in places], tuple(remarks),
        len(unusable),
    )  # fmt: skip


class _Source:
    """What a folder or archive holds, as its members pass by."""

    def __init__(self) -> None:
        self.names: list[Name] = []
        self.decoded: list[np.ndarray] = []
        self.empty: set[Name] = set()
        self.unusable: list[ImageError] = []
        self.stray: Counter[str] = Counter()
        self.annotated: dict[Name, dict[str, str]] = {}
        self.remarks: list[str] = []

    def skip(self, name: Name) -> bool:
        """For :func:`members`; counts what is passed over."""
        if over := passed_over(name):
            self.stray[suffix_of(name)] += 1
        return over

    def without_annotations(self, found: Iterator[Member]) -> Iterator[Member]:
        """Pass members through; keep what annotation files say, by folder and file name."""
        for name, content in found:
            if content is None or name[-1] != _ANNOTATIONS:
                yield name, content
                continue
            lines = (line.split("\t") for line in content.decode("utf-8", "replace").splitlines())
            self.annotated[name[:-1]] = {line[0]: line[1] for line in lines if len(line) > 1}

    def take(
        self,
        found: Iterator[tuple[Name, np.ndarray | ImageError | None]],
        progress: Callable[[int], object] | None,
    ) -> None:
        """Sort images, folders and what cannot be used."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what is wrong raises
            for name, pixels in found:
                if pixels is None:
                    self.empty.add(name)
                    continue
                if isinstance(pixels, np.ndarray):
                    self.names.append(name)
                    self.decoded.append(pixels)
                elif not pixels.is_image and not suffix_of(name):
                    self.stray["without suffix"] += 1
                else:
                    self.unusable.append(pixels)
                if progress is not None:
                    progress(1)


def stacked(decoded: list[np.ndarray], side: int, remarks: list[str]) -> np.ndarray:
    """uint8 ``(N, 3, S, S)`` of pixels as :func:`contrastive_tutorial.files.pixels_of` gives."""
    images = np.empty((len(decoded), 3, side, side), np.uint8)
    shift = _excess_bits([pixels for pixels in decoded if pixels.dtype == np.uint16], remarks)
    for row, pixels in enumerate(decoded):
        small = pixels >> shift if pixels.dtype == np.uint16 else pixels
        images[row] = small if small.ndim == 2 else small.transpose(2, 0, 1)
    if len(images) and (brightest := int(images.max())) < _DARK:
        remarks.append(
            f"no pixel of the whole set is brighter than {brightest} of 255: if these are numbers "
            "from 0 to 1 saved as bytes, or 12-bit numbers beside transparency, save them again as "
            "8-bit images that use the whole range"
        )
    return images


def _named(unusable: list[ImageError], what: str) -> str:
    """How many images there are of a kind, and the first of them with the reason of each."""
    first = "; ".join(error.brief for error in unusable[:_SHOWN])
    more = f"; and {len(unusable) - _SHOWN:,} more" if len(unusable) > _SHOWN else ""
    noun = "image" if len(unusable) == 1 else "images"
    return f"{len(unusable):,} {noun} {what}: {first}{more}"


def _excess_bits(deep: list[np.ndarray], remarks: list[str]) -> int:
    """By how much the numbers of images of 16 bits exceed a byte: one rule for the whole set."""
    if not deep:
        return 0
    used = int(max(pixels.max() for pixels in deep)).bit_length()
    bits = min(even for even in (8, 10, 12, 14, 16) if even >= used)
    if bits < 16:
        remarks.append(
            f"{len(deep):,} images of 16 bits hold numbers of {bits} bits: "
            f"{(1 << bits) - 1:,} is taken for white"
        )
    return bits - 8


class _Layout:
    """Split and class of every image that is kept.

    Attributes:
        kept: ``(split, class)`` by the image's place in ``names``; the split is "" where the
            source does not say.
        remarks: which folders were left out.

    Raises:
        InputError: naming what stands where nothing can be made of it.
    """

    def __init__(
        self,
        path: Path,
        names: list[Name],
        folders: set[Name],
        annotated: dict[Name, dict[str, str]],
    ):
        self.path, self.remarks = path, list[str]()
        self.kept: dict[int, tuple[str, str]] = {}
        depth = _wrapping(names)
        outer = names[0][:depth]
        places = [name[depth:] for name in names]
        inner = [folder[depth:] for folder in folders if folder[:depth] == outer]
        for top in {place[0] for place in places}:
            told = annotated.get((*outer, top), {})
            _look_through(top, places, inner, told)
        tops = {place[0] for place in places}
        deep = {place[0] for place in places if len(place) > 2}
        train = {top for top in tops if _split(top) == "train"}
        if train & deep:
            self._splits(places, inner, deep)
        elif all(map(_split, tops)) and not deep and train:
            self.kept = {i: (_split(place[0]), UNLABELLED) for i, place in enumerate(places)}
        elif all(len(place) == 1 for place in places):
            self.kept = dict.fromkeys(range(len(places)), ("", UNLABELLED))
        else:
            self._classes(places, inner, deep)
        self._name_twins()

    def _splits(self, places: list[Name], inner: list[Name], deep: set[str]) -> None:
        """``train/<class>/*`` and what stands beside it."""
        out: Counter[str] = Counter()
        used: dict[str, str] = {}
        for i, place in enumerate(places):
            split = _split(place[0])
            if len(place) == 2 and place[0] not in deep and split != "train":
                out[place[0]] += 1  # images to be named by somebody, as contests have them
                continue
            if len(place) == 1 or not split:
                raise InputError(
                    f"{self.path}: {shown(place[0])!r} stands beside train/; expected nothing but "
                    "train/, val/ and test/ there"
                )
            if used.setdefault(split, place[0]) != place[0]:
                raise InputError(
                    f"{self.path}: {shown(used[split])!r} and {shown(place[0])!r} are both folders "
                    f"of {split} images; join them, or remove one"
                )
            self._check(place, 2)
            self.kept[i] = split, self._label(place[1])
        for top, count in sorted(out.items()):
            self.remarks.append(
                f"{count:,} images in {shown(top)}/ have no class folder and are left out"
            )
        self._require_full(
            [folder for folder in inner if len(folder) == 2 and folder[0] in used.values()],
            {place[:2] for place in places},
        )

    def _classes(self, places: list[Name], inner: list[Name], deep: set[str]) -> None:
        """``<class>/*`` alone."""
        tops = sorted({place[0] for place in places})
        if all(_split(_BESIDE.sub("", top)) for top in tops):
            raise InputError(
                f"{self.path}: {' and '.join(f'{top}/' for top in tops)} would be classes, as "
                "there is no train/<class>/*; name the folders train/<class>/, test/<class>/ and, "
                "if you like, val/<class>/"
            )
        nested: dict[str, set[str]] = {top: set() for top in deep}
        for place in places:
            if len(place) > 2:
                nested[place[0]].add(place[1])
        for top, other in zip(sorted(nested), sorted(nested)[1:], strict=False):
            if nested[top] == nested[other] and len(nested[top]) > 1:
                raise InputError(
                    f"{self.path}: {shown(top)!r} and {shown(other)!r} hold folders of the same "
                    "names, so they are hardly classes; if they are splits, name them train/ and "
                    "test/"
                )
        for i, place in enumerate(places):
            self._check(place, 1)
            self.kept[i] = "", self._label(place[0])
        self._require_full(
            [folder for folder in inner if len(folder) == 1], {place[:1] for place in places}
        )

    def _check(self, place: Name, level: int) -> None:
        if len(place) <= level:
            raise InputError(
                f"{self.path}: image {shown(place)!r} lies outside a class folder; expected "
                f"{'train/<class>/image' if level == 2 else '<class>/image'}"
            )

    def _label(self, folder: str) -> str:
        label = clean(folder)
        if not label or not label.isprintable():  # control characters, bytes that are no text
            raise InputError(
                f"{self.path}: class folder {shown(folder)!r} has an unprintable name; rename it"
            )
        return label

    def _require_full(self, folders: list[Name], filled: set[Name]) -> None:
        for folder in sorted(folders):
            if folder not in filled:
                raise InputError(
                    f"{self.path}: class folder {shown(folder)!r} has no images; add some or "
                    "remove it"
                )

    def _name_twins(self) -> None:
        forms: dict[str, set[str]] = {}
        for _, label in self.kept.values():
            forms.setdefault(label.casefold(), set()).add(label)
        for twins in forms.values():
            if len(twins) > 1:
                both = " and ".join(repr(shown(label)) for label in sorted(twins))
                self.remarks.append(f"the classes {both} differ only in case and count apart")


def _split(folder: str) -> str:
    """The split that a folder of this name holds; "" for none."""
    return _SPLITS.get(folder.casefold().strip(), "")


def _wrapping(names: list[Name]) -> int:
    """How many folders wrap everything."""
    depth, shortest = 0, min(len(name) for name in names)
    while depth < shortest - 1:
        tops = {name[depth] for name in names}
        if len(tops) > 1 or _split(names[0][depth]):
            break
        depth += 1
    # the innermost of them, where it holds images and no folders, is a class without a rival
    return depth


def _look_through(top: str, places: list[Name], inner: list[Name], told: dict[str, str]) -> None:
    """Take out a folder that merely repeats its parent's name, or says "images"; use annotations.

    Changes ``places`` and ``inner``.
    """
    own = [i for i, place in enumerate(places) if place[0] == top]
    while True:
        seconds = {places[i][1] if len(places[i]) > 2 else "" for i in own}
        repeated = {second.casefold() for second in seconds} == {top.casefold()}
        flat = seconds == {"images"} and all(len(places[i]) == 3 for i in own)
        if not (repeated or (flat and _split(top) in ("val", "test"))):
            break
        for i in own:
            places[i] = (top, *places[i][2:])
        inner[:] = [
            (top, *folder[2:]) if len(folder) > 1 and folder[0] == top else folder
            for folder in inner
        ]
    for i in own:
        if len(places[i]) == 2 and places[i][1] in told:
            places[i] = (top, told[places[i][1]], places[i][1])
