"""Batched augmentations with one set of parameters per image, on the device of the images.

`sample` draws the parameters of every view from a table of policies, `apply` turns images and
parameters into views. Nothing loops over images in Python.

Each step computes what torchvision's functional operation computes, in this fixed order:

    resized crop, flip | rotation | colour jitter (an own random order per image) | grayscale
    | brightness shift | Gaussian blur | solarisation | noise | cutout

The crop is bilinear. The output is as large as the input, so a crop is never made smaller, and
torchvision's result is then the same with and without `antialias`.

Two ways through the steps, one result but for the last bits, and for what they decide: whether a
pixel that lies on a threshold is solarised. On a CPU the images are sorted by the steps they need
and worked on in groups that fit the cache, so nothing is computed for an image that does not need
it. On an accelerator, and where `torch.compile` compiles `apply`, every step that the policies
could ask for runs on the whole batch: no value travels to the host, nothing depends on the data.
"""

from __future__ import annotations

import functools
import math
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_tutorial.augment.jitter import Channels, jitter, luma, unit
from contrastive_tutorial.augment.params import (
    BLUR_RADIUS,
    JITTER,
    STEPS,
    Params,
    active_steps,
    jitter_stages,
)
from contrastive_tutorial.errors import InputError

# A group's few buffers (1.5 MB each at 32 x 32) stay in the cache; smaller ones cost more calls.
_IMAGES_PER_GROUP = 128
_SLACK = 1e-3
_JITTER_STEPS = tuple(step for step in STEPS if step.startswith(("blend", "hue")))


