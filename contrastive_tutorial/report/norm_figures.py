"""What the studies of normalisation found: paired differences, and their figures.

Reads records of :mod:`~contrastive_tutorial.study.norms` (preset ``norm``); computes no result of
its own. Seeds are paired: kinds of one seed share weights, images and their order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import (
    Interval,
    Record,
    mean,
    mean_interval,
    one_each_seed,
    sign_flip_p,
    value,
)
from contrastive_tutorial.report.figures import mean_and_seeds, one_setting, seeds_of
from contrastive_tutorial.report.style import INK
from contrastive_tutorial.study import CONDITIONS, NORM_PRESET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What is drawn: name of the series, kind, whether the test image's subset is known.
SERIES = (
    ("BN", "bn", False),
    ("BatchRenorm", "renorm", False),
    ("SplitBN, subset unknown (pooled)", "split", False),
    ("SplitBN, subset known (oracle)", "split", True),
)


@dataclass(frozen=True)
class Difference:
    """Test accuracy of one kind minus BN's, paired over seeds.

    Attributes:
        deltas: one a seed, seeds ascending.
        interval: 95% interval of their mean (Student's t below 20 seeds).
        p: two-sided exact sign-flip test.
    """

    deltas: tuple[float, ...]
    interval: Interval
    p: float

    @classmethod
    def of(cls, deltas: Sequence[float]) -> Difference:
        """From the paired differences of two or more seeds."""
        return cls(tuple(deltas), mean_interval(deltas), sign_flip_p(deltas))

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return mean(self.deltas)

    @property
    def verdict(self) -> str:
        """``higher`` or ``lower`` if interval and sign-flip test agree, ``hint`` if one says so."""
        outside = self.interval.low > 0 or self.interval.high < 0
        if outside and self.p < 0.05:
            return "higher" if self.mean > 0 else "lower"
        return "hint" if outside or self.p < 0.05 else "undecided"


def claimed(name: str) -> dict[str, Any]:
    """What the script ``benchmarks/claims/NAME.py`` left behind, read from ``NAME.json`` beside it.

    Raises:
        InputError: if the working directory is not inside a clone of the repository, nor the
            package.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        path = folder / "benchmarks" / "claims" / f"{name}.json"
        if path.is_file():
            return dict(json.loads(path.read_text(encoding="utf-8")))
    raise InputError(
        f"benchmarks/claims/{name}.json: not found in {here} or above it; work inside a clone of "
        "the repository"
    )


def accuracy(record: Record, known: bool = False) -> float:
    """Test accuracy of a run; with ``known``, each image through its own subset's branch.

    A kind that keeps one set of statistics cannot use the subset, so it changes nothing there.

    Raises:
        NotRecordedError: naming the record without it.
    """
    return value(
        record, "test_accuracy", "oracle" if known and "oracle" in record.evaluations else None
    )


def select(found: Sequence[Record], kind: str, condition: str, batch_size: int) -> list[Record]:
    """Runs of one setting, by seed.

    Raises:
        InputError: if one seed is there twice, as when data sets are mixed.
    """
    wanted = (kind, condition, batch_size)
    names = ("norm", "condition", "batch_size")
    chosen = [
        r
        for r in found
        if r.preset == NORM_PRESET and tuple(r.hyperparameters.get(n) for n in names) == wanted
    ]
    one_each_seed(chosen, f"{kind} under {condition}, batch size {batch_size}")
    return sorted(chosen, key=lambda record: record.seed)


def comparison(found: Sequence[Record], chance: float | None = None) -> Figure:
    """Test accuracy against batch size, a panel a condition: every seed, mean, 95% interval.

    ``chance``: what guessing scores, as a dotted line.

    Raises:
        InputError: if no record is of the study of the norms, or none says its norm and batch size.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    found = [record for record in found if record.preset == NORM_PRESET]
    if not found:
        raise InputError("records: none of preset 'norm'; run `contrastive-tutorial norms` first")
    named = (record.hyperparameters.get("batch_size") for record in found)
    sizes = sorted({size for size in named if size is not None})
    rows = [
        (label, condition, size, accuracy(record, known))
        for label, kind, known in SERIES
        for condition in CONDITIONS
        for size in sizes
        for record in select(found, kind, condition, size)
    ]
    if not rows:
        raise InputError(
            "records: of preset 'norm', but none says its norm, condition and batch size"
        )
    table = pd.DataFrame(rows, columns=["series", "condition", "size", "value"])
    counts = table.groupby(["series", "condition", "size"]).size()
    labels = [label for label, _, _ in SERIES]
    fig, axes = plt.subplots(1, len(CONDITIONS), figsize=(6.6, 4), sharey=True)
    for ax, condition in zip(axes, CONDITIONS, strict=True):
        handles = mean_and_seeds(
            ax, table[table.condition == condition], "size", sizes, "series", labels
        )
        if chance is not None:
            handles.append(ax.axhline(chance, color=INK, ls=":", lw=1))
        ax.set(xlabel="batch size (4 subsets)", title=f"{condition} subsets", ylabel="")
    axes[0].set_ylabel("test accuracy")
    bars = "; dots: seeds; bars: 95% interval" if counts.max() > 1 else ""
    fig.suptitle(f"{one_setting(found)}; {seeds_of(counts)}{bars}", fontsize=10)
    labels += ["chance"] * (chance is not None)
    fig.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return fig
