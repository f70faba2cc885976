"""neighbours: against a loop over test points, scikit-learn, and what must not change the vote."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.metrics import neighbours
from contrastive_tutorial.metrics.neighbours import (
    knn_accuracies,
    knn_accuracy,
    nearest_neighbours,
    retrieval_top1,
)


def problem(seed=0, n=120, m=50, d=5, classes=4, noise=1.0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, d))
    labels, test_labels = rng.integers(0, classes, n), rng.integers(0, classes, m)
    labels[:classes] = np.arange(classes)
    train = centres[labels] + noise * rng.normal(size=(n, d))
    return train, labels, centres[test_labels] + noise * rng.normal(size=(m, d)), test_labels


def naive_knn(train, labels, test, test_labels, k, temperature):
    """One test point at a time, votes collected in a dictionary."""
    hits = 0
    for x, truth in zip(test, test_labels, strict=True):
        similar = [x @ t / np.linalg.norm(x) / np.linalg.norm(t) for t in train]
        votes = dict.fromkeys(sorted(set(labels)), 0.0)
        for i in sorted(range(len(train)), key=lambda i: -similar[i])[:k]:
            votes[labels[i]] += 1.0 if temperature is None else np.exp(similar[i] / temperature)
        hits += max(votes, key=votes.get) == truth  # the first of equals: the smallest id
    return hits / len(test)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 120), st.sampled_from([None, 0.05, 0.1, 0.5, 10.0]))
def test_knn_is_the_naive_vote(seed, k, temperature):
    data = problem(seed)
    assert knn_accuracy(*data, k=k, temperature=temperature) == naive_knn(*data, k, temperature)


def test_plain_vote_is_scikit_learns_cosine_classifier():
    from sklearn.neighbors import KNeighborsClassifier

    train, labels, test, test_labels = problem(3)
    peer = KNeighborsClassifier(10, metric="cosine").fit(train, labels)
    found = knn_accuracy(train, labels, test, test_labels, 10, None)
    assert found == pytest.approx(peer.score(test, test_labels))


def test_tied_votes_go_to_the_smallest_class_id():
    train, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([9, 4])
    test = np.array([[1.0, 0.9]])  # nearer to class 9, but both vote once
    assert knn_accuracy(train, labels, test, np.array([4]), 2, None) == 1.0
    assert knn_accuracy(train, labels, test, np.array([9]), 2, 0.1) == 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_knn_ignores_scale_order_and_names(seed):
    train, labels, test, test_labels = problem(seed)
    rng = np.random.default_rng(seed)
    base = knn_accuracy(train, labels, test, test_labels, 20)
    scaled = train * rng.uniform(0.1, 10, (len(train), 1))
    assert knn_accuracy(scaled, labels, test * 7, test_labels, 20) == base
    order = rng.permutation(len(train))
    assert knn_accuracy(train[order], labels[order], test, test_labels, 20) == base
    assert knn_accuracy(train, 3 * labels - 50, test, 3 * test_labels - 50, 20) == base


def test_blocks_do_not_change_the_result(monkeypatch):
    data = problem(1)
    whole = [knn_accuracy(*data, k=7), retrieval_top1(data[0], data[0][::-1].copy())]
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 7)
    assert whole == [knn_accuracy(*data, k=7), retrieval_top1(data[0], data[0][::-1].copy())]


def test_several_protocols_share_one_search():
    data = problem(2)
    protocols = [(5, None), (100, 0.1), (1, 0.5)]
    assert knn_accuracies(*data, protocols) == [knn_accuracy(*data, k, t) for k, t in protocols]


def test_small_temperatures_do_not_overflow():
    """As T goes to 0 only the nearest neighbour counts: 1-NN, in float32 too."""
    train, labels, test, test_labels = problem(4)
    cold = knn_accuracy(train.astype(np.float32), labels, test, test_labels, 50, 1e-4)
    assert cold == knn_accuracy(train, labels, test, test_labels, 1)


def test_nearest_neighbours_are_sorted_and_exact():
    train, _, test, _ = problem(5)
    similarity, index = nearest_neighbours(torch.tensor(train), test, 9)
    expected = torch.nn.functional.cosine_similarity(
        torch.tensor(test)[:, None], torch.tensor(train)[None], dim=-1
    )
    torch.testing.assert_close(expected.gather(1, index), similarity)
    assert (similarity.diff(dim=1) <= 0).all()
    assert similarity[:, -1].ge(expected.sort(descending=True).values[:, 9]).all()


def test_a_class_that_only_the_test_set_has_is_always_wrong():
    train, labels, test, _ = problem(6)
    assert knn_accuracy(train, labels, test, np.full(len(test), 77), 5) == 0.0


@pytest.mark.parametrize("rows", [512, 16])  # in one block, and in blocks of which one is short
def test_retrieval_against_a_loop_and_its_ends(monkeypatch, rows):
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", rows)
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 6))
    b = a + 0.8 * rng.normal(size=(40, 6))
    unit = b / np.linalg.norm(b, axis=1, keepdims=True)
    naive = np.mean([(unit @ row).argmax() == i for i, row in enumerate(a)])
    assert retrieval_top1(a, b) == pytest.approx(naive)
    assert 0 < naive < 1
    with pytest.raises(InputError, match=r"^a and b: expected the same shape"):
        retrieval_top1(a, b[:39])
    assert retrieval_top1(a, 5 * a) == 1.0
    assert retrieval_top1(a, np.ones((40, 6))) == 0.0  # all tied: nothing was found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 121}, "k: expected 1 to 120"),
        ({"k": 0}, "at least 1 neighbour"),
        ({"temperature": 0}, "temperature: expected a positive number"),
        ({"temperature": float("nan")}, "temperature"),
        ({"train_labels": np.zeros(120, int)}, "^train_labels: expected at least two classes"),
        ({"train_labels": np.zeros(119, int)}, "^train_labels: .* each of the 120 train points,"),
        ({"test_labels": np.zeros(3, int)}, "^test_labels: .* each of the 50 test points,"),
        ({"train_features": np.zeros((0, 5))}, "at least 1 rows"),
    ],
)
def test_bad_input(change, message):
    names = ("train_features", "train_labels", "test_features", "test_labels")
    arguments = {**dict(zip(names, problem(), strict=True)), "k": 5, **change}
    with pytest.raises(InputError, match=message):
        knn_accuracy(**arguments)


def test_no_protocol_is_refused():
    with pytest.raises(InputError, match="protocols"):
        knn_accuracies(*problem(), [])


@pytest.mark.parametrize(
    ("name", "value"), [("k", 2.5), ("k", True), ("k", "3"), ("temperature", "a")]
)
def test_what_is_no_number_of_neighbours_or_no_temperature_is_named(name, value):
    rows, labels = torch.eye(6), torch.arange(6) % 2
    with pytest.raises(InputError, match=f"{name}: expected"):
        neighbours.knn_accuracy(rows, labels, rows, labels, **{name: value})
