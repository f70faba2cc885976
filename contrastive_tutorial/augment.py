"""Batched augmentations with one set of parameters per image, on the device of the images.

`sample` draws the parameters of every view from a table of policies, `apply` turns images and
parameters into views. Nothing loops over images in Python, and what was drawn stays visible:
`Params` can be plotted, printed (`describe`), stored, indexed and applied again.

Each step computes what torchvision's functional operation computes, in this fixed order:

    resized crop, flip | rotation | colour jitter (own random order per image) | grayscale
    | brightness shift | Gaussian blur | solarisation | noise | cutout

Crop and flip are two small matrix products per image (a row and a column interpolation matrix).
The output is as large as the input, so a crop is never made smaller, and torchvision's result is
the same with and without `antialias`; the interpolation is bilinear.

Two ways through the steps, one result. On a CPU the images are sorted by the steps they need and
worked on in groups that fit the cache, so nothing is computed for an image that does not need it.
On an accelerator every step that the policies could ask for runs on the whole batch and a mask
picks the images, so no value travels to the host and `torch.compile` sees no data-dependent code.

Sources: Chen et al. 2020 (SimCLR, arXiv 2002.05709, appendix A) for crop, flip, jitter and
grayscale; Grill et al. 2020 (BYOL, arXiv 2006.07733) for solarisation; DeVries & Taylor 2017
(arXiv 1708.04552) for cutout.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from contrastive_tutorial.errors import InputError

Range = tuple[float, float]


@dataclass(frozen=True)
class Policy:
    """An augmentation recipe: ranges to draw from uniformly, and probabilities.

    Args:
        name: short name.
        scale: area of the crop as a fraction of the image.
        ratio: width / height of the crop, drawn log-uniformly.
        flip: probability of a horizontal flip.
        jitter: probability of the colour jitter (its four operations together).
        brightness, contrast, saturation: factors of the jitter; (1, 1) leaves the image alone.
        hue: shift of the jitter, in turns of the colour circle, within [-0.5, 0.5].
        grayscale: probability of losing the colour.
        shift: added to every value (of [0, 1]), then clamped.
        rotation: largest angle in degrees; drawn from [-rotation, rotation].
        blur: probability of a Gaussian blur (7 x 7 taps, reflected borders).
        sigma: standard deviation of the blur, in pixels.
        solarize: probability of inverting the values at or above `threshold`.
        noise: standard deviation of Gaussian noise, then clamped.
        cutout: side of a square set to zero, in pixels; it lies inside the image.

    Raises:
        InputError: a probability outside [0, 1], or a range that is reversed or impossible.
    """

    name: str
    scale: Range = (0.2, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.0
    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    saturation: Range = (1.0, 1.0)
    hue: Range = (0.0, 0.0)
    grayscale: float = 0.0
    shift: float = 0.0
    rotation: float = 0.0
    blur: float = 0.0
    sigma: Range = (1.0, 1.0)
    solarize: float = 0.0
    threshold: float = 0.5
    noise: float = 0.0
    cutout: int = 0

    def __post_init__(self) -> None:
        for field in ("flip", "jitter", "grayscale", "blur", "solarize"):
            _expect(self, field, "a probability in [0, 1]", 0 <= getattr(self, field) <= 1)
        limits = {"scale": (1e-6, 1.0), "ratio": (1e-3, 1e3), "hue": (-0.5, 0.5)}
        limits |= dict.fromkeys(("brightness", "contrast", "saturation"), (0.0, 1e3))
        limits |= {"sigma": (1e-2, 1e3)}
        for field, (least, most) in limits.items():
            ends = getattr(self, field)
            good = isinstance(ends, tuple) and len(ends) == 2
            good = good and least <= ends[0] <= ends[1] <= most
            _expect(self, field, f"a pair (low, high) within [{least:g}, {most:g}]", good)
        _expect(self, "shift", "a number in [-1, 1]", -1 <= self.shift <= 1)
        _expect(self, "rotation", "degrees in [0, 180]", 0 <= self.rotation <= 180)
        _expect(self, "threshold", "a value in [0, 1]", 0 <= self.threshold <= 1)
        _expect(self, "noise", "a standard deviation >= 0", 0 <= self.noise < math.inf)
        whole = isinstance(self.cutout, int) and self.cutout >= 0
        _expect(self, "cutout", "a whole number of pixels >= 0", whole)


def _expect(policy: Policy, field: str, expected: str, good: bool) -> None:
    if not good:
        got = getattr(policy, field)
        raise InputError(f"policy {policy.name!r}: {field} must be {expected}, got {got}")


_SIMCLR_JITTER: dict[str, Any] = {
    "brightness": (0.6, 1.4), "contrast": (0.6, 1.4), "saturation": (0.6, 1.4), "hue": (-0.1, 0.1),
}  # fmt: skip

POLICIES: tuple[Policy, ...] = (
    Policy("weak"),
    Policy("jitter-gray", jitter=0.8, grayscale=0.2, **_SIMCLR_JITTER),
    Policy("grayscale", grayscale=1.0),
    Policy("dark", shift=-0.3),
    Policy("contrast", jitter=1.0, contrast=(1.8, 1.8)),
    Policy("noise", noise=0.1),
    Policy("blur", blur=1.0),
    Policy("solarize", solarize=1.0),
    Policy("cutout", cutout=16),
    Policy("rotation", rotation=30.0),
)
"""The ten policies of the split experiments, one per subset; all crop and flip."""

DEFAULT_POLICY = POLICIES[1]
"""SimCLR's recipe as it is used on CIFAR-10 (no blur)."""


