"""metrics: the public names, and the reference features that learned ones are compared with."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from contrastive_tutorial import metrics
from contrastive_tutorial.errors import InputError


def test_every_name_is_there_and_importing_pulls_in_no_slow_library():
    assert all(hasattr(metrics, name) for name in metrics.__all__)
    slow = "{'sklearn', 'scipy', 'umap', 'matplotlib', 'seaborn'}"
    code = f"import sys, contrastive_tutorial.metrics; print(sorted({slow} & set(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert found.stdout.strip() == "[]"


def test_raw_pixels_are_flattened_to_the_unit_interval():
    images = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).to(torch.uint8)
    flat = metrics.raw_pixel_features(images)
    assert flat.shape == (2, 48)
    assert flat.dtype == torch.float32
    torch.testing.assert_close(flat, images.flatten(1).float() / 255)
    torch.testing.assert_close(metrics.raw_pixel_features(images.numpy()), flat)
    floats = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(metrics.raw_pixel_features(floats), floats.flatten(1))
    for bad in (torch.zeros(3, 4, 4), torch.zeros(0, 3, 4, 4)):
        with pytest.raises(InputError, match="images"):
            metrics.raw_pixel_features(bad)
    with pytest.raises(InputError, match=r"^images: expected a tensor or a numeric array"):
        metrics.raw_pixel_features([[["a"]]])


def test_pca_is_fitted_on_train_alone_and_keeps_what_it_can():
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(3, 20))
    train, test = rng.normal(size=(200, 3)) @ basis, rng.normal(size=(50, 3)) @ basis
    a, b = metrics.pca_features(train, test + 5, 3)
    assert a.shape == (200, 3)
    assert b.shape == (50, 3)
    assert a.dtype == b.dtype == torch.float32
    # Three components hold all of a rank-3 set: distances survive, and the mean is train's.
    torch.testing.assert_close(
        torch.pdist(a), torch.pdist(torch.tensor(train)).float(), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(a.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    assert b.mean(0).abs().max() > 0.1
    assert (a.var(0).diff() < 0).all()
    again = metrics.pca_features(torch.tensor(train), torch.tensor(test + 5), 3)
    torch.testing.assert_close(again[1], b)
    assert torch.equal(again[0], a)  # the randomised solver starts from a fixed seed
    assert metrics.pca_features(train, test, 1)[0].shape == (200, 1)
    assert metrics.pca_features(train, test, 20)[0].shape == (200, 20)
    assert metrics.pca_features(rng.normal(size=(130, 140)), test[:, [0] * 140])[1].shape[1] == 128
    for n in (0, 21):
        with pytest.raises(InputError, match="n: expected 1 to 20"):
            metrics.pca_features(train, test, n)


def test_the_randomised_solver_starts_from_seed_zero():
    from sklearn.decomposition import PCA

    train = np.random.default_rng(0).normal(size=(510, 100))  # where scikit-learn draws
    expected = PCA(5, svd_solver="randomized", random_state=0).fit(train).transform(train)
    np.random.seed(5)  # noqa: NPY002 - what scikit-learn would draw from without a seed
    found = metrics.pca_features(train, train, 5)[0]
    assert torch.equal(found, torch.from_numpy(expected).float())


def test_article_metrics_on_one_clustering_span_its_whole_range():
    """One perfect clustering reads as 1.0, as about 0.1, or as 0, by the protocol alone."""
    labels = np.arange(1000) % 10
    clusters = (labels + 1) % 10
    assert metrics.cluster_accuracy(labels, clusters) == 1.0
    assert metrics.purity(labels, clusters) == 1.0
    assert metrics.raw_accuracy(labels, clusters) == 0.0
    clusters = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 9])[labels]
    assert metrics.raw_accuracy(labels, clusters) == pytest.approx(0.2)
