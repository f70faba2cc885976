"""clustering: brute force over all maps, peers, chance levels, invariance to names and order."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import clustering
from contrastive_tutorial.metrics.clustering import (
    ari,
    cluster,
    cluster_accuracy,
    cluster_fits,
    nmi,
    purity,
    raw_accuracy,
)

SCORES = (cluster_accuracy, purity, nmi, ari)


def brute_force(labels, clusters):
    """The best one-to-one map of clusters to classes, tried one after the other."""
    classes, groups = np.unique(labels), np.unique(clusters)
    size = max(len(classes), len(groups))
    targets = list(classes) + [None] * (size - len(classes))
    best = 0
    for permutation in itertools.permutations(targets, len(groups)):
        mapping = dict(zip(groups, permutation, strict=True))
        best = max(best, sum(mapping[c] == y for c, y in zip(clusters, labels, strict=True)))
    return best / len(labels)


assignments = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.integers(-3, 2), min_size=n, max_size=n),
    )
)


@settings(max_examples=60, deadline=None)
@given(assignments)
def test_cluster_accuracy_is_the_best_of_all_maps(pair):
    labels, clusters = map(np.array, pair)
    assert cluster_accuracy(labels, clusters) == pytest.approx(brute_force(labels, clusters))


@settings(max_examples=40, deadline=None)
@given(assignments, st.randoms(use_true_random=False))
def test_scores_ignore_cluster_names_and_sample_order(pair, random):
    labels, clusters = map(np.array, pair)
    names = dict(zip(range(-3, 3), random.sample(range(1000), 6), strict=True))
    order = random.sample(range(len(labels)), len(labels))
    renamed = np.array([names[c] for c in clusters])[order]
    for score in SCORES:
        assert score(labels[order], renamed) == pytest.approx(score(labels, clusters)), score


@settings(max_examples=40, deadline=None)
@given(assignments)
def test_purity_is_the_naive_majority_and_bounds_cluster_accuracy(pair):
    labels, clusters = map(np.array, pair)
    naive = sum(max(np.sum(labels[clusters == c] == y) for y in labels) for c in set(clusters))
    assert purity(labels, clusters) == pytest.approx(naive / len(labels))
    assert purity(labels, clusters) >= cluster_accuracy(labels, clusters) - 1e-12


def test_nmi_and_ari_are_scikit_learns():
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 200)
    clusters = np.where(rng.random(200) < 0.6, labels, rng.integers(0, 7, 200))
    for y, c in (
        (labels, clusters),
        (labels, labels),
        (labels, labels * 0),
        (labels * 0, labels),
        (labels * 0, labels * 0),
        (labels[:1], labels[:1]),
        (np.arange(5), np.arange(5)),
    ):
        expected = normalized_mutual_info_score(y, c), adjusted_rand_score(y, c)
        assert (nmi(torch.tensor(y), c), ari(y, torch.tensor(c))) == pytest.approx(
            expected, abs=1e-12
        )  # fmt: skip


def test_nmi_never_exceeds_one():
    rng = np.random.default_rng(0)
    for _ in range(300):
        labels = rng.integers(0, rng.integers(2, 20), rng.integers(2, 60))
        assert nmi(labels, rng.permutation(20)[labels]) <= 1


@pytest.mark.parametrize("scale", [2.0**-90, 1.0, 2.0**90])
def test_the_scale_of_raw_features_does_not_count(scale):
    labels = np.arange(60) % 3
    x = (
        torch.eye(3)[labels] * 4
        + torch.randn(60, 3, generator=torch.Generator().manual_seed(0)) / 4
    )
    assert cluster_accuracy(labels, cluster_fits(x * scale, x * scale, 3, normalize=False)[0]) == 1


def test_more_or_fewer_clusters_than_classes_leave_the_rest_wrong():
    assert cluster_accuracy([0, 0, 1, 1], [7, 7, 3, 7]) == 0.75
    assert cluster_accuracy([0, 1, 2, 3], [5, 5, 5, 5]) == 0.25
    assert cluster_accuracy([0, 0, 0, 0], [1, 2, 3, 4]) == 0.25
    assert purity([0, 0, 0, 0], [1, 2, 3, 4]) == 1.0


def blobs(n=300, d=6, classes=4, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, d))
    labels = np.arange(n) % classes
    return (centres[labels] + noise * rng.normal(size=(n, d))).astype(np.float32), labels


def test_separate_blobs_are_clustered_perfectly_whatever_their_length():
    train, _ = blobs()
    test, labels = blobs(100, seed=1)
    lengths = np.random.default_rng(2).uniform(0.1, 10, (100, 1)).astype(np.float32)
    clusters = cluster(train, test * lengths, 4)
    assert clusters.dtype == np.int64
    assert cluster_accuracy(labels, clusters) == 1.0
    np.testing.assert_array_equal(clusters, cluster(torch.tensor(train), test, 4))


def test_k_means_is_asked_for_what_the_docstring_says(monkeypatch):
    made = []

    def recorded(points, num_clusters, seed, n_init):
        made.append((num_clusters, seed, n_init))
        return points[:num_clusters].repeat(n_init, 1, 1), torch.arange(n_init)

    monkeypatch.setattr(clustering, "kmeans", recorded)
    train, _ = blobs(20)
    assert cluster(train, train, 4).shape == (20,)
    assert cluster_fits(train, train, 4, 7, 3).shape == (3, 20)
    assert made == [(4, 0, 10), (4, 7, 3)]


def test_one_cluster_and_as_many_as_points():
    x = np.eye(3)
    assert cluster(x, x, 1, n_init=1).tolist() == [0, 0, 0]
    assert sorted(cluster(x, x, 3).tolist()) == [0, 1, 2]


def test_test_points_go_to_the_nearest_centroid_of_train_points():
    train, _ = blobs(noise=1.0)
    test, _ = blobs(50, seed=1, noise=1.0)
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    members = cluster(train, train, 3)
    centroids = np.stack([unit[members == k].mean(0) for k in range(3)])
    query = test / np.linalg.norm(test, axis=1, keepdims=True)
    nearest = ((query[:, None] - centroids) ** 2).sum(-1).argmin(1)
    # The last Lloyd step moves centroids by less than the tolerance: allow a point on the border.
    assert (nearest == cluster(train, test, 3)).mean() >= 0.98


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "at least one label"),
        (([0, 1], [0, 1, 2]), "clusters: expected one id for each of the 2 labels"),
        (([[0, 1]], [[0, 1]]), "labels: expected one id for each of the 2 samples, got shape"),
        (([0.5, 1.0], [0, 1]), "integer ids"),
    ],
)
def test_bad_labels(arguments, message):
    for score in (*SCORES, raw_accuracy):
        with pytest.raises(InputError, match=message):
            score(*map(np.array, arguments))


def test_bad_clustering_requests():
    x = np.ones((5, 2))
    with pytest.raises(InputError, match="num_clusters: expected 1 to 5"):
        cluster(x, x, 6)
    with pytest.raises(InputError, match="n_init"):
        cluster(x, x, 2, n_init=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_clusters", 3.0), ("num_clusters", True), ("n_init", 2.5), ("seed", 1.5)],
)
def test_a_number_that_is_not_whole_is_named(name, value):
    rows = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=f"{name}: expected"):
        clustering.cluster(rows, rows, **({"num_clusters": 2} | {name: value}))
