"""Grouping of rows and moments: what the norm layers are made of."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.norm.kernels import (
    Groups,
    grouped_normalize,
    pool_moments,
    row_moments,
    shuffled_order,
)

GROUPINGS = ("contiguous", "interleaved", "shuffled")


def split_mix_64(counter):
    """Steele et al. 2014 in unbounded integers, cut to 64 bits; read as signed at the end."""
    z = counter % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    z ^= z >> 31
    return z - 2**64 if z >= 2**63 else z


@pytest.mark.parametrize("step", [0, 1, 2, 1000, 2**40])
def test_shuffled_order_sorts_the_hashes_of_counters(step):
    batch = 200
    hashes = [split_mix_64(i + (step + 1) * 0x9E3779B97F4A7C15) for i in range(batch)]
    expected = sorted(range(batch), key=hashes.__getitem__)
    assert shuffled_order(batch, torch.tensor(step)).tolist() == expected


def group_ids(batch, groups, grouping, order):
    """Group of every row, from the definitions."""
    rows = torch.arange(batch)
    if grouping == "contiguous":
        return rows // (batch // groups)
    if grouping == "interleaved":
        return rows % groups
    assert order is not None
    ids = torch.empty(batch, dtype=torch.int64)
    ids[order] = torch.arange(batch) // (batch // groups)
    return ids


@settings(deadline=None, max_examples=40)
@given(
    groups=st.integers(1, 5),
    each=st.integers(1, 5),
    grouping=st.sampled_from(GROUPINGS),
    step=st.integers(0, 2**40),
)
def test_groups_and_rows_are_inverse(groups, each, grouping, step):
    batch = groups * each
    order = shuffled_order(batch, torch.tensor(step)) if grouping == "shuffled" else None
    how = Groups(groups, 0.0, False, grouping, order)
    rows = torch.arange(batch)[:, None]
    gathered = how.gather(rows)
    ids = group_ids(batch, groups, grouping, order)
    for k in range(groups):
        assert set(gathered[k, :, 0].tolist()) == set(torch.nonzero(ids == k).flatten().tolist())
    spread = how.spread(torch.arange(groups)[:, None], rows)
    assert spread[:, 0].tolist() == ids.tolist()


def test_shuffled_order_is_a_fair_permutation_of_the_step():
    batch, groups, steps = 12, 3, 3000
    orders = torch.stack([shuffled_order(batch, torch.tensor(t)) for t in range(steps)])
    assert torch.equal(orders.sort(1).values, torch.arange(batch).expand(steps, batch))
    assert torch.equal(orders[7], shuffled_order(batch, torch.tensor(7)))
    # Every row takes every place equally often: chi-squared with 11 x 11 degrees of freedom.
    counts = torch.stack([(orders == row).sum(0) for row in range(batch)]).double()
    expected = steps / batch
    chi2 = ((counts - expected).square() / expected).sum().item()
    assert 70 < chi2 < 185  # central 99.98% interval of chi-squared(121)
    # Two given rows share a group with probability (4 - 1) / (12 - 1).
    ids = torch.empty_like(orders).scatter_(
        1, orders, (torch.arange(batch) // (batch // groups)).expand(steps, batch)
    )
    together = (ids[:, 0] == ids[:, 5]).double().mean().item()
    assert abs(together - 3 / 11) < 5 * (3 / 11 * 8 / 11 / steps) ** 0.5


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4), (torch.bfloat16, 1e-3)]
)
def test_row_moments_match_float64(on_cpu, dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(4, 3, 5, 6, generator=generator, dtype=torch.float64) * 0.3 + 3).to(dtype)
    mean, var, _ = row_moments(x, [2, 3], on_cpu)
    assert mean.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(mean.double(), x.double().mean((2, 3)), rtol=tolerance, atol=0)
    torch.testing.assert_close(
        var.double(), x.double().var((2, 3), correction=0), rtol=tolerance, atol=0
    )


@pytest.mark.parametrize("on_cpu", [True, False])
def test_row_moments_of_a_single_row(on_cpu):
    x = torch.tensor([[[1.0, 3.0]]], dtype=torch.bfloat16)
    mean, var, _ = row_moments(x, [2], on_cpu)
    assert (float(mean), float(var)) == (2, 1)


def test_pooled_moments_are_those_of_all_values():
    x = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = (
        x * torch.tensor([1.0, 5.0, 0.1])[:, None, None]
        + torch.tensor([0.0, -4.0, 9.0])[:, None, None]
    )
    mean, var = pool_moments(x.mean(1), x.var(1, correction=0), dim=0)
    everything = x.flatten(0, 1)
    torch.testing.assert_close(mean, everything.mean(0))
    torch.testing.assert_close(var, everything.var(0, correction=0))


@settings(deadline=None, max_examples=80)
@given(
    groups=st.integers(1, 4),
    each=st.integers(1, 4),
    channels=st.integers(1, 3),
    spatial=st.sampled_from([(), (3,), (2, 3)]),
    grouping=st.sampled_from(GROUPINGS),
    affine=st.sampled_from([None, "shared", "split"]),
    pooled=st.booleans(),
    seed=st.integers(0, 1000),
    compiling=st.booleans(),
)
def test_forward_and_backward_match_autograd(
    groups, each, channels, spatial, grouping, affine, pooled, seed, compiling
):
    """By hand and as it is compiled, against formulas row by row, differentiated by autograd."""
    batch, eps = groups * each, 1e-2
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape):
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        return values.requires_grad_()

    x = leaf(batch, channels, *spatial)
    weight = bias = None
    inputs = [x]
    if affine is not None:
        rows = groups if affine == "split" else 1
        weight, bias = leaf(rows, channels), leaf(rows, channels)
        inputs += [weight, bias]
    order = shuffled_order(batch, torch.tensor(seed)) if grouping == "shuffled" else None
    with mock.patch("torch.compiler.is_compiling", return_value=compiling):
        how = Groups(groups, eps, pooled, grouping, order)
        y, mean, var = grouped_normalize(x, weight, bias, how)
    assert not mean.requires_grad  # statistics are for remembering
    assert not var.requires_grad

    ids = group_ids(batch, groups, grouping, order)
    expected = torch.empty_like(x)
    for k in range(groups):
        own = x if pooled else x[ids == k]
        flat = own.transpose(0, 1).flatten(1)
        mu, v = flat.mean(1), flat.var(1, correction=0)
        row = 0 if mean.shape[0] == 1 else k
        torch.testing.assert_close(mean[row], mu.detach())
        torch.testing.assert_close(var[row], v.detach())
        shape = (1, channels) + (1,) * len(spatial)
        out = (x[ids == k] - mu.view(shape)) / (v + eps).sqrt().view(shape)
        if weight is not None and bias is not None:
            r = min(k, weight.shape[0] - 1)
            out = out * weight[r].view(shape) + bias[r].view(shape)
        expected[ids == k] = out
    torch.testing.assert_close(y, expected)
    upstream = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    ours = torch.autograd.grad(y, inputs, upstream)
    theirs = torch.autograd.grad(expected, inputs, upstream)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
