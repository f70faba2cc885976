"""What is drawn for each view: parameters as tensors, one entry per view, on the device of the ids.

`sample` draws them from a table of policies, all views at once. What was drawn stays visible:
`Params` can be plotted, put into words (`describe`), indexed and applied again.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from contrastive_tutorial.augment.policies import Policy
from contrastive_tutorial.errors import InputError

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
        if isinstance(index, int) or getattr(index, "ndim", None) == 0:
            index = [int(index)]
        return self._map(lambda tensor: tensor[index])

    def with_colours_of(self, rows: Tensor) -> Params:
        """The same views in other colours: row i has the jitter and grayscale of row `rows[i]`.

        `rows` is int64 (B,), on the device of the parameters.
        """
        colours = {name: getattr(self, name)[rows] for name in (*JITTER, "order", "grayscale")}
        return replace(self, **colours)

    def to(self, device: torch.device | str) -> Params:
        """The same parameters on another device."""
        return self._map(lambda tensor: tensor.to(device))


STEPS = (
    "rotation",
    "hue 0",
    *(step for stage in range(3) for step in (f"blend {stage}", f"hue {stage + 1}")),
    "grayscale",
    "shift",
    "blur",
    "solarize",
    "noise",
    "cutout",
)
"""The steps after crop and flip, in order. The jitter of an image is three blends (brightness,
contrast, saturation, in its own order) and one turn of the hue before, between or after them."""

BLUR_RADIUS = 3

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
            accelerator, and while compiling, the range is not checked here: reading it would wait.
        generator: random numbers, on the device of `ids`; torch's default generator if None.
        size: height and width of the images, in pixels: at least 4, and no less than the largest
            cutout.

    Raises:
        InputError: no policies, ids of a wrong type, shape or range, a generator on another device,
            images too small.
    """
    _check(policies, ids, generator, size)
    # A compiler keeps constants itself, and warns of caches.
    constants = _constants if torch.compiler.is_compiling() else _kept_constants
    table, orders = constants(tuple(policies), ids.device)
    row = dict(zip(_COLUMNS, table[ids].unbind(1), strict=True))
    count, device = len(ids), ids.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator, device=device)

    tries = uniform(_ATTEMPTS), uniform(_ATTEMPTS)
    u = iter(uniform(20).unbind(1))
    crops = _crops(row, *tries, u, size)
    jitter = next(u) < row["jitter"]
    factors = {
        name: torch.where(jitter, _between(row, name, next(u)), neutral)
        for name, neutral in zip(JITTER, (1.0, 1.0, 1.0, 0.0), strict=True)
    }
    cutout = row["cutout"].long()
    return Params(
        **crops,
        flip=next(u) < row["flip"],
        angle=-row["rotation"] + 2 * row["rotation"] * next(u),
        **factors,
        order=orders[(next(u) * len(_ORDERS)).long()],
        grayscale=next(u) < row["grayscale"],
        shift=row["shift"],
        sigma=torch.where(next(u) < row["blur"], _between(row, "sigma", next(u)), 0.0),
        solarize=next(u) < row["solarize"],
        threshold=row["threshold"],
        noise=row["noise"],
        noise_seed=torch.randint(1 << 31, (count,), generator=generator, device=device),
        cutout=cutout,
        cutout_top=_below(size - cutout + 1, next(u)),
        cutout_left=_below(size - cutout + 1, next(u)),
        size=size,
        steps=_possible_steps(tuple(policies)),
    )


def _between(row: dict[str, Tensor], name: str, u: Tensor) -> Tensor:
    """Uniform in the range of each view's policy, from ``u`` in [0, 1)."""
    low, high = row[name + "0"], row[name + "1"]
    return low + (high - low) * u


def _below(limit: Tensor, u: Tensor) -> Tensor:
    """Whole numbers from 0 to limit - 1, from ``u`` in [0, 1)."""
    return (u * limit).long().clamp(max=limit - 1)


