"""`views`: the short ways in give what `sample` and `apply` give."""

import numpy as np
import pytest
import torch
from drawn import seeded
from torch import nn

from contrastive_tutorial.augment import (
    DEFAULT_POLICY,
    Augment,
    Policy,
    apply,
    policy_by_name,
    sample,
    two_views,
)
from contrastive_tutorial.errors import InputError

IMAGES = torch.randint(256, (6, 3, 20, 20), generator=seeded(), dtype=torch.uint8)


def test_two_views_are_one_batch_of_one_policy():
    first, second = two_views(IMAGES, generator=seeded(1))
    params = sample([DEFAULT_POLICY], torch.zeros(12, dtype=torch.int64), seeded(1), size=20)
    assert torch.equal(torch.cat([first, second]), apply(IMAGES.repeat(2, 1, 1, 1), params))
    assert not torch.equal(first, second)
    again = two_views(IMAGES, policy_by_name("weak"), seeded(1))
    assert not torch.equal(again[0], first)
    torch.manual_seed(1)  # without a generator: torch's own
    assert torch.equal(two_views(IMAGES)[0], first)


def test_rows_of_both_views_show_one_image():
    """Under a policy that does nothing they are the image itself."""
    nothing = Policy("nothing", scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0)
    for view in two_views(IMAGES, nothing):
        torch.testing.assert_close(view, IMAGES / 255, atol=1e-6, rtol=0)


def test_the_module_gives_one_view_and_stands_among_others():
    module = Augment(policy_by_name("grayscale"), seeded(2))
    params = sample(
        [policy_by_name("grayscale")], torch.zeros(6, dtype=torch.int64), seeded(2), size=20
    )
    assert torch.equal(module(IMAGES), apply(IMAGES, params))
    assert "grayscale" in repr(module)
    assert not list(module.state_dict())
    assert nn.Sequential(Augment(), nn.Flatten())(IMAGES).shape == (6, 1200)
    assert not torch.equal(module.eval()(IMAGES), IMAGES / 255)


def test_draws_and_steps_compile_in_one_piece():
    """Here with torch's own random numbers, so that both draw the same."""
    module = Augment()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    torch.manual_seed(1)
    views = compiled(IMAGES)
    torch.manual_seed(1)
    torch.testing.assert_close(views, module(IMAGES), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "images",
    [IMAGES[0], np.zeros((2, 3, 8, 8)), [IMAGES], IMAGES[:, :1], IMAGES[..., :9]],
)
@pytest.mark.parametrize("call", [Augment(), two_views])
def test_what_is_no_batch_of_images_is_named(call, images):
    with pytest.raises(InputError, match=r"^images must be a tensor of shape \(B, 3, S, S\)"):
        call(images)
