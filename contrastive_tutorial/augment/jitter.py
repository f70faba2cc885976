"""The colour jitter of a whole batch in one piece: three blends, one turn of the hue, three blends.

Every image goes the whole way. Its own order says which blends come before its hue: the others have
the factor 1, and an image without jitter has it six times and a turn of 0. So no value is read, no
mask picks between images, and the hue, which costs most, is turned once.

This is the form for compilers and accelerators. It differs from the form for groups of images in
the last bits (of order 1e-7 per blend) and from it only there: an image that a blend leaves alone
comes out as it was, rounded to a multiple of 2**-24.

Minimum, maximum and clamp are written with `relu`: on a CPU, torch's compiler makes each of them
four instructions, because they must keep NaN, and `relu` one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from contrastive_tutorial.augment.params import JITTER, Params, jitter_stages

# On the way views are three channels (n, S, S): what reads single ones reads one piece of memory, a
# value for each image, (n, 1, 1), meets all three, and a compiler sees what they share.
Channels = Sequence[Tensor]


def jitter(x: Channels, p: Params) -> Channels:
    """Brightness, contrast, saturation and hue of every image, in its own order."""
    hue_at, blends = jitter_stages(p)
    factors = torch.stack([p.brightness, p.contrast, p.saturation], 1).gather(1, blends)
    early = torch.arange(3, device=hue_at.device) < hue_at[:, None]
    x = _blends(x, blends, torch.where(early, factors, 1.0))
    x = _hue(x, p.hue)
    return _blends(x, blends, torch.where(early, 1.0, factors))


def luma(x: Channels) -> Tensor:
    """Gray value, (n, S, S), with torchvision's weights (ITU-R BT.601)."""
    r, g, b = x
    return (r * 0.2989).add_(g, alpha=0.587).add_(b, alpha=0.114)


def unit(x: Tensor) -> Tensor:
    """``x.clamp(0, 1)``, rounded to a multiple of 2**-24."""
    return 1 - torch.relu(1 - torch.relu(x))


def _kept(x: Tensor) -> Tensor:
    """`x`, which a compiler shall hold in memory: it would compute it anew for each reader."""
    return x.as_strided(x.shape, x.stride())


def _blends(x: Channels, blends: Tensor, factors: Tensor) -> Channels:
    """Three blends one after the other: `factors` (n, 3), of the kinds `blends` (n, 3).

    The image's share is the factor; the rest belongs to black, to the gray version or to the mean
    gray, here the sum of the gray version.
    """
    rest = 1 - factors
    of_gray = rest * (blends == JITTER.index("saturation"))
    of_sum = rest * (blends == JITTER.index("contrast")) / (x[0].shape[1] * x[0].shape[2])
    shares = torch.stack([factors, of_gray, of_sum], 2)[..., None, None]
    for stage in range(3):
        factor, for_gray, for_sum = shares[:, stage].unbind(1)
        gray = luma(x)
        other = gray * for_gray + gray.sum((1, 2), keepdim=True) * for_sum
        x = [_kept(unit(c * factor + other)) for c in x]
    return x


def _hue(x: Channels, turn: Tensor) -> Channels:
    """Turn the hue by `turn` (n,), as `arithmetic` does it, in sixths of a turn."""
    r, g, b = x
    more = torch.relu(r - g)
    high, low = g + more, r - more
    high, low = high + torch.relu(b - high), low - torch.relu(low - b)
    chroma = high - low
    # Where there is no chroma, any hue will do: it is multiplied by the chroma.
    sixths = ((g + b - r + high - 2 * low) / (chroma + 1e-10)).copysign(g - b)
    hue = 6 * turn[:, None] - 2 * torch.arange(3, device=turn.device)
    hue = _kept(hue - 6 * (hue / 6).round())[..., None, None]

    def turned(hue: Tensor) -> Tensor:
        # |sixths| and |hue| are at most 3, so this folds their sum to 3 - (distance on the circle).
        near = ((sixths + hue).abs() - 3).abs()
        return _kept(high - chroma * torch.relu(1 - torch.relu(near - 1)))

    return [turned(each) for each in hue.unbind(1)]