def _crops(
    row: dict[str, Tensor], area: Tensor, aspect: Tensor, u: Iterator[Tensor], size: int
) -> dict[str, Tensor]:
    """Crops by RandomResizedCrop's rule: the first of ten tries that fits, else the largest central
    crop of a permitted ratio. (Ten tries for everyone cost less than asking who needs another.)"""
    area = size * size * _between(row, "scale", area.T)
    low, high = row["ratio0"].log(), row["ratio1"].log()
    root = torch.exp((low + (high - low) * aspect.T) / 2)
    height, width = (area.sqrt() / root).round(), (area.sqrt() * root).round()
    fits = (height >= 1) & (height <= size) & (width >= 1) & (width <= size)
    first, some = fits.int().argmax(0, keepdim=True), fits.any(0)
    tallest = (size / row["ratio0"].clamp(min=1)).round().clamp(min=1)
    widest = (size * row["ratio1"].clamp(max=1)).round().clamp(min=1)
    height = torch.where(some, height.gather(0, first)[0], tallest).long()
    width = torch.where(some, width.gather(0, first)[0], widest).long()
    top, left = (
        torch.where(some, _below(size - side + 1, next(u)), (size - side) // 2)
        for side in (height, width)
    )
    return {"top": top, "left": left, "height": height, "width": width}


_FIELDS = tuple(f.name for f in fields(Policy) if f.name != "name")
_COLUMNS = tuple(
    column
    for f in fields(Policy)
    if f.name != "name"
    for column in ((f.name + "0", f.name + "1") if isinstance(f.default, tuple) else (f.name,))
)


def _constants(policies: tuple[Policy, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The policies as float32 (number of policies, columns); the orders of a jitter, (24, 4)."""
    rows = []
    for policy in policies:
        values = [getattr(policy, name) for name in _FIELDS]
        rows.append(
            [v for value in values for v in (value if isinstance(value, tuple) else (value,))]
        )
    table = torch.tensor(rows, dtype=torch.float32, device=device)
    return table, torch.tensor(_ORDERS, device=device)


_kept_constants: Callable[..., tuple[Tensor, Tensor]] = functools.lru_cache(maxsize=64)(_constants)


def _check(
    policies: Sequence[Policy],
    ids: Tensor,
    generator: torch.Generator | None,
    size: int,
) -> None:
    if isinstance(policies, Policy) or not all(isinstance(p, Policy) for p in policies):
        raise InputError(
            "policies must be a sequence of Policy (policy_by_name turns a name into one)"
        )
    if not policies:
        raise InputError("policies is empty: give at least one Policy")
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64 or ids.ndim != 1:
        got = f"{ids.dtype} {tuple(ids.shape)}" if isinstance(ids, Tensor) else type(ids).__name__
        raise InputError(f"ids must be an int64 tensor of shape (B,), got {got}")
    if len(ids) and ids.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = (int(v) for v in ids.aminmax())
        if low < 0 or high >= len(policies):
            raise InputError(
                f"ids must lie in 0..{len(policies) - 1} for {len(policies)} policies, "
                f"got {low}..{high}"
            )
    if generator is not None and not _same_device(generator.device, ids.device):
        raise InputError(
            f"generator is on {generator.device} but ids are on {ids.device}: "
            "create it with torch.Generator(device=ids.device)"
        )
    widest = max(policy.cutout for policy in policies)
    least = max(BLUR_RADIUS + 1, widest)
    if not isinstance(size, int) or size < least:
        raise InputError(
            f"size must be an int of at least {least} pixels for these policies, got {size} "
            f"({type(size).__name__})"
        )


def _same_device(one: torch.device, other: torch.device) -> bool:
    """``cuda`` without a number is any of them: torch asks for the current one."""
    numbers = {one.index, other.index} - {None}
    return one.type == other.type and len(numbers) < 2


def _possible_steps(policies: tuple[Policy, ...]) -> tuple[str, ...]:
    def possible(step: str, p: Policy) -> bool:
        if step.startswith("blend"):
            return p.jitter > 0 and (p.brightness, p.contrast, p.saturation) != ((1, 1),) * 3
        if step.startswith("hue"):
            return p.jitter > 0 and p.hue != (0, 0)
        return bool(getattr(p, step) != 0)

    return tuple(step for step in STEPS if any(possible(step, p) for p in policies))


def jitter_stages(p: Params) -> tuple[Tensor, Tensor]:
    """int64 (B,): how many blends come before the turn of the hue; (B, 3): which, in order."""
    hue_at = (p.order == JITTER.index("hue")).int().argmax(1)
    stage = torch.arange(3, device=p.order.device)
    return hue_at, p.order.gather(1, stage + (stage >= hue_at[:, None]))


def active_steps(p: Params) -> list[Tensor]:
    """bool (B,) for each of STEPS: which view needs it. (Apart, so that a compiler leaves out the
    steps that nobody asks for.)"""
    hue_at, blends = jitter_stages(p)
    changed = torch.stack([p.brightness != 1, p.contrast != 1, p.saturation != 1], 1)
    changed, turned = changed.gather(1, blends), p.hue != 0
    columns = [p.angle != 0, turned & (hue_at == 0)]
    for stage in range(3):
        columns += [changed[:, stage], turned & (hue_at == stage + 1)]
    columns += [
        p.grayscale,
        p.shift != 0,
        p.sigma != 0,
        p.solarize,
        p.noise != 0,
        p.cutout != 0,
    ]
    return columns


def describe(params: Params, index: int) -> str:
    """What view `index` gets, in words: `crop 20x24 at row 3, column 5, flip, ...`."""
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
