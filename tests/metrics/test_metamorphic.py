"""What must not change, or only change places, when the input is changed in a known way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from contrastive_tutorial.metrics.geometry import alignment, rankme, uniformity
from contrastive_tutorial.metrics.neighbours import knn_accuracy
from contrastive_tutorial.norm.layers import SplitBatchNorm2d

seeds = st.integers(0, 2**16)
few = settings(max_examples=15, deadline=None)


def draw(seed, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def permutation(seed, n):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed + 1))


def layers():
    return [
        nn.BatchNorm2d(3).double(),
        SplitBatchNorm2d(3, 1, dtype=torch.float64),
    ]


@few
@given(seeds)
def test_permuted_batch_is_normalised_to_the_permuted_output(seed):
    x, order = draw(seed, 6, 3, 2, 2), permutation(seed, 6)
    for layer in layers():
        torch.testing.assert_close(layer(x[order]), layer(x)[order])


@few
@given(seeds, st.floats(-50, 50))
def test_constant_per_channel_leaves_the_output(seed, constant):
    x = draw(seed, 6, 3, 2, 2)
    shift = constant * torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64).view(1, 3, 1, 1)
    for layer in [*layers(), SplitBatchNorm2d(3, 2, dtype=torch.float64)]:
        torch.testing.assert_close(layer(x + shift), layer(x), rtol=1e-7, atol=1e-9)


@few
@given(seeds)
def test_halves_with_the_same_values_have_the_statistics_of_the_whole(seed):
    half = draw(seed, 4, 3, 2, 2)
    x = torch.cat([half, half])
    # momentum 1: the running statistics are those of this batch. A running variance is unbiased,
    # n / (n - 1), and a half has n = 16 values per channel where the whole has 32.
    split = SplitBatchNorm2d(3, 2, momentum=1.0, dtype=torch.float64)
    whole = nn.BatchNorm2d(3, momentum=1.0).double()
    torch.testing.assert_close(split(x), whole(x))
    for k in range(2):
        torch.testing.assert_close(split.running_mean[k], whole.running_mean)
        torch.testing.assert_close(split.running_var[k] * 15 / 16, whole.running_var * 31 / 32)


@few
@given(seeds)
def test_rotation_leaves_what_is_measured_by_angles_and_spectrum(seed):
    z0, z1 = draw(seed, 30, 4), draw(seed + 7, 30, 4)
    q = torch.linalg.qr(draw(seed + 9, 4, 4)).Q
    labels = torch.arange(30) % 3
    assert alignment(z0 @ q, z1 @ q) == pytest.approx(alignment(z0, z1), rel=1e-5)
    assert uniformity(z0 @ q) == pytest.approx(uniformity(z0), rel=1e-5)
    assert rankme(z0 @ q) == pytest.approx(rankme(z0), rel=1e-5)
    assert knn_accuracy(z0 @ q, labels, z1 @ q, labels, k=5) == knn_accuracy(
        z0, labels, z1, labels, k=5
    )