@torch.no_grad()
def apply(
    images: Tensor,
    params: Params,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Turn images into views.

    Args:
        images: uint8 in 0..255 or floating point in [0, 1], (B, 3, S, S), S = params.size.
        params: one set per image, on the device of the images.
        memory_format: of the views; `torch.channels_last` costs nothing here, and a copy later.

    Returns:
        float32 (B, 3, S, S) in [0, 1], in `memory_format`. No gradient flows through it.

    Raises:
        InputError: wrong type, shape, or device, another number of images than of parameters, or,
            on a CPU and not compiled, floating point values that are not finite or outside [0, 1].
    """
    _check_images(images, params)
    images = images.contiguous()
    if _readable(images):
        return _apply_in_groups(images, params, memory_format)
    return _apply_masked(images, params, memory_format)


def _apply_masked(images: Tensor, params: Params, memory_format: torch.memory_format) -> Tensor:
    """Every possible step on the whole batch; nothing here depends on a value."""
    active, everything = active_steps(params), slice(None)
    work = _prepare(params, torch.arange(len(images), device=images.device), _scale(images))
    views = _crop(images, work, everything)
    for step in dict.fromkeys("jitter" if s in _JITTER_STEPS else s for s in params.steps):
        if step == "jitter":
            views = jitter(views, params)
            continue
        mask = _per_image(active[STEPS.index(step)])
        changed = _STEP[step](views, work, everything)
        views = [torch.where(mask, x, y) for x, y in zip(changed, views, strict=True)]
    finished = [unit(x) for x in views]
    if memory_format == torch.channels_last:
        return torch.stack(finished, 3).permute(0, 3, 1, 2)
    return torch.stack(finished, 1)


def _apply_in_groups(images: Tensor, params: Params, memory_format: torch.memory_format) -> Tensor:
    """The images sorted by the steps they need, then group by group only these steps."""
    out = torch.empty(images.shape, dtype=torch.float32, memory_format=memory_format)
    active = torch.stack(active_steps(params), 1)
    bits = (1 << torch.arange(len(STEPS))).expand_as(active)
    keys, order = (active * bits).sum(1).sort(stable=True)
    work = _prepare(params[order], order, _scale(images))
    start = 0
    runs = (values.tolist() for values in keys.unique_consecutive(return_counts=True))
    for key, run in zip(*runs, strict=True):
        steps = [step for bit, step in enumerate(STEPS) if key >> bit & 1]
        groups = -(-run // _IMAGES_PER_GROUP)
        for i in range(groups):
            part = slice(start + run * i // groups, start + run * (i + 1) // groups)
            views = _crop(images, work, part)
            for step in steps:
                views = _STEP[step](views, work, part)
            _write(views, order[part], out)
        start += run
    return out


def _write(views: Channels, rows: Tensor, out: Tensor) -> None:
    """A group's finished views clamped into the rows of `out` that are theirs.

    In the order that `out` has, but in a piece that stays in the cache: then whole images follow.
    """
    last = not out.is_contiguous()
    out = out.permute(0, 2, 3, 1) if last else out
    piece = out.new_empty(len(rows), *out.shape[1:])
    for x, place in zip(views, piece.unbind(3 if last else 1), strict=True):
        torch.clamp(x, 0, 1, out=place)
    _in_few(out).index_copy_(0, rows, _in_few(piece))


def _in_few(images: Tensor) -> Tensor:
    """The same memory in elements of 16 bytes, if they fit: rows are copied one by one."""
    flat = images.flatten(1)
    return flat if flat.shape[1] % 4 else flat.view(torch.complex128)


def _check_images(images: Tensor, params: Params) -> None:
    if not isinstance(images, Tensor) or not isinstance(params, Params):
        raise InputError(
            "apply takes a tensor of images and what sample(...) drew for them, "
            f"got {type(images).__name__} and {type(params).__name__}"
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(f"images must be uint8 or floating point, got {images.dtype}")
    expected = (len(params), 3, params.size, params.size)
    if tuple(images.shape) != expected:
        raise InputError(
            f"images must have the shape {expected} that the parameters were drawn for, "
            f"got {tuple(images.shape)}: use sample(..., ids of one entry per image, size=...)"
        )
    if images.device != params.top.device:
        raise InputError(
            f"images are on {images.device} but params on {params.top.device}: use params.to(...)"
        )
    if images.is_floating_point() and images.numel() and _readable(images):
        low, high = (float(value) for value in images.aminmax())
        # Resizing overshoots by rounding; more than that is another range, and would be clamped.
        if not -_SLACK <= low <= high <= 1 + _SLACK:  # false for NaN
            raise InputError(
                f"floating point images must lie in [0, 1], got values from {low:g} to {high:g}: "
                "divide 0..255 by 255 (or pass uint8), augment before normalising, clamp"
            )


def _readable(images: Tensor) -> bool:
    """Whether reading a value waits for nobody and breaks no graph."""
    return images.device.type == "cpu" and not torch.compiler.is_compiling()


def _scale(images: Tensor) -> float:
    return 1 / 255 if images.dtype == torch.uint8 else 1.0


class _Work(NamedTuple):
    """The parameters and what the frequent steps derive from them, once for the whole batch. B
    comes first, so a step only takes its `part` of B; the values of an image meet its pixels."""

    params: Params
    above: Tensor  # int64 (B, 3 S): source rows of each output row, among all rows of all images
    below: Tensor
    weight: Tensor  # (B, 1, S, 1): of the row below
    columns: Tensor  # int64 (B, 2, S): source columns of each output column, flipped
    weights: Tensor  # (B, 2, S): of these columns
    factor: Tensor  # (B, 3, 1, 1): of the jitter's blends, in their order
    mean: Tensor  # (B, 3, 1, 1): 1 for contrast, which blends with the mean gray
    gray: Tensor  # (B, 3, 1, 1): 1 for saturation, which blends with the gray version
    hue: Tensor  # (B, 3, 1, 1): turn of the hue, relative to r, g, b


def _prepare(p: Params, index: Tensor, scale: float) -> _Work:
    """For the images `index`, whose values become [0, 1] when multiplied by `scale`."""
    size, device = p.size, index.device
    pixel = torch.arange(size, dtype=torch.float32, device=device)
    row = _source(pixel, p.top, p.height)
    above = row.long()
    below = torch.minimum(above + 1, (p.top + p.height - 1)[:, None])
    channel = torch.arange(3, device=device)
    first_row = ((index[:, None] * 3 + channel) * size)[:, :, None]
    column = _source(torch.where(p.flip[:, None], size - 1 - pixel, pixel), p.left, p.width)
    near = column.long()
    next_one = torch.where(near < size - 1, near + 1, near - 1)  # the last: another, of weight 0
    columns = torch.stack([near, next_one], 1)
    distance = (column[:, None] - columns).abs_()
    _, blends = jitter_stages(p)
    factor = torch.stack([p.brightness, p.contrast, p.saturation], 1).gather(1, blends)
    hue = p.hue[:, None] - channel / 3
    return _Work(
        params=p,
        above=(first_row + above[:, None]).flatten(1),
        below=(first_row + below[:, None]).flatten(1),
        weight=(row - above)[:, None, :, None],
        columns=columns,
        weights=distance.mul_(-scale).add_(scale).clamp_(min=0),
        factor=factor[:, :, None, None],
        mean=(blends == JITTER.index("contrast")).float()[:, :, None, None],
        gray=(blends == JITTER.index("saturation")).float()[:, :, None, None],
        hue=(hue - hue.round())[:, :, None, None],
    )


def _source(pixel: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """float32 (B, S): where in the image an output pixel comes from, inside the crop."""
    length = length.float()[:, None]
    source = ((pixel + 0.5) * (length / pixel.shape[-1]) - 0.5).clamp_(min=0)
    return torch.minimum(source, length - 1).add_(start[:, None])


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None]


def _crop(images: Tensor, work: _Work, part: slice) -> Channels:
    """Crop, resize bilinearly to the full size, flip; uint8 becomes [0, 1]."""
    size = images.shape[-1]
    # Whole rows are cheap to pick: two picks and their blend resize the height.
    rows = images.reshape(-1, size)
    x, below = (
        rows.index_select(0, index[part].flatten()).float().view(-1, 3, size, size)
        for index in (work.above, work.below)
    )
    x = torch.lerp(x, below, work.weight[part], out=x)
    # Columns are not: a product with each image's matrix of bilinear weights resizes the width.
    matrix = x.new_zeros(len(x), size, size)
    matrix.scatter_(1, work.columns[part], work.weights[part])
    return _product(x.view(-1, 3 * size, size), matrix).view(-1, 3, size, size).unbind(1)


# Asked here and not where it is used: torch 2.6 cannot compile the question.
_AUTOCAST = [
    kind for kind in ("cpu", "cuda", "mps", "xpu") if torch.amp.is_autocast_available(kind)
]


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in float32, also under autocast: bfloat16 has too few gray levels."""
    kind = a.device.type
    with torch.autocast(kind, enabled=False) if kind in _AUTOCAST else nullcontext():
        return a @ b


# Each step takes the channels of views, the work, and the part of it that is theirs. The jitter's
# steps write into the channels; the others leave them alone, for a mask to choose from.


def _rotate(x: Channels, work: _Work, part: slice) -> Channels:
    angle = torch.deg2rad(work.params.angle[part, None, None])
    size = x[0].shape[-1]  # grid_sample's coordinates: -1 and 1 are the outer edges of the image
    at = (torch.arange(size, device=angle.device) + 0.5) * (2 / size) - 1
    across, down = at[None, None, :], at[None, :, None]
    column = angle.cos() * across - angle.sin() * down
    row = angle.sin() * across + angle.cos() * down
    grid = torch.stack([column, row], 3)
    return F.grid_sample(torch.stack(list(x), 1), grid, align_corners=False).unbind(1)


def _blend(x: Channels, work: _Work, part: slice, stage: int) -> Channels:
    """Brightness, contrast or saturation: one formula, a blend of the image with black, with its
    mean gray or with its gray version."""
    gray = luma(x)
    mean = gray.mean((1, 2), keepdim=True).mul_(work.mean[part, stage])
    other = gray.mul_(work.gray[part, stage]).add_(mean)
    factor = work.factor[part, stage]
    return [torch.lerp(other, c, factor, out=c).clamp_(0, 1) for c in x]


def _hue(x: Channels, work: _Work, part: slice) -> Channels:
    """Turn the hue; the largest and the smallest of r, g, b (so value and chroma) stay.

    On the hexagon of hues the distance from red is (1 - r + g + b) / 6 turns, for r, g, b scaled
    to [0, 1] within the pixel, and the sign of g - b says on which side of red. The way back is a
    clamped distance per channel. So no sorting, no cases, no arc tangent.
    """
    r, g, b = x
    high, low = (f(f(r, g), b) for f in (torch.maximum, torch.minimum))
    turns = (g + b).sub_(r).add_(high).sub_(low, alpha=2)
    chroma6 = high.sub_(low).mul_(6)
    turns.div_(chroma6.clamp(min=1e-9)).copysign_(g - b)
    low.sub_(chroma6, alpha=1 / 6)

    def turned(hue: Tensor, out: Tensor) -> Tensor:
        # |turns| and |hue| are at most 1/2, so this folds their sum to 1/2 - (distance on the
        # circle).
        nearness = torch.add(turns, hue, out=out).abs_().sub_(0.5).abs_().clamp_(1 / 6, 1 / 3)
        return torch.addcmul(low, chroma6, nearness, out=out)

    return [turned(*each) for each in zip(work.hue[part].unbind(1), x, strict=True)]


def _grayscale(x: Channels, work: _Work, part: slice) -> Channels:
    return [luma(x)] * 3


def _shift(x: Channels, work: _Work, part: slice) -> Channels:
    shift = _per_image(work.params.shift[part])
    return [(c + shift).clamp_(0, 1) for c in x]


def _blur(x: Channels, work: _Work, part: slice) -> Channels:
    size, device = x[0].shape[-1], x[0].device
    tap = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=device)
    sigma = work.params.sigma[part, None].clamp(min=1e-2)  # 0 stands for no blur
    weight = torch.exp(-0.5 * (tap / sigma) ** 2)
    weight = weight / weight.sum(1, keepdim=True)
    pixel = torch.arange(size, device=device)
    source = (pixel + tap[:, None]).abs()  # reflected at the borders, edge pixel not repeated
    source = size - 1 - (size - 1 - source).abs()
    taps = (source[:, :, None] == pixel).float().view(len(tap), size * size)
    matrix = _product(weight, taps).view(-1, size, size)
    return [_product(_product(matrix, c), matrix.transpose(1, 2)) for c in x]


