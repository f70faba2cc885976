"""Every loss against loops in floats of Python: generated rows of any length, copies, zeros."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastive_tutorial import losses

many = settings(max_examples=150, deadline=None)
temperatures = st.floats(0.05, 3)
distances = st.sampled_from(["euclidean", "squared", "cosine"])


@st.composite
def rows(draw, n=None, d=None, scaled=True):
    """``(n, d)`` float64: whole numbers, so that rows repeat and vanish, at lengths of any size."""
    n, d = n or draw(st.integers(2, 7)), d or draw(st.integers(1, 4))
    row = st.lists(st.integers(-3, 3), min_size=d, max_size=d)
    values = torch.tensor(draw(st.lists(row, min_size=n, max_size=n)), dtype=torch.float64)
    if not scaled:
        return values / 2
    exponents = draw(st.lists(st.sampled_from([-100, -9, 0, 0, 0, 9, 100]), min_size=n, max_size=n))
    return values * 10.0 ** torch.tensor(exponents, dtype=torch.float64)[:, None]


@st.composite
def batches(draw, count, **options):
    first = draw(rows(**options))
    n, d = first.shape
    return [first, *(draw(rows(n, d, **options)) for _ in range(count - 1))]


def unit(row):
    length = math.hypot(*row)
    return [v / length for v in row] if length else list(row)


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def log_sum_exp(values):
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def prepared(x, normalize):
    return [unit(row) if normalize else row for row in x.tolist()]


@many
@given(st.data(), temperatures, st.booleans())
def test_nt_xent(data, temperature, normalize):
    z0, z1 = data.draw(batches(2, scaled=normalize))
    z, n = prepared(z0, normalize) + prepared(z1, normalize), len(z0)
    expected = 0.0
    for i, row in enumerate(z):
        logits = {j: dot(row, other) / temperature for j, other in enumerate(z) if j != i}
        expected += (log_sum_exp(logits.values()) - logits[(i + n) % (2 * n)]) / (2 * n)
    found = losses.nt_xent(z0, z1, temperature, normalize=normalize)
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@many
@given(st.data(), temperatures, st.booleans(), st.booleans(), st.integers(1, 4))
def test_info_nce(data, temperature, normalize, own, m):
    anchor, positive = data.draw(batches(2, scaled=normalize))
    n, d = anchor.shape
    negatives = data.draw(rows(n * m if own else m, d, scaled=normalize))
    a, p, flat = (prepared(x, normalize) for x in (anchor, positive, negatives))
    expected = 0.0
    for i in range(n):
        against = flat[i * m : (i + 1) * m] if own else flat
        right = dot(a[i], p[i]) / temperature
        expected += (
            log_sum_exp([right, *(dot(a[i], x) / temperature for x in against)]) - right
        ) / n
    if own:
        negatives = negatives.reshape(n, m, d)
    found = losses.info_nce(anchor, positive, negatives, temperature, normalize=normalize)
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def distance(a, b, kind):
    if kind == "cosine":
        return 1 - dot(unit(a), unit(b))
    return math.dist(a, b) ** (2 if kind == "squared" else 1)


@many
@given(st.data(), distances, st.floats(0, 3))
def test_triplet_loss(data, kind, margin):
    three = data.draw(batches(3, scaled=kind == "cosine"))
    each = [
        max(0.0, distance(a, p, kind) - distance(a, n, kind) + margin)
        for a, p, n in zip(*(x.tolist() for x in three), strict=True)
    ]
    found = losses.triplet_loss(*three, margin, distance=kind, reduction="none")
    assert found.tolist() == pytest.approx(each, rel=1e-9, abs=1e-9)
    mean = losses.triplet_loss(*three, margin, distance=kind)
    assert float(mean) == pytest.approx(np.mean(each), rel=1e-9, abs=1e-9)


@many
@given(st.data(), distances)
def test_mined_triplets(data, kind):
    """A margin that no difference of distances hits, so that rounding decides nothing."""
    margin = 0.1 * math.sqrt(7)
    x = data.draw(rows(data.draw(st.integers(3, 7)), scaled=kind == "cosine"))
    labels = data.draw(st.lists(st.integers(-2, 2), min_size=len(x), max_size=len(x)))
    z, index = x.tolist(), range(len(x))
    d = [[distance(a, b, kind) for b in z] for a in z]
    all_of, hardest = [], []
    for i in index:
        near = [d[i][j] for j in index if labels[j] == labels[i] and j != i]
        far = [d[i][j] for j in index if labels[j] != labels[i]]
        all_of += [p - n + margin for p in near for n in far]
        hardest += [max(near) - min(far) + margin] if near and far else []
    for mine, triplets in (
        (losses.batch_all_triplet_loss, all_of),
        (losses.batch_hard_triplet_loss, hardest),
    ):
        active = [loss for loss in triplets if loss > 1e-9]
        found = mine(x, torch.tensor(labels), margin, distance=kind, validate=False)
        assert float(found) == pytest.approx(np.mean(active) if active else 0.0, rel=1e-6, abs=1e-6)


@many
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(0, 3))
def test_kl_of_full_and_diagonal_covariances(seed, d, batch):
    rng = np.random.default_rng(seed)
    mean_p, mean_q = rng.normal(size=(2, batch, d))
    factors = rng.normal(size=(2, batch, d, d))
    cov_p, cov_q = factors @ factors.transpose(0, 1, 3, 2) + 0.1 * np.eye(d)
    expected = []
    for m, s, n, t in zip(mean_p, cov_p, mean_q, cov_q, strict=True):
        inverse = np.linalg.inv(t)
        log_det = np.linalg.slogdet(t)[1] - np.linalg.slogdet(s)[1]
        expected.append(0.5 * (log_det + np.trace(inverse @ s) + (n - m) @ inverse @ (n - m) - d))
    arguments = [torch.from_numpy(x) for x in (mean_p, cov_p, mean_q, cov_q)]
    found = losses.kl_multivariate_normal(*arguments)
    assert found.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    std_p, std_q = (x.diagonal(dim1=-2, dim2=-1).sqrt() for x in arguments[1::2])
    diagonal = losses.kl_diagonal_normal(arguments[0], std_p, arguments[2], std_q)
    one_by_one = [
        math.fsum(
            math.log(t / s) + (s * s + (m - n) ** 2) / (2 * t * t) - 0.5
            for m, s, n, t in zip(*row, strict=True)
        )
        for row in zip(
            *(x.tolist() for x in (arguments[0], std_p, arguments[2], std_q)), strict=True
        )
    ]
    assert diagonal.tolist() == pytest.approx(one_by_one, rel=1e-9, abs=1e-9)


@many
@given(st.data(), st.integers(1, 6))
def test_kl_of_tables(data, outcomes):
    counts = [
        data.draw(st.lists(st.integers(0, 5), min_size=outcomes, max_size=outcomes).filter(any))
        for _ in range(2)
    ]
    p, q = ([c / sum(row) for c in row] for row in counts)
    if any(a and not b for a, b in zip(p, q, strict=True)):
        expected = math.inf
    else:
        expected = math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a)
    found = losses.kl_categorical(
        torch.tensor(p, dtype=torch.float64), torch.tensor(q, dtype=torch.float64)
    )
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-12)
