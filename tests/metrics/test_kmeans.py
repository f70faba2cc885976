"""kmeans: from the same starts scikit-learn's result, and starts no worse than its own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from watched import WAITS, Operations

from contrastive_tutorial.metrics import clustering
from contrastive_tutorial.metrics import kmeans as kmeans_module
from contrastive_tutorial.metrics.kmeans import kmeans, lloyd, nearest_centroid, starts


def blobs(centres=5, each=40, dim=3, spread=0.05, seed=0):
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(centres, dim, generator=generator).repeat_interleave(each, 0)
    return middle + spread * torch.randn(len(middle), dim, generator=generator)


def inertia(x, centroids):
    """By the naive loop, in float64."""
    return sum(
        min(float((point - c).square().sum()) for c in centroids.double()) for point in x.double()
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 7), st.integers(0, 60))
def test_lloyd_ends_where_scikit_learn_ends(seed, k, dim, more):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(k + more, dim, generator=generator, dtype=torch.float64)
    x -= x.mean(0)
    first = torch.stack([x[torch.randperm(len(x), generator=generator)[:k]] for _ in range(3)])
    before = first.clone()
    fits = zip(*lloyd(x, first), strict=True)  # side by side, as if each were alone
    assert torch.equal(first, before)
    for start, (found, error) in zip(first, fits, strict=True):
        theirs = KMeans(k, init=start.numpy(), n_init=1).fit(x.numpy())
        assert float(error) == pytest.approx(theirs.inertia_, rel=1e-9, abs=1e-9)
        assert np.allclose(found, theirs.cluster_centers_, atol=1e-7)
        assert np.array_equal(nearest_centroid(x, found), theirs.predict(x.numpy()))
        assert float(error) == pytest.approx(inertia(x, found), rel=1e-9, abs=1e-9)


def test_an_empty_cluster_takes_the_farthest_point_as_in_scikit_learn():
    x = torch.tensor([[0.0], [0.1], [0.2], [9.0], [-9.4]], dtype=torch.float64)
    first = torch.tensor([[0.0], [100.0], [-100.0]], dtype=torch.float64)
    (found,), _ = lloyd(x, first[None])
    theirs = KMeans(3, init=first.numpy(), n_init=1).fit(x.numpy())
    assert np.allclose(found, theirs.cluster_centers_)
    assert sorted(found.flatten().tolist()) == pytest.approx([-9.4, 0.1, 9.0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 3))
def test_empty_clusters_take_the_farthest_points_as_in_scikit_learn(seed, k, empty):
    """From starts of which some are so far away that no point is theirs."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3 * k, 2, generator=generator, dtype=torch.float64)
    x -= x.mean(0)
    first = x[torch.randperm(len(x), generator=generator)[:k]].clone()
    first[:empty] += 1e3
    (found,), (error,) = lloyd(x, first[None])
    theirs = KMeans(k, init=first.numpy(), n_init=1).fit(x.numpy())
    assert float(error) == pytest.approx(theirs.inertia_, rel=1e-9, abs=1e-9)
    assert np.allclose(found, theirs.cluster_centers_, atol=1e-7)


def test_a_gpu_is_asked_every_fifth_iteration(monkeypatch):
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(3))
    asked = []
    means, waits = kmeans_module._means, Operations(*WAITS)

    def unseen(*arguments):
        """What only a CPU asks, whether a cluster is empty, does not count."""
        asked.append(1)
        before = len(waits.seen)
        found = means(*arguments)
        del waits.seen[before:]
        return found

    monkeypatch.setattr(kmeans_module, "_means", unseen)
    with waits:
        lloyd(x - x.mean(0), x[None, :9])
    assert len(asked) > 9
    assert len(waits.seen) == len(asked) / 5


def test_fits_that_have_settled_leave_the_others():
    x = blobs() - blobs().mean(0)
    settled = x[::40]  # a point of every blob
    spread = x[:5]  # five points of one blob: takes longer
    together, _ = lloyd(x, torch.stack([settled, spread, settled]))
    for found, start in zip(together, (settled, spread, settled), strict=True):
        assert torch.allclose(found, lloyd(x, start[None])[0][0], atol=1e-6)


