"""views: rows are where the norm layers and the loss expect them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.augment import POLICIES
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study.cells import CELLS, Cell
from contrastive_tutorial.study.views import (
    Layout,
    contrastive_loss,
    layout,
    make_views,
    policies,
    policy_ids,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.booleans())
def test_rows_and_views_are_inverse(groups, per_group, shuffle):
    n = groups * per_group
    order = Layout(n, groups, shuffle)
    first, second = torch.arange(n), torch.arange(n) + 1000
    rows = order.rows(first, second)
    back = order.views(rows)
    assert torch.equal(back[0], first)
    assert torch.equal(back[1], second)


def test_both_views_of_a_subset_lie_in_its_block():
    """The trap of cat([view0, view1]): contiguous groups would split by view, not by subset."""
    subsets = torch.arange(3).repeat_interleave(4)
    order = Layout(12, 3)
    assert order.rows(subsets, subsets).tolist() == [0] * 8 + [1] * 8 + [2] * 8


def test_shuffled_views_share_no_group():
    order = Layout(20, 4, shuffle_views=True)
    image = torch.arange(20)
    groups = order.rows(image, image).view(4, 2, 5)
    for group in groups:
        assert not set(group[0].tolist()) & set(group[1].tolist())


def test_layouts_of_cells():
    assert layout(CELLS["B0"], 500, 10) == Layout(500, 1)
    assert layout(CELLS["S-P1"], 500, 10) == Layout(500, 10)
    assert layout(CELLS["ghost-same-25"], 500, 10) == Layout(500, 20)
    assert layout(CELLS["ghost-shuffle-50"], 500, 10) == Layout(500, 10, True)
    with pytest.raises(InputError, match=r"N = 500 .* K = 7"):
        layout(CELLS["S-P1"], 500, 7)
    with pytest.raises(InputError, match="groups of 50"):
        layout(CELLS["ghost-same-50"], 120, 10)
    with pytest.raises(InputError, match=r"N = 20 .* K = 20 .* no negatives"):
        layout(CELLS["S-P1"], 20, 20)
    assert layout(CELLS["M-P1"], 20, 20) == Layout(20, 20)


def test_policy_rules():
    generator = torch.Generator().manual_seed(0)
    subsets = torch.arange(20).repeat_interleave(50)
    first, second = policy_ids(CELLS["B0"], subsets, generator)
    assert first.unique().tolist() == second.unique().tolist() == [0]
    assert len(policies(CELLS["B0"])) == 1
    first, second = policy_ids(CELLS["S-P1"], subsets, generator)
    assert torch.equal(first, second)
    assert torch.equal(first, subsets % 10)  # with K = 20, subsets 3 and 13 share policy 3
    assert policies(CELLS["S-P1"]) == POLICIES
    first, second = policy_ids(CELLS["X-bn"], subsets, generator)
    assert torch.equal(first, second)
    assert len(first.unique()) == 10
    first, second = policy_ids(CELLS["B2"], subsets, generator)
    assert 0.05 < float((first == second).float().mean()) < 0.16  # independent: 1 in 10


def test_views_of_one_image_differ_and_are_reproducible():
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    subsets = torch.arange(2).repeat_interleave(4)
    order = Layout(8, 2)
    made = [
        make_views(images, subsets, CELLS["S-P1"], order, torch.Generator().manual_seed(4))
        for _ in range(2)
    ]
    assert made[0].shape == (16, 3, 32, 32)
    assert made[0].dtype == torch.float32
    assert torch.equal(made[0], made[1])
    first, second = order.views(made[0])
    assert (first - second).abs().flatten(1).max(1).values.min() > 0


def naive_nt_xent(z, positives, candidates, temperature):
    """Mean over anchors i of -log softmax over candidates(i) at the positive: a plain loop."""
    z = z / z.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(len(z)):
        logits = {j: float(z[i] @ z[j]) / temperature for j in candidates(i) if j != i}
        total -= logits[positives[i]] - math.log(sum(math.exp(v) for v in logits.values()))
    return total / len(z)


@pytest.mark.parametrize("negatives", ["cross", "within"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_loss_against_a_loop_over_rows(negatives, shuffle):
    groups, per_group = 3, 4
    n = groups * per_group
    order = Layout(n, groups, shuffle)
    cell = Cell("x", "P1", negatives, "split", "")
    z = torch.randn(2 * n, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    image = order.rows(torch.arange(n), torch.arange(n)).tolist()
    view = order.rows(torch.zeros(n), torch.ones(n)).tolist()
    where = {(i, v): row for row, (i, v) in enumerate(zip(image, view, strict=True))}
    positives = {row: where[image[row], 1 - view[row]] for row in range(2 * n)}

    def candidates(row):
        if negatives == "cross":
            return range(2 * n)
        return [r for r in range(2 * n) if image[r] // per_group == image[row] // per_group]

    expected = naive_nt_xent(z, positives, candidates, 0.5)
    assert float(contrastive_loss(z, cell, order, 0.5)) == pytest.approx(expected, abs=1e-6)


def test_one_group_makes_within_and_cross_the_same():
    z = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    order = Layout(6, 1)
    cross, within = (
        contrastive_loss(z, Cell("x", "P0", negatives, "bn", ""), order, 0.5)
        for negatives in ("cross", "within")
    )
    assert torch.allclose(cross, within)
