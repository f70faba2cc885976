"""The embedded data set: ten shapes under nuisance factors, drawn in seconds, no files.

A shape class is what an image *is*; colour, position, size, rotation and background are what it
merely *has*. Both are returned, so that a chapter can show what an embedding kept and what it
forgot.

Everything is drawn in integers: the same split gives the same bytes on every machine, so records
made on a laptop and on a GPU carry the same content hash. Image *i* of a split does not depend on
how many images are asked for.
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
HUES = ("red", "orange", "yellow", "green", "cyan", "blue", "violet", "magenta")

#: Images of each split by default.
SIZES = {"train": 9_000, "val": 1_000, "test": 2_000}

_SIDE = 32
_UNIT = 32  # fixed point: one pixel is 32 units, so that every product below fits 32 bits
_TURN = 256  # steps of rotation in a full turn
# Images drawn at a time: few enough that every intermediate plane stays in the processor's cache
# and below the size where torch would start threads, whose hand-over costs more than it gains.
_CHUNK = 80
_FACTORS = 12  # random numbers of one image, apart from its noise


def draw(split: str, num_images: int | None = None) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Draw the first ``num_images`` images of a split.

    Args:
        split: "train", "val" or "test"; it alone fixes the random numbers.
        num_images: how many; ``None`` for the default of :data:`SIZES`.

    Returns:
        images uint8 ``(N, 3, 32, 32)``, labels int64 ``(N,)`` (classes in turn, so every class has
        N / 10 images), and the ground truth of every image, each ``(N,)``: ``colour`` and
        ``background`` int64 index into :data:`HUES`, ``texture`` int64 index into
        :data:`TEXTURES`, ``x``, ``y`` float32 centre and ``radius`` float32 in pixels,
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
    images = torch.empty(count, 3, _SIDE, _SIDE, dtype=torch.uint8)
    labels = torch.arange(count) % len(SHAPES)
    columns: list[dict[str, Tensor]] = []
    for start in range(0, count, _CHUNK):
        rows = slice(start, min(start + _CHUNK, count))
        size = rows.stop - rows.start
        # Always a whole chunk of numbers, so that the images asked for never depend on the count.
        u = torch.from_numpy(numbers.randint(0, 1 << 16, (_CHUNK, _FACTORS), dtype=np.int32))
        lattice = noise.randint(0, 256, (_CHUNK, 6, 6), dtype=np.uint8)
        grain = noise.randint(0, 256, (_CHUNK, 3, _SIDE, _SIDE), dtype=np.uint8)
        factors = _factors(u[:size])
        images[rows] = _paint(
            labels[rows],
            factors,
            torch.from_numpy(lattice[:size]).int(),
            torch.from_numpy(grain[:size]).int(),
        )
        columns.append(factors)
    truth = {name: torch.cat([chunk[name] for chunk in columns]) for name in columns[0]}
    return images, labels, _physical(truth)


def _factors(u: Tensor) -> dict[str, Tensor]:
    """Integers that describe each image, from uniform 16-bit numbers ``(N, 12)``."""

    def between(column: int, low: int, high: int) -> Tensor:  # high is excluded
        return low + (u[:, column] * (high - low) >> 16)

    return {
        "colour": between(0, 0, len(HUES)),
        "background": between(1, 0, len(HUES)),
        "texture": between(2, 0, len(TEXTURES)),
        "radius": between(3, 9 * _UNIT, 14 * _UNIT),
        "x": between(4, -3 * _UNIT, 3 * _UNIT + 1),
        "y": between(5, -3 * _UNIT, 3 * _UNIT + 1),
        "rotation": between(6, 0, _TURN),
        "darker": between(7, 0, 2),
        "contrast": between(8, 90, 150),
        "luminance": between(9, 0, 256),
        "direction": between(10, 0, _TURN),
        "wavelength": between(11, 5 * _UNIT, 11 * _UNIT),
    }


def _physical(factors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        **{name: factors[name].long() for name in ("colour", "background", "texture")},
        "x": factors["x"] / _UNIT + _SIDE / 2,
        "y": factors["y"] / _UNIT + _SIDE / 2,
        "radius": factors["radius"] / _UNIT,
        "rotation": factors["rotation"] * (360 / _TURN),
    }


def _table(wave: Callable[[float], float]) -> Tensor:
    values = [round(4096 * wave(2 * math.pi * step / _TURN)) for step in range(_TURN)]
    return torch.tensor(values, dtype=torch.int32)


_COSINE, _SINE = _table(math.cos), _table(math.sin)


def _turned(x: Tensor, y: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates ``(1, S, S)`` or ``(N, S, S)`` in axes turned by ``steps`` ``(N,)``."""
    cosine, sine = _COSINE[steps.long(), None, None], _SINE[steps.long(), None, None]
    return (x * cosine + y * sine) >> 12, (y * cosine - x * sine) >> 12


def _grid(samples: int) -> tuple[Tensor, Tensor]:
    """Sample positions in units, relative to the image's centre, ``samples`` per pixel side."""
    step = _UNIT // samples
    axis = torch.arange(_SIDE * samples, dtype=torch.int32) * step + step // 2
    axis = axis - _SIDE * _UNIT // 2
    return axis[None, None, :], axis[None, :, None]


# Inside tests. u, v: int32 (N, S, S) in the shape's own axes; r: int32 (N, 1, 1), its radius.