def test_a_start_does_not_depend_on_the_order_of_addition(monkeypatch):
    """A GPU adds a running sum in any order: of whole numbers, every order gives the same."""
    summed = []
    cumsum = torch.Tensor.cumsum
    monkeypatch.setattr(
        torch.Tensor, "cumsum", lambda x, *a, **k: summed.append(x.dtype) or cumsum(x, *a, **k)
    )
    starts(torch.randn(50, 3), 5, torch.Generator(), 2)
    assert summed == [torch.int64] * 4


def test_blobs_are_found_whatever_their_place():
    x = blobs() + 1000
    centroids, error = kmeans(x, 5, seed=3)
    ids = nearest_centroid(x, centroids[error.argmin()])
    assert clustering.cluster_accuracy(torch.arange(5).repeat_interleave(40), ids) == 1


def test_starts_are_as_good_as_those_of_scikit_learn():
    # No structure at all: here starts differ most in where they lead. 30 single fits of each.
    x = torch.randn(600, 8, generator=torch.Generator().manual_seed(1))
    ours = kmeans(x, 10, n_init=30)[1].tolist()
    theirs = [KMeans(10, n_init=1, random_state=s).fit(x.numpy()).inertia_ for s in range(30)]
    spread = (np.var(ours) / 30 + np.var(theirs) / 30) ** 0.5
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * spread


def test_every_fit_is_given_and_the_best_comes_first():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(2))
    centroids, errors = kmeans(x, 8, seed=5, n_init=10)
    assert [float(e) for e in errors] == pytest.approx([inertia(x, c) for c in centroids], rel=1e-5)
    assert len({round(float(error), 3) for error in errors}) > 1
    fits = clustering.cluster_fits(x, x, 8, seed=5, n_init=10, normalize=False)
    for ids, fit in zip(fits, errors.argsort(stable=True), strict=True):
        assert np.array_equal(ids, nearest_centroid(x, centroids[fit]))
    first = clustering.cluster_fits(x, x, 8, seed=5, n_init=10)[0]
    assert np.array_equal(clustering.cluster(x, x, 8, seed=5, n_init=10), first)


def test_a_start_is_drawn_in_proportion_to_squared_distance():
    # One try each with two clusters would be 1/(1 + 9) and 9/(1 + 9): the better of two tries is
    # taken, so the near point is only drawn when both tries hit it.
    x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    first, second = 0, []
    for a, b in starts(x, 2, torch.Generator().manual_seed(0), 4000).flatten(1).tolist():
        if a == 0:
            first += 1
            second.append(b)
    assert first / 4000 == pytest.approx(1 / 3, abs=0.03)
    # Left over: 3 -> 1 from the point at 1, 1 -> 4 from the point at 3. The near one never wins.
    assert second.count(1.0) / len(second) == pytest.approx((1 / 10) ** 2, abs=0.008)


@pytest.mark.parametrize("k", [1, 3, 4])
def test_points_that_are_all_alike(k):
    x = torch.ones(4, 2)
    centroids, _ = kmeans(x, k, n_init=3)
    assert torch.equal(centroids, torch.ones(3, k, 2))
    assert nearest_centroid(x, centroids[0]).tolist() == [0] * 4


def test_the_same_seed_the_same_centroids():
    x = torch.randn(300, 4)
    assert torch.equal(kmeans(x, 8, seed=1, n_init=2)[0], kmeans(x, 8, seed=1, n_init=2)[0])
    assert not torch.equal(kmeans(x, 8, seed=1, n_init=1)[0], kmeans(x, 8, seed=2, n_init=1)[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_what_a_cpu_finds():
    x = blobs(each=400, dim=64)
    assert (
        clustering.cluster_accuracy(
            clustering.cluster(x, x, 5), clustering.cluster(x.cuda(), x.cuda(), 5)
        )
        == 1
    )
