"""probes: scikit-learn's solution of the same problem, chance, and the split by image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import probes
from contrastive_tutorial.metrics.probes import linear_probe, policy_probe, policy_probe_recalls


def problem(seed=0, n=400, m=200, d=6, classes=4, noise=1.0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, d))
    labels, test_labels = np.arange(n) % classes, rng.integers(0, classes, m)
    train = centres[labels] + noise * rng.normal(size=(n, d))
    return train, labels, centres[test_labels] + noise * rng.normal(size=(m, d)), test_labels


def standardized(train, *others):
    return [(x - train.mean(0)) / train.std(0) for x in (train, *others)]


@pytest.mark.parametrize("c", [0.001, 0.1, 10.0])
def test_weights_are_scikit_learns_optimum(c, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    train, labels, _, _ = problem()
    (x,) = standardized(train)
    peer = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(x, labels)
    monkeypatch.setattr(probes, "_MAX_ITER", 1000)
    found = probes._logistic_regression(torch.tensor(x), torch.tensor(labels), 4, c).numpy()
    np.testing.assert_allclose(found[:, :-1], peer.coef_, atol=5e-3)
    # A constant added to every bias changes no probability.
    bias = found[:, -1] - found[:, -1].mean()
    np.testing.assert_allclose(bias, peer.intercept_ - peer.intercept_.mean(), atol=5e-3)


def test_accuracy_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression

    for seed in range(3):
        train, labels, test, test_labels = problem(seed)
        x, x_test = standardized(train, test)
        peer = LogisticRegression(C=1.0, max_iter=1000).fit(x, labels).score(x_test, test_labels)
        found = linear_probe(train, labels, test, test_labels)
        assert found == pytest.approx(peer, abs=1.01 / len(test))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-10, 10))
def test_affine_changes_of_columns_and_new_names_change_nothing(seed, scale, shift):
    train, labels, test, test_labels = problem(seed, noise=0.7)
    base = linear_probe(train, labels, test, test_labels)
    moved = linear_probe(
        train * scale + shift, labels * 5 - 2, test * scale + shift, test_labels * 5 - 2
    )
    assert moved == pytest.approx(base, abs=1.01 / len(test))


def test_columns_that_vary_by_rounding_only_become_zero_everywhere():
    """Blown up to unit variance, rounding of a constant would count like a feature."""
    x = torch.tensor([[1.0, 3.0, 0.0], [2.0, 3.0000002, 0.0], [4.0, 3.0, 0.0]])
    train, test = probes._standardized(x, torch.tensor([[5.0, 3.1, 0.5]]))
    assert train[:, 1:].abs().max() == 0
    assert test[:, 1:].abs().max() == 0
    torch.testing.assert_close(train[:, 0].mean(), torch.tensor(0.0))
    torch.testing.assert_close(train[:, 0].square().mean(), torch.tensor(1.0))


def test_features_that_are_all_zero_say_nothing_whatever_comes_later():
    train, test = probes._standardized(torch.zeros(3, 2), torch.tensor([[1e-3, 5.0]]))
    assert train.abs().max() == test.abs().max() == 0


def test_dead_and_collapsed_columns_are_harmless():
    train, labels, test, test_labels = problem(noise=0.3)
    base = linear_probe(train, labels, test, test_labels)
    # A ReLU that never fires, and a constant whose test value differs by rounding only.
    dead, dead_test = np.zeros((400, 1)), np.zeros((200, 1))
    rounding = 1e-7 * np.random.default_rng(0).normal(size=(400, 1)) + 3
    padded = np.hstack([train, dead, rounding]).astype(np.float32)
    padded_test = np.hstack([test, dead_test, dead_test + 3]).astype(np.float32)
    assert linear_probe(padded, labels, padded_test, test_labels) == pytest.approx(base, abs=0.01)
    collapsed = linear_probe(np.ones((400, 3)), labels, np.ones((200, 3)), np.arange(200) % 4)
    assert collapsed == 0.25


def test_the_probe_works_where_gradients_are_off():
    train, labels, test, test_labels = problem()
    base = linear_probe(train, labels, test, test_labels)
    with torch.no_grad():
        assert linear_probe(torch.tensor(train), labels, test, test_labels) == base
    with torch.inference_mode():
        assert linear_probe(torch.tensor(train), labels, test, test_labels) == base


def policy_views(shift, images=60, policies=10, d=16, seed=0):
    """Every image under every policy; a policy moves its views by ``shift`` along its own axis."""
    rng = np.random.default_rng(seed)
    content = rng.normal(size=(images, d))
    policy = np.repeat(np.arange(policies), images)
    image = np.tile(np.arange(images), policies)
    views = content[image] + 0.3 * rng.normal(size=(len(image), d))
    views[np.arange(len(policy)), policy] += shift
    return views, policy, image


def test_policy_probe_is_chance_without_and_high_with_a_trace():
    assert policy_probe(*policy_views(0.0)) == pytest.approx(0.1, abs=0.06)
    assert policy_probe(*policy_views(20.0)) > 0.95


def test_policy_probe_splits_by_image(monkeypatch):
    """No image is on both sides, all its views are on one, and the seed moves the split."""
    views, policy, image = policy_views(1.0)
    views[:, -1] = image  # so that the split can be read off the features
    seen = []

    def spy(train, train_labels, test, test_labels):
        seen.append((set(train[:, -1].tolist()), set(test[:, -1].tolist()), len(test)))
        return torch.zeros(len(test), dtype=torch.bool)

    monkeypatch.setattr(probes, "linear_probe_hits", spy)
    for seed in (0, 1):
        policy_probe(views, policy, image, seed)
        again = seen.pop()
        policy_probe(views, policy, image, seed)
        assert seen[-1] == again  # the seed decides, and nothing else
    for call in (policy_probe, policy_probe_recalls):
        call(views, policy, image)
        assert seen.pop() == seen[0]  # seed 0, unless told
    for train, test, rows in seen:
        assert not train & test
        assert len(train | test) == 60
        assert rows == 10 * len(test)
    assert [len(test) for _, test, _ in seen] == [30, 30]
    assert seen[0][1] != seen[1][1]


def test_recalls_are_the_hits_of_each_policy(monkeypatch):
    views, policy, image = policy_views(1.0, images=4, policies=3)
    given = []

    def spy(train, train_labels, test, test_labels):
        given.append((train_labels, test_labels))
        return test_labels == torch.tensor([0, 1, 1])[test_labels]  # takes 2 for 1

    monkeypatch.setattr(probes, "linear_probe_hits", spy)
    accuracy, recalls = policy_probe_recalls(views, policy, image)
    assert accuracy == pytest.approx(2 / 3)
    assert recalls == {0: 1.0, 1: 1.0, 2: 0.0}
    # Both sides get the labels of their own rows: two images of each policy.
    assert [sorted(labels.tolist()) for labels in given[0]] == [[0, 0, 1, 1, 2, 2]] * 2
    assert policy_probe(views, policy, image) == accuracy


def test_two_images_are_enough_and_one_policy_to_train_on_is_not():
    traces = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert policy_probe(traces, [0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1]) == 1.0
    with pytest.raises(InputError, match=r"^policy_ids: expected at least two classes"):
        # Whichever image is held out, the other one was shown under one policy alone.
        policy_probe(np.ones((4, 2)), [0, 0, 1, 1], [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": np.zeros(400, int)}, "^train_labels: expected at least two classes"),
        ({"train_labels": np.zeros(3, int)}, "^train_labels: .* each of the 400 train points,"),
        ({"test_labels": np.zeros(3, int)}, "^test_labels: .* each of the 200 test points,"),
        ({"c": 0.0}, "^c: expected a positive number"),
        ({"c": float("nan")}, "^c: expected a positive number"),
        ({"c": float("inf")}, "^c: expected a positive number"),
        ({"test_features": np.ones((200, 5))}, "6 columns"),
    ],
)
def test_bad_input_to_the_linear_probe(change, message):
    names = ("train_features", "train_labels", "test_features", "test_labels")
    with pytest.raises(InputError, match=message):
        linear_probe(**{**dict(zip(names, problem(), strict=True)), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.ones(600)}, "^features: expected features of shape"),
        ({"image_ids": np.zeros(600, int)}, "^image_ids: expected at least two images"),
        (
            {"image_ids": np.zeros(5, int)},
            "^image_ids: expected one id for each of the 600 rows of f",
        ),
        ({"policy_ids": np.zeros(600, int)}, "^policy_ids: expected at least two classes"),
        (
            {"policy_ids": np.zeros(5, int)},
            "^policy_ids: expected one id for each of the 600 rows of f",
        ),
    ],
)
def test_bad_input_to_the_policy_probe(change, message):
    names = ("features", "policy_ids", "image_ids")
    with pytest.raises(InputError, match=message):
        policy_probe(**{**dict(zip(names, policy_views(1.0), strict=True)), **change})


@pytest.mark.parametrize("c", [1e8, 1e30])
def test_dependent_columns_do_not_stop_a_weak_penalty(c):
    x, y = torch.randn(40, 200, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    assert linear_probe(x, y, x, y, c=c) == 1


@pytest.mark.parametrize("other", [1.0, 1e-4, 1e4])
def test_columns_of_unlike_scales_all_count(other):
    rows = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    labels = (rows[:, 0] > 0).long()
    rows = rows * torch.tensor([1.0, other])
    assert linear_probe(rows[:100], labels[:100], rows[100:], labels[100:]) > 0.95


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_columns_of_rounding_alone_do_not_count(dtype):
    """As PCA leaves them, and as float64 copies of float32 features hold them."""
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 3, generator=draw)
    labels = (rows[:, 0] + 0.5 * rows[:, 1] > 0).long()
    noise = 2e-7 * torch.randn(400, 200, generator=draw)
    rows = torch.cat([rows, noise, 1 + noise], 1).to(dtype)
    assert linear_probe(rows[:200], labels[:200], rows[200:], labels[200:]) > 0.95
