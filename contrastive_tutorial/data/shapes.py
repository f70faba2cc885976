"""The embedded data set: ten shapes under nuisance factors, drawn in seconds, no files.

A shape class is what an image *is*; colour, position, size, rotation and background are what it
merely *has*. Both are returned, so that a chapter can show what an embedding kept and what it
forgot.

Everything is drawn in integers: the same split gives the same bytes on every machine, so records
made on a laptop and on a GPU carry the same content hash. Image *i* of a split does not depend on
how many images are asked for. numpy draws, in one thread: planes of a few images are too small for
torch's threads, which wait for each other far longer than they work when the machine is busy.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from contrastive_tutorial.errors import InputError

#: Names of the ten classes; a label is an index into them. No two are equal up to rotation, flip,
#: scale or colour.
SHAPES = (
    "circle", "ring", "square", "frame", "triangle", "star", "cross", "stripes", "dots", "crescent",
)  # fmt: skip
TEXTURES = ("plain", "gradient", "waves", "checks", "blotches")
# Few hues on purpose: the more a colour tells about which image this is, the less a contrastive
# learner needs the shape (Chen, Luo & Li 2021, arXiv 2011.02803, "feature suppression").
HUES = ("red", "lime", "cyan", "violet")
GROUNDS = ("red", "cyan")

#: Images of each split by default.
SIZES = {"train": 9_000, "val": 1_000, "test": 2_000}

_SIDE = 32
_UNIT = 32  # fixed point: one pixel is 32 units, so that every product below fits 32 bits
_TURN = 256  # steps of rotation in a full turn
# Images drawn at a time: few enough that every intermediate plane stays in the processor's cache
_CHUNK = 80
_FACTORS = 12  # random numbers of one image, apart from its noise


def draw(split: str, num_images: int | None = None) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Draw the first ``num_images`` images of a split.

    Args:
        split: "train", "val" or "test"; it alone fixes the random numbers.
        num_images: how many; ``None`` for the default of :data:`SIZES`.

    Returns:
        images uint8 ``(N, 3, 32, 32)``, labels int64 ``(N,)`` (classes in turn, so every class has
        N / 10 images), and the ground truth of every image, each ``(N,)``: ``colour`` int64
        index into :data:`HUES`, ``background`` int64 index into :data:`GROUNDS`, ``texture`` int64
        index into :data:`TEXTURES`, ``x``, ``y`` float32 centre and ``radius`` float32 in pixels,
        ``rotation`` float32 in degrees.

    Raises:
        InputError: if ``num_images`` is not between 10 and 1,000,000.
    """
    count = SIZES[split] if num_images is None else num_images
    if not 10 <= count <= 1_000_000:
        raise InputError(f"num_images: expected 10 to 1,000,000, got {num_images}")
    # RandomState is numpy's frozen generator: its streams never change between releases, which
    # neither numpy's nor torch's newer generators promise.
    seed = tuple(SIZES).index(split) + 1
    numbers = np.random.RandomState(seed)
    noise = np.random.RandomState(seed + 1_000)
    images = np.empty((count, 3, _SIDE, _SIDE), np.uint8)
    labels = np.arange(count) % len(SHAPES)
    columns: list[dict[str, np.ndarray]] = []
    for start in range(0, count, _CHUNK):
        rows = slice(start, min(start + _CHUNK, count))
        size = rows.stop - rows.start
        # Always a whole chunk of numbers, so that the images asked for never depend on the count.
        u = numbers.randint(0, 1 << 16, (_CHUNK, _FACTORS), dtype=np.int32)
        lattice = noise.randint(0, 256, (_CHUNK, 6, 6), dtype=np.uint8)
        grain = noise.randint(0, 256, (_CHUNK, 3, _SIDE, _SIDE), dtype=np.uint8)
        factors = _factors(u[:size])
        images[rows] = _paint(labels[rows], factors, lattice[:size].astype(np.int32), grain[:size])
        columns.append(factors)
    truth = {name: np.concatenate([chunk[name] for chunk in columns]) for name in columns[0]}
    return torch.from_numpy(images), torch.from_numpy(labels), _physical(truth)


