"""Metrics of embeddings, and the reference features that they are compared with.

Enters: features ``(N, D)`` floating point, labels or cluster ids of any integers, as torch tensors
or numpy arrays on any device. Metrics of directions l2-normalise inside; a zero vector stays zero,
and how long the others are does not count.
Leaves: Python floats. Each docstring states its protocol and source, because the protocol matters
more than the network: one checkpoint's cluster accuracy can be 0.1, 0.3 or 0.6. Ties, which
collapsed features bring: a tied vote, prediction or centroid goes to the smallest id (kNN, probes,
k-means); a positive that is only as near as another counts as missed (retrieval, contrastive
accuracy); the first of equal negatives counts (nearest negative); which of equally similar
neighbours votes is left to the sort (kNN).
Never: fits anything on test images, or looks at how features were made.
"""

from contrastive_tutorial.errors import require_extra

require_extra("study", "scipy")

from contrastive_tutorial.metrics.baselines import pixel_features
from contrastive_tutorial.metrics.clustering import (
    ari,
    cluster,
    cluster_accuracy,
    cluster_fits,
    nmi,
    purity,
    raw_accuracy,
)
from contrastive_tutorial.metrics.geometry import (
    DotProductSimilarity,
    alignment,
    contrastive_accuracy,
    dot_product_similarity,
    nearest_negative_same_subset,
    own_subset_share,
    rankme,
    uniformity,
)
from contrastive_tutorial.metrics.neighbours import (
    knn_accuracies,
    knn_accuracy,
    nearest_neighbours,
    retrieval_top1,
)
from contrastive_tutorial.metrics.probes import linear_probe, policy_probe, policy_probe_recalls
from contrastive_tutorial.metrics.registry import METRICS, Metric, metric

__all__ = [
    "METRICS",
    "DotProductSimilarity",
    "Metric",
    "alignment",
    "ari",
    "cluster",
    "cluster_accuracy",
    "cluster_fits",
    "contrastive_accuracy",
    "dot_product_similarity",
    "knn_accuracies",
    "knn_accuracy",
    "linear_probe",
    "metric",
    "nearest_negative_same_subset",
    "nearest_neighbours",
    "nmi",
    "own_subset_share",
    "pixel_features",
    "policy_probe",
    "policy_probe_recalls",
    "purity",
    "rankme",
    "raw_accuracy",
    "retrieval_top1",
    "uniformity",
]
