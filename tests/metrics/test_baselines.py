"""Reference features that learned ones are compared with."""

import pytest
import torch

from contrastive_tutorial import metrics
from contrastive_tutorial.errors import InputError


def images(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    basis = torch.rand(3, 2 * 4 * 4, generator=torch.Generator().manual_seed(1))
    return (torch.rand(n, 3, generator=generator) @ basis).reshape(n, 2, 4, 4)


def test_raw_directions_keep_cosines_and_centred_ones_distances():
    train, test = images(200), images(50, seed=2) + 0.1  # of rank 3, and one more
    a, b = metrics.pixel_features(train, test, 4, centred=False)
    assert (a.shape, b.shape, a.dtype, b.dtype) == ((200, 4), (50, 4), *[torch.float32] * 2)
    torch.testing.assert_close(a @ a.T, train.flatten(1) @ train.flatten(1).T)
    a, b = metrics.pixel_features(train, test, 3, centred=True)
    torch.testing.assert_close(torch.pdist(a), torch.pdist(train.flatten(1)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(a.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    assert b.mean(0).abs().max() > 0.1  # the mean is train's
    assert (a.var(0).diff() < 0).all()
    covariance = torch.cov(a.T)
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-4 * covariance.max()
    again = metrics.pixel_features(train, test[:7], 3, centred=True)
    assert torch.equal(again[0], a)  # the randomised solver starts from a fixed seed
    assert torch.allclose(again[1], b[:7], atol=1e-6)


def test_directions_are_as_many_as_there_can_be_and_bytes_count_from_0_to_1():
    train = (255 * images(10)).clamp(0, 255).to(torch.uint8)
    a, b = metrics.pixel_features(train, train[:4], 128, centred=False)
    assert (a.shape, b.shape) == ((10, 10), (4, 10))
    torch.testing.assert_close(a.norm(dim=1), (train.flatten(1).float() / 255).norm(dim=1))
    torch.testing.assert_close(metrics.pixel_features(train.numpy(), train, 128, False)[0], a)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": torch.zeros(3, 4, 4)}, "^train_images: expected a non-empty"),
        ({"test_images": torch.zeros(0, 2, 4, 4)}, "^test_images: expected a non-empty"),
        ({"test_images": torch.zeros(5, 2, 4, 5)}, "^test_images: expected images of shape"),
        ({"train_images": [[["a"]]]}, "^train_images: expected a tensor or a numeric array"),
        ({"n": 0}, "^n: expected at least 1"),
    ],
)
def test_bad_images(change, message):
    good = {"train_images": images(9), "test_images": images(5), "n": 2, "centred": False}
    with pytest.raises(InputError, match=message):
        metrics.pixel_features(**good | change)
