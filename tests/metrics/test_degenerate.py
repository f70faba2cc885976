"""Every metric on input that is barely input: one point of view a test, all metrics in each."""

import math

import numpy as np
import pytest
import torch

from contrastive_tutorial import metrics
from contrastive_tutorial.errors import InputError

N, D, CLASSES = 24, 4, 3
LABELS = np.arange(N) % CLASSES

#: Of features ``(N, D)`` and the labels above: value, least, most.
OF_FEATURES = {
    "knn": (lambda x, y: metrics.knn_accuracy(x, y, x, y, k=5), 0, 1),
    "knn, plain": (lambda x, y: metrics.knn_accuracy(x, y, x, y, 5, None), 0, 1),
    "probe": (lambda x, y: metrics.linear_probe(x, y, x, y), 0, 1),
    "policy probe": (lambda x, y: metrics.policy_probe(x, y, np.arange(len(y)) // CLASSES), 0, 1),
    "cluster": (lambda x, y: metrics.cluster_accuracy(y, metrics.cluster(x, x, 3, n_init=1)), 0, 1),
    "alignment": (lambda x, y: metrics.alignment(x, x), 0, 4),
    "uniformity": (lambda x, y: metrics.uniformity(x), -8, 1e-6),
    "uniformity of images": (lambda x, y: metrics.uniformity(x, image_ids=y), -8, 1e-6),
    "rankme": (lambda x, y: metrics.rankme(x), 1 - 1e-5, D + 1e-3),
    "positive": (lambda x, y: metrics.dot_product_similarity(x, x).positive, -1 - 1e-6, 1 + 1e-6),
    "negative": (lambda x, y: metrics.dot_product_similarity(x, x).negative, -1 - 1e-6, 1 + 1e-6),
    "contrastive": (lambda x, y: metrics.contrastive_accuracy(x, x), 0, 1),
    "nearest negative": (lambda x, y: metrics.nearest_negative_same_subset(x, x, y), 0, 1),
    "retrieval": (lambda x, y: metrics.retrieval_top1(x, x), 0, 1),
}
#: Of labels and clusters.
OF_LABELS = {
    "cluster accuracy": metrics.cluster_accuracy,
    "purity": metrics.purity,
    "nmi": metrics.nmi,
    "ari": metrics.ari,
    "raw": metrics.raw_accuracy,
}
#: Those that do not look at directions alone.
LENGTHS_COUNT = {"probe", "policy probe", "rankme"}


def features(seed=0, dtype=torch.float32):
    centres = 2 * torch.eye(D)[:CLASSES]
    noise = torch.randn(N, D, generator=torch.Generator().manual_seed(seed))
    return (centres[torch.from_numpy(LABELS)] + noise).to(dtype)


@pytest.fixture(params=OF_FEATURES)
def metric(request):
    return request.param, *OF_FEATURES[request.param]


BARELY = {
    "all alike": torch.ones(N, D),
    "all zero": torch.zeros(N, D),
    "some rows zero": features() * (torch.arange(N) % 4 > 0)[:, None],
    "four points, six times each": features()[torch.arange(N) // 6],
    "one column": features()[:, :1],
    "alike but for rounding": torch.ones(N, D) + 1e-7 * features(),
    "ties everywhere": torch.eye(D)[torch.arange(N) % D] * -1.0,
    "huge": features() * 1e30,
    "tiny": features() * 1e-30,
    "huge, float64": features(dtype=torch.float64) * 1e200,
    "tiny, float64": features(dtype=torch.float64) * 1e-200,
}


def test_a_number_in_range_without_a_warning(metric, recwarn):
    _, call, least, most = metric
    for name, x in BARELY.items():
        value = call(x, LABELS)
        assert type(value) is float, name
        assert least <= value <= most, name
        assert not recwarn.list, name


def test_the_scale_of_the_features_does_not_count(metric):
    _, call, *_ = metric
    for dtype, exponents in ((torch.float32, (-90, -50, 50, 90)), (torch.float64, (-600, 600))):
        x = features(dtype=dtype)
        value = call(x, LABELS)
        for exponent in exponents:
            assert call(x * 2.0**exponent, LABELS) == pytest.approx(value, abs=1e-5), exponent


@pytest.mark.parametrize("name", sorted(set(OF_FEATURES) - LENGTHS_COUNT))
def test_nor_does_the_length_of_a_row_where_directions_are_compared(name):
    call = OF_FEATURES[name][0]
    lengths = 2.0 ** torch.linspace(-90, 90, N).round()[:, None]
    assert call(features() * lengths, LABELS) == pytest.approx(call(features(), LABELS), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_and_container_do_not_count(metric, dtype):
    _, call, *_ = metric
    x = features().bfloat16().to(torch.float16).float()  # what each of the dtypes can hold
    value = call(x, LABELS)
    narrow = x.to(dtype)
    assert call(narrow, LABELS) == pytest.approx(value, abs=1e-5)
    assert call(narrow.clone().requires_grad_(), LABELS) == call(narrow, LABELS)
    if dtype != torch.bfloat16:
        assert call(narrow.numpy(), LABELS) == call(narrow, LABELS)
        big_endian = narrow.numpy().astype(narrow.numpy().dtype.newbyteorder(">"))
        assert call(big_endian, LABELS) == call(narrow, LABELS)
        read_only = narrow.numpy().copy()
        read_only.flags.writeable = False
        assert call(read_only, LABELS) == call(narrow, LABELS)


def test_memory_layout_does_not_count(metric):
    _, call, *_ = metric
    x = features()
    value = call(x, LABELS)
    wide = torch.stack([x, x + 1], 2)[..., 0]
    column_major = x.T.contiguous().T
    reversed_twice = np.ascontiguousarray(x.numpy()[::-1, ::-1])[::-1, ::-1]
    for same in (wide, column_major, reversed_twice):
        assert call(same, LABELS) == pytest.approx(value, abs=1e-6)
    spread = np.stack([LABELS, LABELS + 7], 1)[:, 0]
    assert call(x, spread) == call(x, torch.from_numpy(LABELS)) == value


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(np.array([-5, -1, 3]), id="negative"),
        pytest.param(np.array([7, 10**15, 2**62]), id="far apart"),
        pytest.param(np.array([200, 201, 255], np.uint8), id="uint8"),
        pytest.param(np.array([-3, 0, 100], np.int8), id="int8"),
    ],
)
def test_names_of_classes_do_not_count(metric, names):
    _, call, *_ = metric
    assert call(features(), names[LABELS]) == pytest.approx(call(features(), LABELS), abs=1e-6)
    clusters = (LABELS + (np.arange(N) % 5 == 0)) % CLASSES
    for name, score in OF_LABELS.items():
        if name != "raw":
            assert score(names[LABELS], names[clusters]) == score(LABELS, clusters), name


def test_what_is_not_finite_is_refused(metric):
    _, call, *_ = metric
    x = features()
    for bad in (math.nan, math.inf, -math.inf):
        x[3, 1] = bad
        with pytest.raises(InputError, match=r"1 of 24 rows hold NaN or infinity"):
            call(x, LABELS)


def test_what_only_overflows_in_the_other_dtype_is_refused():
    """Test features are compared in the dtype of the train features: 1e300 is no float32."""
    x = features()
    wide = x.double()
    wide[0] = 1e300
    for call in (
        lambda: metrics.knn_accuracy(x, LABELS, wide, LABELS, 5),
        lambda: metrics.linear_probe(x, LABELS, wide, LABELS),
        lambda: metrics.cluster(x, wide, 3),
        lambda: metrics.alignment(x, wide),
    ):
        with pytest.raises(InputError, match=r"rows hold NaN or infinity"):
            call()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_raw_dot_products_that_overflow_are_refused(dtype):
    far = torch.full((3, 2), torch.finfo(dtype).max / 4, dtype=dtype)
    with pytest.raises(InputError, match=r"^z0 and z1: expected features whose dot products fit"):
        metrics.contrastive_accuracy(far, far, normalize=False)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_exponents_are_positive(value):
    with pytest.raises(InputError, match=r"^alpha: expected a positive number"):
        metrics.alignment(features(), features(), alpha=value)
    with pytest.raises(InputError, match=r"^t: expected a positive number"):
        metrics.uniformity(features(), t=value)


def test_one_class_and_one_cluster():
    one = np.zeros(6, int)
    for name, score in OF_LABELS.items():
        assert score(one, one) == 1.0, name
    # One cluster tells nothing of three classes; nor do three clusters of one class.
    classes = np.array([0, 0, 0, 1, 1, 2])
    for name, expected in {"cluster accuracy": 0.5, "purity": 0.5, "nmi": 0, "ari": 0}.items():
        assert OF_LABELS[name](classes, one) == expected, name
    for name, expected in {"cluster accuracy": 0.5, "purity": 1, "nmi": 0, "ari": 0}.items():
        assert OF_LABELS[name](one, classes) == expected, name
    for name in ("knn", "probe", "policy probe"):
        with pytest.raises(InputError, match=r"expected at least two classes"):
            OF_FEATURES[name][0](features(), np.zeros(N, int))


def test_as_many_neighbours_and_clusters_as_points_and_one_more():
    x = features()
    share = float(np.mean(LABELS == 0))
    # All points vote with equal weight: the tie of three classes goes to the smallest id.
    assert metrics.knn_accuracy(x, LABELS, x, LABELS, k=N, temperature=None) == share
    assert sorted(metrics.cluster(x, x, N, n_init=1)) == list(range(N))
    for call in (
        lambda: metrics.knn_accuracy(x, LABELS, x, LABELS, k=N + 1),
        lambda: metrics.nearest_neighbours(x, x, N + 1),
        lambda: metrics.cluster(x, x, N + 1),
    ):
        with pytest.raises(InputError, match=rf"expected 1 to {N} \(the train points\), got 25"):
            call()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_scikit_learn_would_refuse_is_named(seed):
    with pytest.raises(InputError, match=r"^seed: expected 0 to 4294967295"):
        metrics.cluster(features(), features(), 2, seed=seed)


def test_principal_components_of_points_that_are_all_alike(recwarn):
    alike = np.ones((9, 1, 2, 2))
    train, test = metrics.pixel_features(alike, alike[:5], 2, centred=True)
    assert max(train.abs().max(), test.abs().max()) < 1e-6
    assert not recwarn.list