def _solarize(x: Channels, work: _Work, part: slice) -> Channels:
    threshold = _per_image(work.params.threshold[part])
    return [torch.where(c >= threshold, 1 - c, c) for c in x]


def _hash(x: Tensor) -> Tensor:
    """Mix the low 32 bits of int64 (two multiply-xor-shift rounds); no product overflows."""
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & 0xFFFFFFFF
    return (x >> 16) ^ x


def _noise(x: Channels, work: _Work, part: slice) -> Channels:
    """Gaussian noise from a counter (Box-Muller on hashed positions): a seed means the same noise
    in any batch and on any device, and nothing as large as the images has to be stored."""
    seed, deviation = work.params.noise_seed[part], work.params.noise[part]
    size, device = x[0].shape[-1], x[0].device
    pixels = 3 * size * size
    half = (pixels + 1) // 2
    counter = _hash(torch.arange(1, 2 * half + 1, device=device))
    uniform = ((_hash((counter + seed[:, None]) & 0xFFFFFFFF) >> 8).float() + 0.5) * 2**-24
    radius, turn = uniform.split(half, 1)
    radius, turn = radius.log().mul_(-2).sqrt_(), turn.mul(2 * math.pi)
    normal = torch.cat([radius * turn.cos(), radius * turn.sin()], 1)[:, :pixels]
    normal, deviation = normal.unflatten(1, (3, size, size)), _per_image(deviation)
    return [
        torch.addcmul(c, each, deviation).clamp_(0, 1)
        for c, each in zip(x, normal.unbind(1), strict=True)
    ]


def _cutout(x: Channels, work: _Work, part: slice) -> Channels:
    p, pixel = work.params, torch.arange(x[0].shape[-1], device=x[0].device)

    def inside(start: Tensor) -> Tensor:
        return (pixel >= start[:, None]) & (pixel < (start + p.cutout[part])[:, None])

    rows, columns = inside(p.cutout_top[part]), inside(p.cutout_left[part])
    hole = rows[:, :, None] & columns[:, None, :]
    return [c.masked_fill(hole, 0) for c in x]


_STEP: dict[str, Any] = {
    "rotation": _rotate,
    **{f"blend {stage}": functools.partial(_blend, stage=stage) for stage in range(3)},
    **{f"hue {stage}": _hue for stage in range(4)},
    "grayscale": _grayscale,
    "shift": _shift,
    "blur": _blur,
    "solarize": _solarize,
    "noise": _noise,
    "cutout": _cutout,
}
