"""embedding: what UMAP must keep (neighbours, order of points), never its coordinates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.embedding import _turned, embed_records, reduce, umap_embed
from contrastive_tutorial.errors import InputError


def blobs(n=120, d=8, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(0, 6, (classes, d))
    return (centres[labels] + rng.normal(0, 1, (n, d))).astype(np.float32), labels


def test_reduce_keeps_distances_when_nothing_is_left_out():
    x, _ = blobs(d=5)
    kept = reduce(x, 5).astype(np.float64)
    assert reduce(x, 5).dtype == np.float16

    def distances(a):
        return np.linalg.norm(a[:, None] - a[None], axis=-1)

    np.testing.assert_allclose(distances(kept), distances(x), rtol=0.01, atol=0.02)


def test_reduce_orders_components_by_variance_and_is_deterministic():
    x, _ = blobs(d=12)
    kept = reduce(x, 4)
    assert kept.shape == (120, 4)
    spread = kept.astype(float).var(0)
    assert (np.diff(spread) <= 0).all()
    np.testing.assert_array_equal(kept, reduce(x.copy(), 4))
    assert reduce(x[:3], 32).shape == (3, 3)


def test_umap_keeps_neighbours_and_is_deterministic_here():
    from sklearn.manifold import trustworthiness

    x, labels = blobs()
    points = umap_embed(x, seed=1)
    assert points.shape == (120, 2)
    assert points.dtype == np.float32
    assert trustworthiness(x, points, n_neighbors=5) > 0.75
    nearest = ((points[:, None] - points[None]) ** 2).sum(-1) + np.eye(120) * 1e9
    assert (labels[nearest.argmin(1)] == labels).mean() > 0.95
    np.testing.assert_allclose((points**2).sum(1).mean(), 1, rtol=1e-4)
    np.testing.assert_array_equal(points, umap_embed(x, seed=1))


def test_runs_of_the_same_features_lie_on_each_other():
    x, _ = blobs()
    first, second = umap_embed([x, x[:, ::-1].copy()], seed=0)
    unaligned = umap_embed(x[:, ::-1].copy(), seed=5)

    def gap(a, b):
        return np.sqrt(((a - b) ** 2).sum(1).mean())

    assert gap(first, second) < 0.5 * gap(first, unaligned @ np.array([[0, -1], [1, 0]]))


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 6.28), st.booleans())
def test_alignment_undoes_rotation_and_reflection(angle, flip):
    points = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]]) @ np.diag([1, -1 if flip else 1])
    np.testing.assert_allclose(
        _turned((points @ turn).astype(np.float32), points), points, atol=1e-4
    )


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((0, 3)), r"shape \(n, d\)"),
        (np.zeros(5), r"shape \(n, d\)"),
        (np.full((30, 2), np.nan), "NaN"),
        (np.zeros((5, 2)), "n_neighbors"),
        ([np.zeros((30, 2)), np.zeros((31, 2))], "same points"),
        ([], "at least one"),
    ],
)
def test_bad_input(features, message):
    with pytest.raises(InputError, match=message):
        umap_embed(features)


def test_recorded_features_get_their_embeddings(tmp_path):
    from test_records import make

    from contrastive_tutorial.records import load_records

    x, labels = blobs(60)
    arrays = {
        "labels": labels,
        "subsets": labels,
        "features": reduce(x),
        "features_subset": reduce(x),
    }
    for k in (1, 5):
        make("S-P1", num_subsets=k).save(tmp_path, arrays)
    make("B0", seed=1).save(tmp_path)  # without arrays: left out
    written = list(embed_records(load_records(tmp_path)))
    assert [path.name for path in written] == ["S-P1-K1-s0.umap.npz", "S-P1-K5-s0.umap.npz"]
    for record in load_records(tmp_path, cell="S-P1"):
        assert record.arrays()["embedding"].shape == (60, 2)
        assert record.arrays()["embedding_subset"].shape == (60, 2)
    with pytest.raises(InputError, match="--arrays"):
        list(embed_records(load_records(tmp_path, cell="B0")))
