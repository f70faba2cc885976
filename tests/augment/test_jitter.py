"""`jitter`: the whole batch in one piece, against torchvision image by image."""

import dataclasses

import pytest
import torch
import torchvision.transforms.v2.functional as TF

from contrastive_tutorial.augment import DEFAULT_POLICY, JITTER, Policy, sample
from contrastive_tutorial.augment.jitter import jitter, luma, unit

STRONG = Policy(
    "strong", jitter=0.7, brightness=(0.0, 2.5), contrast=(0.0, 2.5), saturation=(0.0, 2.5),
    hue=(-0.5, 0.5),
)  # fmt: skip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=240, size=9):
    """Images in [0, 1], a third gray, with black, white and primary pixels."""
    images = torch.rand(count, 3, size, size, generator=seeded())
    images[::3] = images[::3, :1]
    images[:, :, 0, :8] = torch.tensor([[k >> bit & 1 for k in range(8)] for bit in range(3)])
    return images


def drawn(policy, count=240):
    return sample([policy], torch.zeros(count, dtype=torch.int64), seeded())


def jittered(images, params):
    return torch.stack(list(jitter(images.unbind(1), params)), 1)


@pytest.mark.parametrize("policy", [STRONG, DEFAULT_POLICY], ids=lambda p: p.name)
def test_every_image_in_its_own_order_as_torchvision_does_it(policy):
    images, params = pictures(), drawn(policy)
    theirs = []
    for i, image in enumerate(images):
        for name in (JITTER[k] for k in params.order[i]):
            image = getattr(TF, f"adjust_{name}")(image, float(getattr(params, name)[i]))
        theirs.append(image)
    assert len(params.order.unique(dim=0)) == 24
    torch.testing.assert_close(jittered(images, params), torch.stack(theirs), atol=1e-5, rtol=0)


def test_an_image_without_jitter_comes_out_as_it_was():
    images, params = pictures(), drawn(STRONG)
    alone = (params.hue == 0) & (params.brightness == 1)
    assert int(alone.sum()) > 40
    before, after = images[alone], jittered(images, params)[alone]
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)
    assert torch.equal(after == 0, before == 0)
    assert torch.equal(after == 1, before == 1)


@pytest.mark.parametrize("name", JITTER)
def test_one_operation_alone(name):
    """The other three neutral: they must not show."""
    images, params = pictures(), drawn(STRONG)
    neutral = {n: torch.full_like(params.hue, float(n != "hue")) for n in JITTER if n != name}
    params = dataclasses.replace(params, **neutral)
    theirs = [
        getattr(TF, f"adjust_{name}")(image, float(value))
        for image, value in zip(images, getattr(params, name), strict=True)
    ]
    torch.testing.assert_close(jittered(images, params), torch.stack(theirs), atol=5e-6, rtol=0)


def test_unit_clamps():
    x = torch.tensor([-3.0, -1e-9, 0.0, 2**-24, 0.3, 1.0, 1 + 1e-6, 7.0])
    torch.testing.assert_close(unit(x), x.clamp(0, 1), atol=2**-25, rtol=0)
    assert torch.equal(unit(unit(x)), unit(x))
    assert bool(unit(torch.tensor(torch.nan)).isnan())


def test_luma_is_torchvisions():
    images = pictures()
    gray = TF.rgb_to_grayscale(images)[:, 0]
    torch.testing.assert_close(luma(images.unbind(1)), gray, atol=1e-6, rtol=0)
