"""embedding: what UMAP must keep (neighbours, order of points), never its coordinates."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.study import embedding
from contrastive_tutorial.study.embedding import _turned, embed_records, reduce, umap_embed


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


def test_reduce_refuses_what_float16_cannot_hold():
    with pytest.raises(InputError, match="too large for float16"):
        reduce(1e6 * blobs()[0])
    with pytest.raises(InputError, match="dims"):
        reduce(blobs()[0], 0)


@pytest.mark.slow
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


def gap(a, b):
    return np.sqrt(((a - b) ** 2).sum(1).mean())


@pytest.mark.slow
def test_small_changes_of_features_are_small_changes_of_the_picture():
    """A sheet of points; its longer side becomes the shorter, which spins a picture made anew."""
    rng = np.random.default_rng(0)
    sheet = rng.normal(size=(300, 3))
    wide, tall = sheet * [3, 2.4, 0.3], sheet * [2.4, 3, 0.3]
    noisy = wide + rng.normal(0, 0.05, wide.shape)
    runs = umap_embed([wide, wide[:, ::-1], noisy, tall])
    for run in runs[1:3]:
        assert gap(runs[0], run) < 0.45  # of a radius of 1; unrelated pictures are 1.4 apart
    assert gap(runs[0], runs[3]) < 0.5 * gap(runs[0], umap_embed(tall))


@pytest.mark.slow
@pytest.mark.thorough  # UMAP's own search is compiled for it, for ten seconds
def test_exact_neighbours_give_the_picture_that_umap_alone_gives():
    """Handing UMAP the neighbours saves time; its own search finds the same ones."""
    import umap
    from sklearn.manifold import trustworthiness

    x, _ = blobs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = umap.UMAP(n_neighbors=15, min_dist=0.1, random_state=0).fit_transform(x)
    ours = trustworthiness(x, umap_embed(x), n_neighbors=15)
    assert ours == pytest.approx(trustworthiness(x, alone, n_neighbors=15), abs=0.03)


@pytest.mark.slow
def test_torch_computes_with_as_many_threads_as_before(monkeypatch):
    """numba sets others in the first fit of a process only: another test may have had that one."""
    import umap

    before = torch.get_num_threads()

    def fit_transform(model, rows):
        torch.set_num_threads(before + 1)
        raise RuntimeError("stopped")

    monkeypatch.setattr(umap.UMAP, "fit_transform", fit_transform)
    with pytest.raises(RuntimeError, match="stopped"):
        umap_embed(np.eye(16))
    assert torch.get_num_threads() == before


@pytest.mark.slow
def test_a_collapsed_run_in_a_series_is_drawn_and_the_next_one_recovers():
    from sklearn.manifold import trustworthiness

    x, _ = blobs()
    runs = umap_embed([x, np.ones_like(x), x])
    assert all(np.isfinite(run).all() for run in runs)
    assert trustworthiness(x, runs[2], n_neighbors=5) > 0.75


@pytest.mark.slow
def test_small_flat_and_disconnected_features_are_drawn():
    assert umap_embed(np.eye(16)).shape == (16, 2)
    for features in (
        np.arange(40.0)[:, None],
        np.zeros((40, 3)),
        np.repeat(np.eye(8), 10, axis=0),
    ):
        points = umap_embed(features)
        assert np.isfinite(points).all()
        assert len(np.unique(points, axis=0)) > len(points) / 2


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
        ([np.zeros((30, 2)), np.zeros((31, 2))], "same points"),
        ([], "at least one"),
        (np.zeros((15, 2)), "at least 16 points"),
    ],
)
def test_bad_input(features, message):
    with pytest.raises(InputError, match=message):
        umap_embed(features)


def test_bad_settings():
    for seed in (-1, 2**32):
        with pytest.raises(InputError, match=f"seed: expected 0 to 4,294,967,295, got {seed}"):
            umap_embed(np.eye(30), seed)


def test_recorded_features_get_their_embeddings(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "umap_embed", lambda runs, seed: [run[:, :2] for run in runs])
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


@pytest.mark.parametrize(
    "other",
    [
        {"hyperparameters": {"definition": 2}},
        {"hyperparameters": {"test_hash": "b"}},
        {"hyperparameters": {"encoder": "Mine()"}},
        {"data_hash": "f" * 64},
    ],
)
def test_runs_that_do_not_belong_together_are_not_aligned(tmp_path, other):
    x, labels = blobs(60)
    arrays = {"labels": labels, "subsets": labels, "features": reduce(x)}
    make("S-P1", hyperparameters={"test_hash": "a"}).save(tmp_path, arrays)
    make("M-P1", **other).save(tmp_path, arrays)
    with pytest.raises(InputError, match="one series of embeddings mix"):
        list(embed_records(load_records(tmp_path)))


@pytest.mark.slow
def test_noise_in_order_of_labels_does_not_look_like_labels():
    from contrastive_tutorial.metrics import knn_accuracy

    labels = np.repeat(np.arange(4), 150)
    noise = 1 + 1e-9 * np.random.default_rng(0).standard_normal((600, 16))  # float32: all alike
    placed = umap_embed(noise)
    found = knn_accuracy(placed, labels, placed, labels, k=10, temperature=None)
    assert found < 0.45  # itself is one of ten: 0.25 and 0.1 by chance; it was 0.75


def test_features_of_any_float_type_and_with_a_gradient_are_taken():
    plain = torch.randn(30, 4)
    expected = reduce(plain.numpy(), 2)
    for features in (plain.requires_grad_(), plain.detach().double()):
        assert np.array_equal(reduce(features, 2), expected)
    assert reduce(plain.detach().bfloat16(), 2).shape == expected.shape
    with pytest.raises(InputError):
        reduce(np.array([["a", "b"]] * 9), 1)