def _factors(u: np.ndarray) -> dict[str, np.ndarray]:
    """Integers that describe each image, from uniform 16-bit numbers ``(N, 12)``."""

    def between(column: int, low: int, high: int) -> np.ndarray:  # high is excluded
        return low + (u[:, column] * (high - low) >> 16)

    return {
        "colour": between(0, 0, len(HUES)),
        "background": between(1, 0, len(GROUNDS)),
        "texture": between(2, 0, len(TEXTURES)),
        "radius": between(3, 9 * _UNIT, 13 * _UNIT),
        "x": between(4, -6 * _UNIT, 6 * _UNIT + 1),
        "y": between(5, -6 * _UNIT, 6 * _UNIT + 1),
        "rotation": between(6, 0, _TURN),
        "darker": between(7, 0, 2),
        "contrast": between(8, 110, 150),
        "luminance": between(9, 112, 144),
        "direction": between(10, 0, _TURN),
        "wavelength": between(11, 5 * _UNIT, 11 * _UNIT),
    }


def _physical(truth: dict[str, np.ndarray]) -> dict[str, Tensor]:
    factors = {name: torch.from_numpy(values) for name, values in truth.items()}
    return {
        **{name: factors[name].long() for name in ("colour", "background", "texture")},
        "x": factors["x"] / _UNIT + _SIDE / 2,
        "y": factors["y"] / _UNIT + _SIDE / 2,
        "radius": factors["radius"] / _UNIT,
        "rotation": factors["rotation"] * (360 / _TURN),
    }


def _table(wave: Callable[[float], float]) -> np.ndarray:
    values = [round(4096 * wave(2 * math.pi * step / _TURN)) for step in range(_TURN)]
    return np.array(values, np.int32)


_COSINE, _SINE = _table(math.cos), _table(math.sin)