def policy_by_name(name: str) -> Policy:
    """The policy of `POLICIES` with this name. Raises `InputError` listing the names."""
    for policy in POLICIES:
        if policy.name == name:
            return policy
    names = ", ".join(policy.name for policy in POLICIES)
    raise InputError(f"unknown policy {name!r}: choose one of {names}")


# --------------------------------------------------------------------------------- parameters

JITTER = ("brightness", "contrast", "saturation", "hue")


@dataclass(frozen=True)
class Params:
    """What was drawn, for each of B views: tensors of shape (B,) unless stated.

    A step that a view does not get holds its neutral value, given in brackets.

    `params[index]` takes what a tensor takes (a whole number gives a batch of one), `len` and
    `to(device)` work as on tensors.
    """

    top: Tensor  # int64, pixels: the crop
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor  # bool
    angle: Tensor  # float32, degrees counter-clockwise [0]
    brightness: Tensor  # float32 factor [1]
    contrast: Tensor  # float32 factor [1]
    saturation: Tensor  # float32 factor [1]
    hue: Tensor  # float32, turns [0]
    order: Tensor  # int64 (B, 4): the jitter's operations in their order, as indices of JITTER
    grayscale: Tensor  # bool
    shift: Tensor  # float32 [0]
    sigma: Tensor  # float32, pixels [0]
    solarize: Tensor  # bool
    threshold: Tensor  # float32
    noise: Tensor  # float32, standard deviation [0]
    noise_seed: Tensor  # int64: the noise is a hash of this and the position, so it is reproducible
    cutout: Tensor  # int64, side in pixels [0]
    cutout_top: Tensor  # int64, pixels
    cutout_left: Tensor
    size: int  # height and width of the images that these parameters are for
    steps: tuple[str, ...]  # the steps that the policies could ask for, in order

    def _map(self, function: Any) -> Params:
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        new = {k: function(v) for k, v in tensors.items() if isinstance(v, Tensor)}
        return replace(self, **new)

    def __len__(self) -> int:
        return len(self.top)

    def __getitem__(self, index: Any) -> Params:
        if isinstance(index, int):
            index = [index]
        return self._map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> Params:
        """The same parameters on another device."""
        return self._map(lambda tensor: tensor.to(device))


_ATTEMPTS = 10  # as torchvision's RandomResizedCrop
_ORDERS = tuple(itertools.permutations(range(4)))


