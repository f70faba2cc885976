"""Every metric against loops in Python's floats, on generated input with ties, copies and zeros."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial import metrics
from contrastive_tutorial.metrics.kmeans import nearest_centroid

many = settings(max_examples=200, deadline=None)
some = settings(max_examples=80, deadline=None)
seeds = st.integers(0, 2**31)


@st.composite
def partitions(draw):
    n = draw(st.integers(1, 30))
    ids = st.integers(-4, 4)
    return [draw(st.lists(ids, min_size=n, max_size=n)) for _ in range(2)]


def entropy(ids):
    shares = [count / len(ids) for count in Counter(ids).values()]
    return -math.fsum(p * math.log(p) for p in shares)


@many
@given(partitions())
def test_nmi_is_its_entropies(pair):
    y, c = pair
    h_y, h_c, joint = entropy(y), entropy(c), entropy(list(zip(y, c, strict=True)))
    shared = max(0.0, h_y + h_c - joint)
    expected = shared / ((h_y + h_c) / 2) if h_y + h_c else 1.0
    assert metrics.nmi(np.array(y), np.array(c)) == pytest.approx(expected, abs=1e-9)


@many
@given(partitions())
def test_ari_is_its_pairs(pair):
    y, c = pair
    pairs = list(combinations(range(len(y)), 2))
    same_y = sum(y[i] == y[j] for i, j in pairs)
    same_c = sum(c[i] == c[j] for i, j in pairs)
    both = sum(y[i] == y[j] and c[i] == c[j] for i, j in pairs)
    chance = same_y * same_c / len(pairs) if pairs else 0.0
    most = (same_y + same_c) / 2
    # Nothing to gain over chance: both are one cluster, or both leave every sample alone.
    expected = 1.0 if most == chance else (both - chance) / (most - chance)
    assert metrics.ari(np.array(y), np.array(c)) == pytest.approx(expected, abs=1e-9)


@many
@given(partitions())
def test_raw_accuracy_is_a_count(pair):
    y, c = pair
    expected = sum(a == b for a, b in zip(y, c, strict=True)) / len(y)
    assert metrics.raw_accuracy(np.array(y), np.array(c)) == pytest.approx(expected)


@st.composite
def points(draw, rows=None):
    """Rows of small whole numbers: many are equal, some are zero."""
    n = rows or draw(st.integers(2, 14))
    d = draw(st.integers(1, 4))
    row = st.lists(st.integers(-2, 2), min_size=d, max_size=d)
    return np.array(draw(st.lists(row, min_size=n, max_size=n)), dtype=float)


def cosine(a, b):
    lengths = math.hypot(*a) * math.hypot(*b)
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


@many
@given(st.data(), st.integers(2, 10))
def test_retrieval_counts_only_a_single_best(data, n):
    a = data.draw(points(n))
    b = np.array(data.draw(st.permutations(a.tolist())))
    hits = tied = 0
    for i in range(n):
        similar = [round(cosine(a[i], row), 9) for row in b]
        best = similar[i] == max(similar)
        hits += best and similar.count(similar[i]) == 1
        tied += best and similar.count(similar[i]) > 1
    found = metrics.retrieval_top1(torch.tensor(a), torch.tensor(b))
    # Rounding may break a tie either way.
    assert hits / n - 1e-12 <= found <= (hits + tied) / n + 1e-12


@many
@given(points(), st.integers(1, 6), seeds)
def test_neighbours_are_the_most_similar(x, k, seed):
    queries = np.random.default_rng(seed).integers(-2, 3, (3, x.shape[1])).astype(float)
    k = min(k, len(x))
    similarity, index = metrics.nearest_neighbours(x, queries, k)
    for query, values, chosen in zip(queries, similarity.tolist(), index.tolist(), strict=True):
        every = sorted((cosine(query, row) for row in x), reverse=True)
        assert values == pytest.approx(every[:k], abs=1e-9)
        assert [cosine(query, x[i]) for i in chosen] == pytest.approx(values, abs=1e-9)
        assert len(set(chosen)) == k


@many
@given(points(), st.floats(0.1, 4), seeds)
def test_alignment_is_a_mean_of_distances(x, alpha, seed):
    y = x[np.random.default_rng(seed).permutation(len(x))]
    total = []
    for a, b in zip(x, y, strict=True):
        unit = [row / math.hypot(*row) if row.any() else row for row in (a, b)]
        total.append(math.dist(*unit) ** alpha)
    assert metrics.alignment(x, y, alpha) == pytest.approx(np.mean(total), abs=1e-9)


@many
@given(points(), points(rows=3))
def test_every_point_goes_to_its_nearest_centroid(x, centroids):
    d = min(x.shape[1], centroids.shape[1])
    x, centroids = x[:, :d], centroids[:, :d]
    chosen = nearest_centroid(torch.tensor(x), torch.tensor(centroids)).tolist()
    for row, k in zip(x, chosen, strict=True):
        distances = [math.dist(row, c) for c in centroids]
        assert distances[k] == pytest.approx(min(distances), abs=1e-7)


@some
@given(seeds, st.integers(2, 40), st.integers(1, 6), st.integers(2, 4))
def test_a_clustering_is_a_partition_by_the_nearest_mean(seed, n, d, k):
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(n + k, d)), rng.normal(size=(7, d))
    clusters = metrics.cluster(train, test, k, seed % 2**32, n_init=1)
    assert clusters.shape == (7,)
    assert set(clusters) <= set(range(k))
    again = metrics.cluster(train, np.concatenate([test, train]), k, seed % 2**32, n_init=1)
    assert np.array_equal(again[:7], clusters)  # a point does not see the other points
    lengths = 2.0 ** rng.integers(-30, 30, (7, 1))
    assert np.array_equal(metrics.cluster(train, test * lengths, k, seed % 2**32, 1), clusters)


@some
@given(seeds, st.integers(1, 4), st.integers(2, 4))
def test_a_probe_ends_where_its_objective_is_flat(seed, d, classes):
    """The gradient of the objective in numpy, at the weights found: all of it is zero."""
    from contrastive_tutorial.metrics import probes

    rng = np.random.default_rng(seed)
    n, c = 30, 10.0 ** rng.integers(-2, 2)
    x, y = rng.normal(size=(n, d)), np.arange(n) % classes
    start = torch.zeros(classes, d + 1, dtype=torch.float64)
    found = probes._logistic_regression(torch.tensor(x), torch.tensor(y), classes, c, start).numpy()
    weight, bias = found[:, :-1], found[:, -1]
    logits = x @ weight.T + bias
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    residual = (p - np.eye(classes)[y]) / n
    gradient = residual.T @ x + weight / (c * n)
    assert abs(gradient).max() < 1e-4
    assert abs(residual.sum(0)).max() < 1e-4