def _turned(x: np.ndarray, y: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates ``(1, S, S)`` or ``(N, S, S)`` in axes turned by ``steps`` ``(N,)``."""
    cosine, sine = _COSINE[steps, None, None], _SINE[steps, None, None]
    return (x * cosine + y * sine) >> 12, (y * cosine - x * sine) >> 12


def _grid(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample positions in units, relative to the image's centre, ``samples`` per pixel side."""
    step = _UNIT // samples
    axis = np.arange(_SIDE * samples, dtype=np.int32) * step + step // 2
    axis = axis - _SIDE * _UNIT // 2
    return axis[None, None, :], axis[None, :, None]


# Inside tests. u, v: int32 (N, S, S) in the shape's own axes; r: int32 (N, 1, 1), its radius.


def _disc(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    return u * u + v * v <= r * r


def _box(u: np.ndarray, v: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(u), np.abs(v)) <= half


def _triangle(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    half = r >> 1
    slope, lean = (np.abs(u) * 887) >> 10, v >> 1  # 887 / 1024 = cos 30 deg
    return (v <= half) & (slope - lean <= half)


def _star(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    # A pentagram is what lies inside at least four of its five lines, cos 72 deg from the centre.
    distance = (r * 317) >> 10
    count = np.zeros_like(u)
    for k in range(5):
        step = round(k * _TURN / 5)
        count += ((u * _COSINE[step] + v * _SINE[step]) >> 12) <= distance
    return count >= 4


def _cross(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    long, short = np.maximum(np.abs(u), np.abs(v)), np.minimum(np.abs(u), np.abs(v))
    return (long <= r) & (short <= (r * 3) >> 3)


def _stripes(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    height = np.abs(v)
    bars = (height <= r >> 3) | ((height >= (r * 3) >> 3) & (height <= (r * 5) >> 3))
    bars |= height >= (r * 7) >> 3
    return bars & (height <= (r * 9) >> 3) & (np.abs(u) <= (r * 7) >> 3)


def _dots(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    offset = (r * 9) >> 4
    return _disc(np.abs(u) - offset, np.abs(v) - offset, (r * 11) >> 5)


_INSIDE: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda u, v, r: _disc(u, v, (r * 15) >> 4),
    "ring": lambda u, v, r: _disc(u, v, r) & ~_disc(u, v, (r * 5) >> 3),
    "square": lambda u, v, r: _box(u, v, (r * 13) >> 4),
    "frame": lambda u, v, r: _box(u, v, (r * 7) >> 3) & ~_box(u, v, r >> 1),
    "triangle": lambda u, v, r: _triangle(u, v, (r * 19) >> 4),
    "star": lambda u, v, r: _star(u, v, (r * 9) >> 3),
    "cross": _cross,
    "stripes": _stripes,
    "dots": _dots,
    "crescent": lambda u, v, r: _disc(u, v, r) & ~_disc(u - (r >> 1), v, (r * 13) >> 4),
}


def _coverage(labels: np.ndarray, factors: dict[str, np.ndarray]) -> np.ndarray:
    """How much of each pixel the shape covers, uint8 ``(N, 32, 32)`` in 0..4."""
    x, y = _grid(2)
    covered = np.empty((len(labels), _SIDE, _SIDE), np.uint8)
    for label, name in enumerate(SHAPES):
        rows = np.flatnonzero(labels == label)
        if len(rows) == 0:
            continue
        dx, dy = (factors[axis][rows, None, None] for axis in ("x", "y"))
        u, v = _turned(x - dx, y - dy, factors["rotation"][rows])
        inside = _INSIDE[name](u, v, factors["radius"][rows, None, None]).view(np.uint8)
        two = inside[:, ::2] + inside[:, 1::2]  # the four samples of a pixel, summed in pairs
        covered[rows] = two[:, :, ::2] + two[:, :, 1::2]
    return covered


def _texture(factors: dict[str, np.ndarray], lattice: np.ndarray) -> np.ndarray:
    """The background's pattern, int16 ``(N, 32, 32)`` in about -64..64."""
    x, y = _grid(1)
    pattern = np.zeros((len(lattice), _SIDE, _SIDE), np.int16)  # which is a plain one
    for index, name in enumerate(TEXTURES):
        rows = np.flatnonzero(factors["texture"] == index)
        if name == "blotches":
            pattern[rows] = (_enlarged(lattice[rows]) >> 1) - 64
        elif name != "plain":
            u, v = _turned(x, y, factors["direction"][rows])
            pattern[rows] = _PATTERNS[name](u, v, factors["wavelength"][rows, None, None])
    return pattern


def _phase(u: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Where in its period each coordinate lies, int32 in 0..255."""
    return u % period * 256 // period


_PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "gradient": lambda u, v, period: u // 8,
    "waves": lambda u, v, period: np.abs(_phase(u, period) - 128) - 64,
    "checks": lambda u, v, period: (
        ((_phase(u, period) < 128) ^ (_phase(v, period) < 128)) * np.int16(96) - 48
    ),
}


def _enlarged(lattice: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of ``(N, 6, 6)`` to ``(N, 32, 32)``, in integers."""
    position = np.arange(_SIDE, dtype=np.int32) * 5 * 256 // _SIDE
    cell, part = (position >> 8), position & 255
    rows = lattice[:, cell] * (256 - part)[:, None] + lattice[:, cell + 1] * part[:, None]
    return (rows[:, :, cell] * (256 - part) + rows[:, :, cell + 1] * part) >> 16


def _chroma() -> np.ndarray:
    """RGB offsets of each hue, int32 ``(4, 3)``: equal length, and no change of luminance."""
    rows = []
    for k in range(len(HUES)):
        angle = 2 * math.pi * k / len(HUES)
        rgb = [math.cos(angle - shift * 2 * math.pi / 3) for shift in range(3)]
        grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
        rows.append([round(24 * (value - grey)) for value in rgb])
    return np.array(rows, np.int32)


_CHROMA = _chroma()


def _paint(
    labels: np.ndarray, factors: dict[str, np.ndarray], lattice: np.ndarray, grain: np.ndarray
) -> np.ndarray:
    """uint8 ``(N, 3, 32, 32)``: background, shape over it, then fine noise."""
    contrast = factors["contrast"]
    # Shape and background lie on either side of middle grey, which of them is darker by chance.
    low = 40 + (factors["luminance"] * (215 - 40 - contrast) >> 8)
    high = low + contrast
    dark = factors["darker"] == 1
    shape_grey, ground_grey = np.where(dark, low, high), np.where(dark, high, low)
    shape = (shape_grey[:, None] + _CHROMA[factors["colour"]]).astype(np.int16)
    ground = (ground_grey[:, None] + _CHROMA[::2][factors["background"]]).astype(np.int16)
    # A pattern shifts the background by less than a third of the shape's contrast.
    pattern = _texture(factors, lattice)[:, None] >> 1
    covered = _coverage(labels, factors).astype(np.int16)[:, None]
    # From here on every number is below 2,000 in size: 16 bits are enough, and half the memory.
    painted = ground[..., None, None] + pattern
    over = shape[..., None, None] - painted
    over *= covered
    over >>= 2
    painted += over
    painted += grain >> 4
    painted -= 8
    return painted.clip(0, 255, out=painted).astype(np.uint8)