def sample(
    policies: Sequence[Policy],
    ids: Tensor,
    generator: torch.Generator | None = None,
    size: int = 32,
) -> Params:
    """Draw the parameters of one view for each entry of `ids`.

    Args:
        policies: the table that `ids` points into.
        ids: int64 (B,), the policy of each view. Its device is the device of the parameters. On an
            accelerator the range is not checked here, because that would wait for the device.
        generator: random numbers, on the device of `ids`; torch's default generator if None.
        size: height and width of the images, in pixels.

    Raises:
        InputError: no policies, ids of a wrong type, shape or range, a generator on another device.
    """
    table = _checked_table(policies, ids, generator, size)
    row = dict(zip(_COLUMNS, table[ids].unbind(1), strict=True))
    count, device = len(ids), ids.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=device)

    def between(low: Tensor, high: Tensor, u: Tensor) -> Tensor:
        return low + (high - low) * u

    def below(limit: Tensor, u: Tensor) -> Tensor:  # whole numbers 0 .. limit - 1
        return (u * limit).long().clamp(max=limit - 1)

    height, width, fits = _crop_sizes(row, uniform(_ATTEMPTS), uniform(_ATTEMPTS), size)
    u = iter(uniform(20).unbind(1))
    top, left = (
        torch.where(fits, below(size - side + 1, next(u)), (size - side) // 2)
        for side in (height, width)
    )
    jitter = next(u) < row["jitter"]
    factors = {
        name: torch.where(jitter, between(row[name + "0"], row[name + "1"], next(u)), neutral)
        for name, neutral in zip(JITTER, (1.0, 1.0, 1.0, 0.0), strict=True)
    }
    cutout = row["cutout"].long()
    return Params(
        top=top,
        left=left,
        height=height,
        width=width,
        flip=next(u) < row["flip"],
        angle=between(-row["rotation"], row["rotation"], next(u)),
        **factors,
        order=_orders(device)[(next(u) * len(_ORDERS)).long()],
        grayscale=next(u) < row["grayscale"],
        shift=row["shift"],
        sigma=torch.where(
            next(u) < row["blur"], between(row["sigma0"], row["sigma1"], next(u)), 0.0
        ),
        solarize=next(u) < row["solarize"],
        threshold=row["threshold"],
        noise=row["noise"],
        noise_seed=torch.randint(1 << 31, (count,), generator=generator, device=device),
        cutout=cutout,
        cutout_top=below(size - cutout + 1, next(u)),
        cutout_left=below(size - cutout + 1, next(u)),
        size=size,
        steps=_possible_steps(tuple(policies)),
    )


def _crop_sizes(
    row: dict[str, Tensor], area: Tensor, aspect: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Height and width of the crops by RandomResizedCrop's rule: the first of ten tries that fits,
    else the largest central crop of a permitted ratio; and whether a try did fit. (Ten tries for
    everyone cost less than asking who needs another.)"""
    area = size * size * (row["scale0"] + (row["scale1"] - row["scale0"]) * area.T)
    low, high = row["ratio0"].log(), row["ratio1"].log()
    root = torch.exp((low + (high - low) * aspect.T) / 2)
    height, width = (area.sqrt() / root).round(), (area.sqrt() * root).round()
    fits = (height >= 1) & (height <= size) & (width >= 1) & (width <= size)
    first, some = fits.int().argmax(0, keepdim=True), fits.any(0)
    tallest = (size / row["ratio0"].clamp(min=1)).round()
    widest = (size * row["ratio1"].clamp(max=1)).round()
    height = torch.where(some, height.gather(0, first)[0], tallest)
    width = torch.where(some, width.gather(0, first)[0], widest)
    return height.long(), width.long(), some


_COLUMNS = tuple(
    column
    for f in fields(Policy)
    if f.name != "name"
    for column in ((f.name + "0", f.name + "1") if isinstance(f.default, tuple) else (f.name,))
)


@functools.lru_cache(maxsize=64)
def _table(policies: tuple[Policy, ...], device: torch.device) -> Tensor:
    """The policies as float32 (number of policies, columns), kept on the device."""
    rows = []
    for policy in policies:
        values = [getattr(policy, f.name) for f in fields(Policy) if f.name != "name"]
        rows.append(
            [v for value in values for v in (value if isinstance(value, tuple) else (value,))]
        )
    return torch.tensor(rows, dtype=torch.float32, device=device)


@functools.lru_cache(maxsize=8)
def _orders(device: torch.device) -> Tensor:
    return torch.tensor(_ORDERS, device=device)


def _checked_table(
    policies: Sequence[Policy],
    ids: Tensor,
    generator: torch.Generator | None,
    size: int,
) -> Tensor:
    if isinstance(policies, Policy) or not all(isinstance(p, Policy) for p in policies):
        raise InputError(
            "policies must be a sequence of Policy (policy_by_name turns a name into one)"
        )
    if not policies:
        raise InputError("policies is empty: give at least one Policy")
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64 or ids.ndim != 1:
        got = f"{ids.dtype} {tuple(ids.shape)}" if isinstance(ids, Tensor) else type(ids).__name__
        raise InputError(f"ids must be an int64 tensor of shape (B,), got {got}")
    if len(ids) and ids.device.type == "cpu":
        low, high = (int(v) for v in ids.aminmax())
        if low < 0 or high >= len(policies):
            raise InputError(
                f"ids must lie in 0..{len(policies) - 1} for {len(policies)} policies, "
                f"got {low}..{high}"
            )
    if generator is not None and generator.device.type != ids.device.type:
        raise InputError(
            f"generator is on {generator.device} but ids are on {ids.device}: "
            "create it with torch.Generator(device=ids.device)"
        )
    widest = max(policy.cutout for policy in policies)
    least = max(_BLUR_RADIUS + 1, widest)
    if size < least:
        raise InputError(f"size must be at least {least} pixels for these policies, got {size}")
    return _table(tuple(policies), ids.device)


# --------------------------------------------------------------------------------------- apply

# A group's few buffers (1.5 MB each at 32 x 32) stay in the cache; smaller ones cost more calls.
_IMAGES_PER_GROUP = 128


@torch.no_grad()
def apply(images: Tensor, params: Params) -> Tensor:
    """Turn images into views.

    Args:
        images: uint8 in 0..255 or floating point in [0, 1], (B, 3, S, S), S = params.size.
        params: one set per image, on the device of the images.

    Returns:
        float32 (B, 3, S, S) in [0, 1], contiguous. No gradient flows through it.

    Raises:
        InputError: wrong type, shape, or device, or another number of images than of parameters.
    """
    _check_images(images, params)
    images = images.contiguous()
    if images.device.type == "cpu" and not torch.compiler.is_compiling():
        return _apply_in_groups(images, params)
    return _apply_masked(images, params)


def _apply_masked(images: Tensor, params: Params) -> Tensor:
    """Every possible step on the whole batch; nothing here depends on a value."""
    active, everything = _active_steps(params), slice(None)
    work = _prepare(params, torch.arange(len(images), device=images.device))
    views = _crop(images, work, everything)
    for step in params.steps:
        mask = _per_image(active[:, STEPS.index(step)])
        views = torch.where(mask, _STEP[step](views, work, everything), views)
    return views.clamp(0, 1).contiguous()


def _apply_in_groups(images: Tensor, params: Params) -> Tensor:
    """The images sorted by the steps they need, then group by group only these steps."""
    active = _active_steps(params)
    bits = (1 << torch.arange(len(STEPS))).expand_as(active)
    keys, order = (active * bits).sum(1).sort(stable=True)
    work = _prepare(params[order], order)
    ordered = torch.empty(images.shape, dtype=torch.float32)
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
            torch.clamp(views, 0, 1, out=ordered[part])
        start += run
    return ordered.index_select(0, order.argsort())


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


class _Work(NamedTuple):
    """The parameters and what the frequent steps derive from them, once for the whole batch. Every
    tensor has the batch first and broadcasts, so that a step only takes its `part`."""

    params: Params
    above: Tensor  # int64 (B, 3 S): source rows of each output row, among all rows of all images
    below: Tensor
    weight: Tensor  # (B, 1, S, 1): of the row below
    column: Tensor  # (B, 1, S): source column of each output column, flipped
    factor: Tensor  # (B, 4, 1, 1, 1): of the jitter's operations, in their order
    mean: Tensor  # (B, 4, 1, 1, 1): 1 for contrast, which blends with the mean gray
    gray: Tensor  # (B, 4, 1, 1, 1): 1 for saturation, which blends with the gray version
    hue: Tensor  # (B, 3, 1, 1): turn of the hue, relative to r, g, b


def _prepare(p: Params, index: Tensor) -> _Work:
    size, device = p.size, index.device
    pixel = torch.arange(size, dtype=torch.float32, device=device)
    row = _source(pixel, p.top, p.height)
    column = _source(torch.where(p.flip[:, None], size - 1 - pixel, pixel), p.left, p.width)
    above = row.long()
    below = torch.minimum(above + 1, (p.top + p.height - 1)[:, None])
    channel = torch.arange(3, device=device)
    first_row = ((index[:, None] * 3 + channel) * size)[:, :, None]
    factor = torch.stack([p.brightness, p.contrast, p.saturation, p.hue], 1).gather(1, p.order)
    hue = p.hue[:, None] - channel / 3
    return _Work(
        params=p,
        above=(first_row + above[:, None]).flatten(1),
        below=(first_row + below[:, None]).flatten(1),
        weight=(row - above)[:, None, :, None],
        column=column[:, None],
        factor=factor[:, :, None, None, None],
        mean=(p.order == JITTER.index("contrast")).float()[:, :, None, None, None],
        gray=(p.order == JITTER.index("saturation")).float()[:, :, None, None, None],
        hue=(hue - hue.round())[:, :, None, None],
    )


def _source(pixel: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """float32 (B, S): where in the image an output pixel comes from, inside the crop."""
    length = length.float()[:, None]
    source = ((pixel + 0.5) * (length / pixel.shape[-1]) - 0.5).clamp_(min=0)
    return torch.minimum(source, length - 1).add_(start[:, None])


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _crop(images: Tensor, work: _Work, part: slice) -> Tensor:
    """Crop, resize bilinearly to the full size, flip; uint8 becomes [0, 1]."""
    size = images.shape[-1]
    # Whole rows are cheap to pick: two picks and their blend resize the height.
    rows = images.reshape(-1, size)
    x = rows.index_select(0, work.above[part].flatten()).float().view(-1, 3, size, size)
    below = rows.index_select(0, work.below[part].flatten()).float().view(-1, 3, size, size)
    x = torch.lerp(x, below, work.weight[part], out=x)
    # Columns are not: a product with each image's matrix of bilinear weights resizes the width.
    scale = 1 / 255 if images.dtype == torch.uint8 else 1.0
    pixel = torch.arange(size, dtype=torch.float32, device=x.device)
    matrix = (work.column[part] - pixel[:, None]).abs_().mul_(-scale).add_(scale).clamp_(min=0)
    return _product(x.view(-1, 3 * size, size), matrix).view(-1, 3, size, size)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b in float32, also under autocast: bfloat16 has too few gray levels."""
    kind = a.device.type
    full = (
        torch.autocast(kind, enabled=False)
        if torch.amp.is_autocast_available(kind)
        else nullcontext()
    )
    with full:
        return a @ b


def _luma(x: Tensor) -> Tensor:
    """Gray value, (B, 1, H, W), with torchvision's weights (ITU-R BT.601)."""
    r, g, b = x.split(1, 1)
    return (r * 0.2989).add_(g, alpha=0.587).add_(b, alpha=0.114)


def _rotate(x: Tensor, work: _Work, part: slice) -> Tensor:
    angle = torch.deg2rad(work.params.angle[part, None, None])
    size = x.shape[-1]  # grid_sample's coordinates: -1 and 1 are the outer edges of the image
    at = (torch.arange(size, device=x.device) + 0.5) * (2 / size) - 1
    across, down = at[None, None, :], at[None, :, None]
    column = angle.cos() * across - angle.sin() * down
    row = angle.sin() * across + angle.cos() * down
    return F.grid_sample(x, torch.stack([column, row], 3), align_corners=False)


def _blend(x: Tensor, work: _Work, part: slice, stage: int) -> Tensor:
    """Brightness, contrast or saturation: one formula, a blend of the image with black, with its
    mean gray or with its gray version."""
    gray = _luma(x)
    mean = gray.mean((2, 3), keepdim=True).mul_(work.mean[part, stage])
    other = gray.mul_(work.gray[part, stage]).add_(mean)
    return torch.lerp(other, x, work.factor[part, stage]).clamp_(0, 1)


def _hue(x: Tensor, work: _Work, part: slice) -> Tensor:
    """Turn the hue; the largest and the smallest of r, g, b (so value and chroma) stay.

    On the hexagon of hues the distance from red is (1 - r + g + b) / 6 turns, for r, g, b scaled
    to [0, 1] within the pixel, and the sign of g - b says on which side of red. The way back is a
    clamped distance per channel. So no sorting, no cases, no arc tangent.
    """
    r, g, b = x.split(1, 1)
    high, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    chroma6 = (high - low).mul_(6)
    turns = (g + b).sub_(r).add_(high).sub_(low, alpha=2).div_(chroma6.clamp(min=1e-9))
    turns.copysign_(g - b)
    # |turns| and |hue| are at most 1/2, so this folds their sum to 1/2 - (distance on the circle).
    nearness = (turns + work.hue[part]).abs_().sub_(0.5).abs_().clamp_(1 / 6, 1 / 3)
    return torch.addcmul(low.sub_(chroma6, alpha=1 / 6), chroma6, nearness)


def _grayscale(x: Tensor, work: _Work, part: slice) -> Tensor:
    return _luma(x).expand_as(x)


def _shift(x: Tensor, work: _Work, part: slice) -> Tensor:
    return (x + _per_image(work.params.shift[part])).clamp_(0, 1)


_BLUR_RADIUS = 3


def _blur(x: Tensor, work: _Work, part: slice) -> Tensor:
    size = x.shape[-1]
    tap = torch.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1, device=x.device)
    sigma = work.params.sigma[part, None].clamp(min=1e-2)  # 0 stands for no blur
    weight = torch.exp(-0.5 * (tap / sigma) ** 2)
    weight = weight / weight.sum(1, keepdim=True)
    pixel = torch.arange(size, device=x.device)
    source = (pixel + tap[:, None]).abs()  # reflected at the borders, edge pixel not repeated
    source = size - 1 - (size - 1 - source).abs()
    taps = (source[:, :, None] == pixel).float().view(len(tap), size * size)
    matrix = _product(weight, taps).view(-1, 1, size, size)
    return _product(_product(matrix, x), matrix.transpose(2, 3))


def _solarize(x: Tensor, work: _Work, part: slice) -> Tensor:
    return torch.where(x >= _per_image(work.params.threshold[part]), 1 - x, x)


def _hash(x: Tensor) -> Tensor:
    """Mix the low 32 bits of int64 (two multiply-xor-shift rounds); no product overflows."""
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & 0xFFFFFFFF
    return (x >> 16) ^ x


def _noise(x: Tensor, work: _Work, part: slice) -> Tensor:
    """Gaussian noise from a counter (Box-Muller on hashed positions): a seed means the same noise
    in any batch and on any device, and nothing as large as the images has to be stored."""
    seed, deviation = work.params.noise_seed[part], work.params.noise[part]
    pixels = x[0].numel()
    half = (pixels + 1) // 2
    counter = _hash(torch.arange(1, 2 * half + 1, device=x.device))
    uniform = ((_hash((counter + seed[:, None]) & 0xFFFFFFFF) >> 8).float() + 0.5) * 2**-24
    radius, turn = uniform.split(half, 1)
    radius, turn = radius.log().mul_(-2).sqrt_(), turn.mul(2 * math.pi)
    normal = torch.cat([radius * turn.cos(), radius * turn.sin()], 1)[:, :pixels]
    return torch.addcmul(x, normal.reshape(x.shape), _per_image(deviation)).clamp_(0, 1)


def _cutout(x: Tensor, work: _Work, part: slice) -> Tensor:
    p, pixel = work.params, torch.arange(x.shape[-1], device=x.device)

    def inside(start: Tensor) -> Tensor:
        return (pixel >= start[:, None]) & (pixel < (start + p.cutout[part])[:, None])

    rows, columns = inside(p.cutout_top[part]), inside(p.cutout_left[part])
    return x.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)