def _disc(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    return u * u + v * v <= r * r


def _box(u: Tensor, v: Tensor, half: Tensor) -> Tensor:
    return torch.maximum(u.abs(), v.abs()) <= half


def _triangle(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    half = r >> 1
    slope, lean = (u.abs() * 887) >> 10, v >> 1  # 887 / 1024 = cos 30 deg
    return (v <= half) & (slope - lean <= half)


def _star(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    # A pentagram is what lies inside at least four of its five lines, cos 72 deg from the centre.
    distance = (r * 317) >> 10
    count = torch.zeros_like(u)
    for k in range(5):
        step = round(k * _TURN / 5)
        count += ((u * _COSINE[step] + v * _SINE[step]) >> 12) <= distance
    return count >= 4


def _cross(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    long, short = torch.maximum(u.abs(), v.abs()), torch.minimum(u.abs(), v.abs())
    return (long <= r) & (short <= (r * 3) >> 3)


def _stripes(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    height = v.abs()
    bars = (height <= r >> 3) | ((height >= (r * 3) >> 3) & (height <= (r * 5) >> 3))
    bars |= height >= (r * 7) >> 3
    return bars & (height <= (r * 9) >> 3) & (u.abs() <= (r * 7) >> 3)


def _dots(u: Tensor, v: Tensor, r: Tensor) -> Tensor:
    offset = (r * 9) >> 4
    return _disc(u.abs() - offset, v.abs() - offset, (r * 11) >> 5)


_INSIDE: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
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


def _coverage(labels: Tensor, factors: dict[str, Tensor]) -> Tensor:
    """How much of each pixel the shape covers, int32 ``(N, 32, 32)`` in 0..4."""
    samples = 2
    x, y = _grid(samples)
    covered = torch.empty(len(labels), _SIDE, _SIDE, dtype=torch.int32)
    for label, name in enumerate(SHAPES):
        rows = (labels == label).nonzero().flatten()
        if len(rows) == 0:
            continue
        dx, dy = (factors[axis][rows, None, None].int() for axis in ("x", "y"))
        u, v = _turned(x - dx, y - dy, factors["rotation"][rows])
        inside = _INSIDE[name](u, v, factors["radius"][rows, None, None].int())
        blocks = inside.view(-1, _SIDE, samples, _SIDE, samples)
        covered[rows] = blocks.sum((2, 4), dtype=torch.int32)
    return covered


def _texture(factors: dict[str, Tensor], lattice: Tensor) -> Tensor:
    """The background's pattern, int32 ``(N, 32, 32)`` in about -64..64."""
    x, y = _grid(1)
    u, v = _turned(x, y, factors["direction"])
    period = factors["wavelength"][:, None, None]
    phase_u, phase_v = u % period * 256 // period, v % period * 256 // period
    patterns = {
        "plain": torch.zeros_like(u),
        "gradient": u // 8,
        "waves": (phase_u - 128).abs() - 64,
        "checks": ((phase_u < 128) ^ (phase_v < 128)).int() * 96 - 48,
        "blotches": (_enlarged(lattice) >> 1) - 64,
    }
    stacked = torch.stack([patterns[name] for name in TEXTURES])
    return stacked[factors["texture"].long(), torch.arange(len(u))]


def _enlarged(lattice: Tensor) -> Tensor:
    """Bilinear interpolation of ``(N, 6, 6)`` to ``(N, 32, 32)``, in integers."""
    position = torch.arange(_SIDE, dtype=torch.int32) * 5 * 256 // _SIDE
    cell, part = (position >> 8).long(), position & 255
    rows = lattice[:, cell] * (256 - part)[:, None] + lattice[:, cell + 1] * part[:, None]
    return (rows[:, :, cell] * (256 - part) + rows[:, :, cell + 1] * part) >> 16


def _chroma() -> Tensor:
    """RGB offsets of each hue, int32 ``(8, 3)``: equal length, and no change of luminance."""
    rows = []
    for k in range(len(HUES)):
        angle = 2 * math.pi * k / len(HUES)
        rgb = [math.cos(angle - shift * 2 * math.pi / 3) for shift in range(3)]
        grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
        rows.append([round(48 * (value - grey)) for value in rgb])
    return torch.tensor(rows, dtype=torch.int32)


_CHROMA = _chroma()


def _paint(labels: Tensor, factors: dict[str, Tensor], lattice: Tensor, grain: Tensor) -> Tensor:
    """uint8 ``(N, 3, 32, 32)``: background, shape over it, then fine noise."""
    contrast = factors["contrast"]
    # The darker of the two lies low enough that the lighter one still fits below white.
    low = 40 + (factors["luminance"] * (215 - 40 - contrast) >> 8)
    high = low + contrast
    dark = factors["darker"] == 1
    shape_grey, ground_grey = torch.where(dark, low, high), torch.where(dark, high, low)
    shape = shape_grey[:, None] + _CHROMA[factors["colour"].long()]
    ground = ground_grey[:, None] + _CHROMA[factors["background"].long()]
    # A pattern shifts the background by less than a third of the shape's contrast.
    pattern = _texture(factors, lattice)[:, None] // 2
    covered = _coverage(labels, factors)[:, None]
    below = ground[..., None, None] + pattern
    mixed = below + ((shape[..., None, None] - below) * covered >> 2)
    return (mixed + (grain >> 4) - 8).clamp(0, 255).to(torch.uint8)
