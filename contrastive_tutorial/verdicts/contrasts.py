"""The contrasts of the study in one list: what two cells differ in, and what came out.

Every entry of :data:`EFFECTS` is a pair of registered cells with the question it answers. Four
are primary, fixed before any run (``hypotheses.yml``); all others are secondary and nothing
corrects them for their number.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import NotRecordedError, Record
from contrastive_tutorial.verdicts.decisions import Contrast, contrast
from contrastive_tutorial.verdicts.hypotheses import Registry


@dataclass(frozen=True)
class Effect:
    """One cell minus another.

    Attributes:
        left, right: names of cells.
        asks: the question the difference answers, in a few words.
        primary: whether it belongs to the four contrasts fixed before any run.
    """

    left: str
    right: str
    asks: str
    primary: bool = False

    @property
    def name(self) -> str:
        """``"S-P1 − B0"``."""
        return f"{self.left} − {self.right}"


EFFECTS = (
    Effect("S-P1", "B0", "the split recipe", primary=True),
    Effect("M-P1", "B0", "the mixed recipe", primary=True),
    Effect("S-P1", "W-bn", "split statistics alone", primary=True),
    Effect("M-bn", "B2", "a policy both views share", primary=True),
    Effect("B1", "B0", "a tenth of the images"),
    Effect("M-P1", "S-P1", "mixed against split"),
    Effect("B2", "B0", "more kinds of augmentation"),
    Effect("S-P0", "B0", "split, one policy for all"),
    Effect("M-P0", "B0", "mixed, one policy for all"),
    Effect("W-bn", "M-bn", "negatives from the own subset"),
    Effect("M-split", "M-bn", "K statistics, shared affine"),
    Effect("M-aff", "M-bn", "K affine, shared statistics"),
    Effect("M-P1", "M-split", "K affine beside K statistics"),
    Effect("X-bn", "B2", "shared policy, no subsets"),
    Effect("GN", "B0", "GroupNorm in place of BN"),
    Effect("B0-dot", "B0", "no l2 normalisation"),
    Effect("ghost-shuffle-50", "B0", "BN in groups of 50"),
    *(
        Effect(f"ghost-same-{m}", f"ghost-shuffle-{m}", f"both views in one group of {m}")
        for m in (50, 25, 10, 5)
    ),
)


def effects_of(registry: Registry) -> list[Effect]:
    """The differences between two cells that a registered study decides, primary ones first."""
    primary = set(registry.rules.primary.values())
    found = {
        tuple(part.spec["contrast"]): part.name
        for hypothesis in registry
        for part in hypothesis.parts
        if part.kind == "difference"
        and all(isinstance(side, str) for side in part.spec["contrast"])
        and part.spec["contrast"][0] != part.spec["contrast"][1]
    }
    effects = [
        Effect(left, right, asks, (left, right) in primary) for (left, right), asks in found.items()
    ]
    return sorted(effects, key=lambda effect: not effect.primary)


@dataclass(frozen=True)
class Measured:
    """An effect and its contrast; ``contrast`` is ``None``, with a ``reason``, if unrecorded."""

    effect: Effect
    contrast: Contrast | None
    reason: str = ""


def measure(
    records: Iterable[Record],
    metric: str = "cluster_accuracy",
    effects: Sequence[Effect] = EFFECTS,
) -> list[Measured]:
    """Every effect on one metric, paired over the seeds that both cells have.

    Two seeds are enough for an interval, never for a decision: see
    :func:`contrastive_tutorial.records.intervals.seeds_needed`.

    Args:
        records: any.
        metric: as in :func:`contrastive_tutorial.verdicts.contrast`.
        effects: which.

    Raises:
        InputError: for records that cannot be compared; missing ones are a reason, not an error.
    """
    everything = list(records)
    found = []
    for effect in effects:
        try:
            result = contrast(everything, effect.left, effect.right, metric, min_seeds=2)
            found.append(Measured(effect, result))
        except NotRecordedError as error:
            found.append(Measured(effect, None, str(error)))
    return found


def seeds_for(deltas: Sequence[float], bound: float = 0.0) -> int | None:
    """Seeds a two-sided paired t test at 5% would need to tell the mean from ``bound``, with a
    chance of 80%; ``None`` for more than 10,000.

    An extrapolation: it takes the mean and the spread of ``deltas`` for the truth.

    Args:
        deltas: at least two differences, one per seed.
        bound: what the mean is compared with.

    Raises:
        InputError: for fewer than two differences.
    """
    from statsmodels.stats.power import TTestPower

    if len(deltas) < 2:
        raise InputError(f"seeds_for: expected two differences or more, got {len(deltas)}")
    distance = abs(statistics.fmean(deltas) - bound)
    spread = statistics.stdev(deltas)
    if spread == 0:
        return 2 if distance > 0 else None
    effect, sizes = min(distance / spread, 100.0), range(2, 10_001)

    def suffice(n: int) -> bool:
        # The tail on the mean's side: the other adds nothing that counts, and may be nan. For large
        # effects the library's solver finds nothing, and this power is nan where it is one.
        return not TTestPower().power(effect, n, 0.025, alternative="larger") < 0.8

    first = bisect_left(sizes, True, key=suffice)
    return sizes[first] if first < len(sizes) else None