_STEP: dict[str, Any] = {"rotation": _rotate}
for _stage in range(4):
    _STEP[f"blend {_stage}"] = functools.partial(_blend, stage=_stage)
    _STEP[f"hue {_stage}"] = _hue
_STEP |= {
    "grayscale": _grayscale, "shift": _shift, "blur": _blur,
    "solarize": _solarize, "noise": _noise, "cutout": _cutout,
}  # fmt: skip
STEPS = tuple(_STEP)


def _possible_steps(policies: tuple[Policy, ...]) -> tuple[str, ...]:
    def possible(step: str, p: Policy) -> bool:
        if step.startswith("blend"):
            return p.jitter > 0 and (p.brightness, p.contrast, p.saturation) != ((1, 1),) * 3
        if step.startswith("hue"):
            return p.jitter > 0 and p.hue != (0, 0)
        return bool(getattr(p, step) != 0)

    return tuple(step for step in STEPS if any(possible(step, p) for p in policies))


def _active_steps(p: Params) -> Tensor:
    """bool (B, number of steps): which image needs which step."""
    changed = torch.stack([p.brightness != 1, p.contrast != 1, p.saturation != 1, p.hue != 0], 1)
    changed = changed.gather(1, p.order)
    columns = [p.angle != 0]
    for stage in range(4):
        is_hue = p.order[:, stage] == 3
        columns += [changed[:, stage] & ~is_hue, changed[:, stage] & is_hue]
    columns += [
        p.grayscale,
        p.shift != 0,
        p.sigma != 0,
        p.solarize,
        p.noise != 0,
        p.cutout != 0,
    ]
    return torch.stack(columns, 1)


