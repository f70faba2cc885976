"""What every recorded number is called, in which range it lies and which way is better.

Whatever prints or draws a metric asks here, so that one name stands for one thing on every page.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One recorded number.

    Attributes:
        label: on an axis and in a sentence.
        short: over a column.
        low, high: its range, where there is one; no bar is drawn of a number without.
        chance: what guessing scores: a number, or ``"classes"``, one in the number of classes. For
            cluster accuracy that is the limit for many images; matching lifts it a little.
        digits: decimals in a table.
        higher_is_better: ``None`` where neither is.
        reported: has a column in the table of results.
    """

    label: str
    short: str
    low: float | None = None
    high: float | None = None
    chance: float | str | None = None
    digits: int = 3
    higher_is_better: bool | None = None
    reported: bool = False

    def guessed(self, classes: int) -> float | None:
        """What guessing scores with so many classes, or ``None`` where nobody knows."""
        return 1 / classes if self.chance == "classes" else self.chance  # type: ignore[return-value]

    def share(self, value: float) -> float | None:
        """Where ``value`` lies between ``low`` and ``high``, 0 to 1; ``None`` without a range."""
        if self.low is None or self.high is None:
            return None
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def _accuracy(
    label: str, short: str, chance: float | str | None = "classes", reported: bool = True
) -> Metric:
    return Metric(label, short, 0, 1, chance, 3, True, reported)


#: By the name in records, in the order of tables. A policy probe tells ten policies apart.
METRICS = {
    "cluster_accuracy": _accuracy("cluster accuracy", "cluster acc."),
    "cluster_accuracy_mean": _accuracy(
        "cluster accuracy, mean of all starts", "cluster acc., mean"
    ),
    "nmi": _accuracy("normalised mutual information", "NMI", 0.0),
    "ari": Metric("adjusted Rand index", "ARI", -0.5, 1, 0.0, 3, True, True),
    "knn200": _accuracy("kNN accuracy (k = 200, T = 0.1)", "kNN, k = 200"),
    "knn10": _accuracy("kNN accuracy (k = 10, cosine)", "kNN, k = 10"),
    "linear_probe": _accuracy("linear probe accuracy", "linear probe"),
    "purity": _accuracy("purity", "purity", reported=False),
    "raw_accuracy": _accuracy("accuracy without matching", "unmatched acc.", reported=False),
    "policy_probe_h": _accuracy(
        "policy probe accuracy on h", "policy probe h", 0.1, reported=False
    ),
    "policy_probe_z": _accuracy("policy probe accuracy on z", "policy probe z", 0.1),
    "contrastive_train": _accuracy(
        "contrastive accuracy in training mode", "contrastive acc.", None
    ),
    "contrastive_eval": _accuracy(
        "contrastive accuracy in evaluation mode", "contrastive acc., eval.", None, reported=False
    ),
    "loss_final": Metric("loss (nats)", "loss", higher_is_better=False),
    "dot_positive": Metric("dot product, positive pairs", "dot, positive"),
    "dot_negative": Metric("dot product, negative pairs", "dot, negative"),
    "alignment": Metric("alignment", "alignment", higher_is_better=False),
    "uniformity": Metric("uniformity", "uniformity", digits=2, higher_is_better=False),
    "rankme": Metric("RankMe", "RankMe", digits=1, higher_is_better=True),
    "test_accuracy": _accuracy("test accuracy", "test acc."),
}


def metric(name: str) -> Metric:
    """The registered metric, or one that is called by its name in the record.

    >>> metric("knn10").label, metric("extra.early_accuracy/ema0.9/90").short
    ('kNN accuracy (k = 10, cosine)', 'early accuracy/ema0.9/90')
    """
    words = name.removeprefix("extra.").replace("_", " ")
    return METRICS.get(name) or Metric(words, words)
