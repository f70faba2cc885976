"""Values worked out by hand, in float64, where the tests of a module compare with other code."""

import math

import pytest
import torch

from contrastive_tutorial.metrics import clustering
from contrastive_tutorial.metrics.geometry import alignment, rankme, uniformity
from contrastive_tutorial.norm.layers import SplitBatchNorm2d

# Classes against clusters, counted: class 0 has 2 in cluster 0 and 1 in cluster 1; class 1 has 3
# in cluster 1.
LABELS, CLUSTERS = [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]


def test_scores_of_six_samples():
    # The best map, 0 to 0 and 1 to 1, gets 2 + 3 of 6 right; so do the majorities.
    assert clustering.cluster_accuracy(LABELS, CLUSTERS) == pytest.approx(5 / 6, abs=1e-15)
    assert clustering.purity(LABELS, CLUSTERS) == pytest.approx(5 / 6, abs=1e-15)


def test_nmi_of_six_samples():
    # H(Y) = log 2; H(C) = 1/3 log 3 + 2/3 log 3/2. Cluster 0 leaves no doubt, cluster 1 (weight
    # 2/3) leaves classes 1/4 and 3/4. I = H(Y) - H(Y | C), over the mean of the two entropies.
    h_y = math.log(2)
    h_c = math.log(3) / 3 + 2 / 3 * math.log(1.5)
    doubt = 2 / 3 * (math.log(4) / 4 + 3 / 4 * math.log(4 / 3))
    expected = (h_y - doubt) / ((h_y + h_c) / 2)
    assert clustering.nmi(LABELS, CLUSTERS) == pytest.approx(expected, abs=1e-14)


def test_ari_of_six_samples():
    # Pairs together in both: C(2,2) + C(3,2) = 4; in classes 3 + 3 = 6; in clusters 1 + 6 = 7; of
    # 15. By chance 6 * 7 / 15 = 2.8, at most (6 + 7) / 2 = 6.5: (4 - 2.8) / (6.5 - 2.8) = 12/37.
    assert clustering.ari(LABELS, CLUSTERS) == pytest.approx(12 / 37, abs=1e-14)


def test_alignment_uniformity_and_rankme_of_the_axes():
    axes = torch.eye(2, dtype=torch.float64)
    # Axes swapped: each pair is at squared distance 2. Uniformity: log exp(-2 * 2) = -4.
    assert alignment(axes, axes.flip(0)) == pytest.approx(2, abs=1e-12)
    assert uniformity(axes) == pytest.approx(-4, abs=1e-12)
    # Singular values 3 and 1: shares 3/4 and 1/4, exp(entropy) = 4 / 3^(3/4).
    assert rankme(torch.diag(torch.tensor([3.0, 1.0])).double()) == pytest.approx(
        4 / 3**0.75, abs=1e-5
    )


def test_split_normalisation_of_four_values_and_what_evaluation_uses():
    # Subset 0 holds 1, 3 (mean 2, variance 1); subset 1 holds 10, 14 (mean 12, variance 4).
    x = torch.tensor([1.0, 3, 10, 14], dtype=torch.float64).view(4, 1, 1, 1)
    layer = SplitBatchNorm2d(1, 2, eps=1e-30, momentum=1.0, dtype=torch.float64)
    assert layer(x).flatten().tolist() == pytest.approx([-1, 1, -1, 1], abs=1e-14)
    # Kept unbiased, n / (n - 1) = 2: variances 2 and 8. Pooled: mean (2 + 12) / 2 = 7, variance
    # (2 + 8) / 2 + ((2 - 7)^2 + (12 - 7)^2) / 2 = 5 + 25 = 30; the mean variance alone would be 5.
    assert layer.running_mean.flatten().tolist() == pytest.approx([2, 12])
    assert layer.running_var.flatten().tolist() == pytest.approx([2, 8])
    layer.eval()
    expected = [(value - 7) / math.sqrt(30) for value in (1, 3, 10, 14)]
    assert layer(x).flatten().tolist() == pytest.approx(expected, abs=1e-14)