def describe(params: Params, index: int) -> str:
    """What view `index` gets, in words: `crop 20x24 at (3, 5), flip, contrast 1.21, ...`."""
    p = {f.name: getattr(params[index], f.name) for f in fields(params)}
    p = {k: v[0].tolist() if isinstance(v, Tensor) else v for k, v in p.items()}
    words = [f"crop {p['height']}x{p['width']} at row {p['top']}, column {p['left']}"]
    if p["flip"]:
        words.append("flip")
    if p["angle"]:
        words.append(f"rotation {p['angle']:+.0f} degrees")
    for kind in p["order"]:
        name = JITTER[kind]
        if p[name] != (0 if name == "hue" else 1):
            words.append(f"hue {p['hue']:+.2f}" if name == "hue" else f"{name} x{p[name]:.2f}")
    if p["grayscale"]:
        words.append("grayscale")
    if p["shift"]:
        words.append(f"brightness {p['shift']:+.2f}")
    if p["sigma"]:
        words.append(f"blur sigma {p['sigma']:.2f}")
    if p["solarize"]:
        words.append(f"solarize at {p['threshold']:.2f}")
    if p["noise"]:
        words.append(f"noise sd {p['noise']:.2f}")
    if p["cutout"]:
        words.append(f"cutout {p['cutout']} at row {p['cutout_top']}, column {p['cutout_left']}")
    return ", ".join(words)
