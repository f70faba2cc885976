"""geometry: naive loops over pairs, analytic values, and what scale and order must not change."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import geometry
from contrastive_tutorial.metrics.geometry import (
    alignment,
    contrastive_accuracy,
    dot_product_similarity,
    nearest_negative_same_subset,
    own_subset_share,
    rankme,
    uniformity,
)


def views(seed=0, n=12, d=4, noise=0.5):
    rng = np.random.default_rng(seed)
    z0 = rng.normal(size=(n, d))
    return z0, z0 + noise * rng.normal(size=(n, d))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


seeds = st.integers(0, 10_000)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 12))
def test_dot_products_are_the_mean_over_explicit_pairs(seed, n):
    z0, z1 = views(seed, n)
    z = unit(np.concatenate([z0, z1]))
    positive = [z[i] @ z[i + n] for i in range(n)]
    negative = [
        z[i] @ z[j] for i in range(2 * n) for j in range(2 * n) if i != j and i % n != j % n
    ]
    assert len(negative) == 2 * n * (2 * n - 2)
    found = dot_product_similarity(z0, z1)
    assert found.positive == pytest.approx(np.mean(positive))
    assert found.negative == pytest.approx(np.mean(negative), abs=1e-12)


def test_alignment_against_a_loop_and_its_ends():
    z0, z1 = views()
    for alpha in (1.0, 2.0):
        naive = np.mean(
            [np.linalg.norm(u - v) ** alpha for u, v in zip(unit(z0), unit(z1), strict=True)]
        )
        assert alignment(z0, z1, alpha) == pytest.approx(naive)
    assert alignment(z0, 9 * z0) == pytest.approx(0, abs=1e-12)
    assert alignment(z0, -z0) == pytest.approx(4)  # opposite ends of the sphere
    # ||u - v||^2 = 2 - 2 u.v
    assert alignment(z0, z1) == pytest.approx(2 - 2 * dot_product_similarity(z0, z1).positive)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(2, 15), st.floats(0.1, 20))
def test_uniformity_against_a_loop(seed, n, t):
    z = np.random.default_rng(seed).normal(size=(n, 3))
    u = unit(z)
    potentials = [
        math.exp(-t * np.sum((u[i] - u[j]) ** 2)) for i in range(n) for j in range(n) if i != j
    ]
    assert uniformity(z, t) == pytest.approx(math.log(np.mean(potentials)))


def test_uniformity_of_known_embeddings():
    generator = torch.Generator().manual_seed(0)
    on_sphere = torch.randn(2000, 128, generator=generator)
    assert uniformity(on_sphere) == pytest.approx(-3.94, abs=0.01)
    assert uniformity(torch.ones(50, 8)) == pytest.approx(0, abs=1e-6)
    # A ten-way policy code, 200 points at each of ten orthogonal places:
    # a share p of the pairs coincide, the others have squared distance 2.
    p = 199 / 1999
    code = uniformity(torch.eye(10).repeat(200, 1))
    assert code == pytest.approx(math.log(p + (1 - p) * math.exp(-4)), abs=1e-6)
    assert code == pytest.approx(-2.15, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 8), st.integers(1, 3), st.floats(0.1, 5))
def test_uniformity_of_different_images_against_a_loop(seed, images, shown, t):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.repeat(rng.choice(100, images, replace=False), shown))
    z = rng.normal(size=(len(ids), 3))
    u, n = unit(z), len(ids)
    potentials = [
        math.exp(-t * np.sum((u[i] - u[j]) ** 2))
        for i in range(n) for j in range(n) if ids[i] != ids[j]
    ]  # fmt: skip
    assert uniformity(z, t, ids) == pytest.approx(math.log(np.mean(potentials)))
    if shown == 1:
        assert uniformity(z, t, ids) == uniformity(z, t)


def test_uniformity_does_not_underflow():
    assert uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]]), t=1000.0) == pytest.approx(-4000)


def test_rankme_of_known_spectra():
    """128 equal singular values: 128. One of them 100 times the others: 29.9."""
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(300, 128, generator=generator, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(128, 128, generator=generator, dtype=torch.float64))
    spectrum = torch.ones(128, dtype=torch.float64)
    assert rankme(left * spectrum @ right) == pytest.approx(128, abs=0.05)
    spectrum[0] = 100
    assert rankme(left * spectrum @ right) == pytest.approx(29.9, abs=0.1)
    spectrum[8:] = 0
    spectrum[0] = 1
    assert rankme(left * spectrum @ right) == pytest.approx(8, abs=0.01)
    assert rankme(torch.ones(40, 16)) == pytest.approx(1, abs=1e-3)
    assert rankme(torch.zeros(40, 16)) == pytest.approx(1, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 20), st.integers(1, 12))
def test_rankme_is_the_formula_on_the_svd(seed, n, d):
    z = np.random.default_rng(seed).normal(size=(n, d))
    s = np.linalg.svd(z, compute_uv=False)
    p = s / s.sum() + 1e-7
    assert rankme(z) == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert 1 - 1e-4 <= rankme(z) <= min(n, d) + 1e-3


def naive_contrastive(z0, z1):
    """Per anchor, by cosine: is the positive first of all, and who is the nearest negative?"""
    n = len(z0)
    z = unit(np.concatenate([z0, z1]))
    hits, nearest = 0, []
    for i in range(2 * n):
        positive = (i + n) % (2 * n)
        negatives = {j: z[i] @ z[j] for j in range(2 * n) if j not in (i, positive)}
        nearest.append(max(negatives, key=negatives.get))
        hits += z[i] @ z[positive] > max(negatives.values())
    return hits / (2 * n), nearest


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 20))
def test_contrastive_accuracy_and_nearest_negatives_against_a_loop(seed, n):
    z0, z1 = views(seed, n, noise=1.0)
    subsets = np.random.default_rng(seed).integers(0, 3, n)
    accuracy, nearest = naive_contrastive(z0, z1)
    same = np.mean([subsets[j % n] == subsets[i % n] for i, j in enumerate(nearest)])
    assert contrastive_accuracy(z0, z1) == pytest.approx(accuracy)
    assert nearest_negative_same_subset(z0, z1, subsets) == pytest.approx(same)


def test_contrastive_accuracy_at_its_ends():
    z0, _ = views(n=50, d=16)
    assert contrastive_accuracy(z0, z0) == 1.0
    assert contrastive_accuracy(np.eye(4), np.eye(4)) == 1.0
    assert contrastive_accuracy(np.eye(4)[[0] * 4], np.eye(4)[[0] * 4]) == 0.0  # collapse


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.01, 100))
def test_directions_alone_count_and_order_does_not(seed, scale):
    z0, z1 = views(seed, 15)
    order = np.random.default_rng(seed).permutation(15)
    subsets = np.arange(15) % 3

    def everything(a, b, ids):
        return [
            *dot_product_similarity(a, b),
            alignment(a, b),
            uniformity(np.concatenate([a, b])),
            contrastive_accuracy(a, b),
            nearest_negative_same_subset(a, b, ids),
        ]

    base = everything(z0, z1, subsets)
    assert everything(scale * z0, z1 / scale, subsets) == pytest.approx(base)
    assert everything(z0[order], z1[order], subsets[order]) == pytest.approx(base)
    assert everything(z1, z0, subsets) == pytest.approx(base)
    assert rankme(scale * z0) == pytest.approx(rankme(z0), rel=1e-5)
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4))).Q  # a rotation
    assert everything(z0 @ q, z1 @ q, subsets) == pytest.approx(base)
    assert rankme(z0 @ q) == pytest.approx(rankme(z0), rel=1e-5)


def test_blocks_do_not_change_the_result(monkeypatch):
    z0, z1 = views(n=40)
    subsets = np.arange(40) % 4

    def everything():
        return [
            uniformity(z0),
            uniformity(z0, image_ids=subsets),
            contrastive_accuracy(z0, z1),
            nearest_negative_same_subset(z0, z1, subsets),
        ]

    whole = everything()
    monkeypatch.setattr(geometry, "BLOCK_ROWS", 7)
    assert everything() == pytest.approx(whole)


def test_a_single_pair_has_an_alignment():
    assert alignment(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])) == pytest.approx(2.0)


def test_own_subset_share_with_a_mark_without_one_and_along_a_line():
    rng = np.random.default_rng(0)
    marked = np.repeat(np.eye(4), 30, axis=0) + rng.normal(0, 0.01, (120, 4))
    dealt = np.repeat(np.arange(4), 30)
    assert own_subset_share(marked, dealt) == 1
    assert 0.1 < own_subset_share(rng.normal(size=(120, 4)), dealt) < 0.4
    # Neighbours of features that were centred are those of a distance, not of an angle.
    line = np.linspace(-1, 1, 40)[:, None] * np.ones(3)
    assert own_subset_share(line, np.arange(40) // 20) > 0.85
    for features, ids in ((marked[:10], dealt[:10]), (marked, dealt[:5])):
        with pytest.raises(InputError):
            own_subset_share(features, ids)


def test_bad_input():
    z0, z1 = views()
    for metric in (dot_product_similarity, alignment, contrastive_accuracy):
        with pytest.raises(InputError, match="same shape"):
            metric(z0, z1[:-1])
    for metric in (dot_product_similarity, contrastive_accuracy):
        with pytest.raises(InputError, match="at least 2 rows"):
            metric(z0[:1], z1[:1])
    with pytest.raises(InputError, match=r"^image_ids: expected at least two images"):
        uniformity(z0, image_ids=np.zeros(12, int))
    with pytest.raises(InputError, match=r"^image_ids: expected one id for each of the 12 rows"):
        uniformity(z0, image_ids=np.zeros(11, int))
    with pytest.raises(InputError, match=r"^z: expected at least 2 rows"):
        uniformity(z0[:1])
    with pytest.raises(InputError, match="subset_ids: expected one id for each of the 12 images"):
        nearest_negative_same_subset(z0, z1, np.zeros(3, int))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_own_subset_share_depends_on_no_offset_and_no_scale(dtype):
    ids = torch.arange(40) % 2
    rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) * 0.1 + ids[:, None]
    most = 1e22 if dtype == torch.float32 else 1e170
    for scale, offset in ((1.0, 0.0), (1.0, 1e4), (1 / most, 0.0), (most, 0.0)):
        assert own_subset_share(rows.to(dtype) * scale + offset, ids) == 1
