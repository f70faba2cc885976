"""`jitter`: what must not change; test_arithmetic.py compares all else with torchvision's."""

import torch
import torchvision.transforms.v2.functional as TF
from drawn import drawn, seeded

from contrastive_tutorial.augment import Policy
from contrastive_tutorial.augment.jitter import jitter, luma, unit

STRONG = Policy(
    "strong", jitter=0.7, brightness=(0.0, 2.5), contrast=(0.0, 2.5), saturation=(0.0, 2.5),
    hue=(-0.5, 0.5),
)  # fmt: skip


def pictures(count=240, size=9):
    """Images in [0, 1], a third gray, with black, white and primary pixels."""
    images = torch.rand(count, 3, size, size, generator=seeded())
    images[::3] = images[::3, :1]
    images[:, :, 0, :8] = torch.tensor([[k >> bit & 1 for k in range(8)] for bit in range(3)])
    return images


def test_an_image_without_jitter_comes_out_as_it_was():
    images, params = pictures(), drawn(STRONG, 240)
    alone = (params.hue == 0) & (params.brightness == 1)
    assert int(alone.sum()) > 40
    after = torch.stack(list(jitter(images.unbind(1), params)), 1)
    before, after = images[alone], after[alone]
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)
    assert torch.equal(after == 0, before == 0)
    assert torch.equal(after == 1, before == 1)


def test_unit_clamps():
    x = torch.tensor([-3.0, -1e-9, 0.0, 2**-24, 0.3, 1.0, 1 + 1e-6, 7.0])
    torch.testing.assert_close(unit(x), x.clamp(0, 1), atol=2**-25, rtol=0)
    assert torch.equal(unit(unit(x)), unit(x))
    assert bool(unit(torch.tensor(torch.nan)).isnan())


def test_luma_is_torchvisions():
    images = pictures()
    gray = TF.rgb_to_grayscale(images)[:, 0]
    torch.testing.assert_close(luma(images.unbind(1)), gray, atol=1e-6, rtol=0)
