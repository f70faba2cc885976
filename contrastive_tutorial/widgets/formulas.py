"""The formulas that :class:`Formula` draws live: controls, the package's numbers, and a still.

Each has a file of the same numbers in ``static/live/``, which the tests hold to these to 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contrastive_tutorial.widgets import computed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Control:
    """What a reader moves: a number in steps, a power of ten with ``log``, one of ``among`` (shown
    by its place in ``words``, if given), or a yes or no."""

    name: str
    label: str
    value: float | bool
    least: float = 0.0
    most: float = 1.0
    step: float = 0.01
    digits: int = 2
    log: bool = False
    among: tuple[float, ...] = ()
    words: tuple[str, ...] = ()

    def position(self, value: Any) -> Any:
        """Where the page's slider stands at ``value``."""
        if self.among:
            return self.among.index(value)
        return math.log10(value) if self.log else value

    def refusal(self, value: Any) -> str:
        """What was expected, if the control cannot stand at ``value``."""
        if isinstance(self.value, bool):
            return "" if isinstance(value, bool) else "True or False"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return "a number"
        if self.among:
            return "" if value in self.among else f"one of {self.among}"
        low, high = (10**end if self.log else end for end in (self.least, self.most))
        return "" if low <= value <= high else f"a number from {low:g} to {high:g}"


@dataclass(frozen=True)
class Kind:
    """One picture: the package's numbers for it, a still of it, its controls, and the numbers in
    words; ``file`` in ``static/live/``, if it has not the picture's name."""

    title: str
    numbers: Callable[..., computed.Numbers]
    still: Callable[[Axes, dict[str, Any], computed.Numbers], None]
    controls: tuple[Control, ...]
    words: Callable[[computed.Numbers], str]
    file: str = ""


_KIND = ("easy", "semi-hard", "hard")


def _one_of(name: str, label: str, value: float, *among: float, words: Any = ()) -> Control:
    return Control(name, label, value, 0, step=1, digits=0, among=among, words=words)


#: Every picture there is, by name.
KINDS: dict[str, Kind] = {
    "normals": Kind(
        "Two normal distributions", computed.normals, computed.draw_normals,
        (
            Control("mean_q", "mean µ′ of Q", 1.0, -3, 3, 0.05),
            Control("std_q", "width σ′ of Q", 2.0, 0.4, 4, 0.02),
            Control("std_p", "width σ of P", 1.0, 0.5, 2, 0.02),
        ),
        lambda n: f"KL(P || Q) is {n['kl']:.3f} nats, KL(Q || P) is {n['reverse_kl']:.3f}",
    ),
    "sweep": Kind(
        "Divergence against the width of Q", computed.sweep, computed.draw_sweep,
        (
            Control("mean_q", "mean µ′ of Q", 2.0, -3, 3, 0.05),
            Control("std_q", "width σ′ of Q", 1.0, 0.3, 6, 0.01),
        ),
        lambda n: f"KL(P || Q) is smallest, {n['least']:.4f} nats, at width {n['best']:.4f}",
        "normals",
    ),
    "vectors": Kind(
        "Dot product, cosine and distance", computed.vectors, computed.draw_vectors,
        (
            Control("angle", "angle of p (degrees)", 90.0, 0, 180, 1, 0),
            Control("length", "length of p", 2.0, 0.2, 3.2, 0.02),
            Control("normalise", "normalise p", False),
        ),
        lambda n: (
            "dot products with a: p {:.2f}, q {:.2f}; squared distances: p {:.2f}, q {:.2f}".format(
                *n["dots"], *n["squares"]
            )
        ),
    ),
    "triplet": Kind(
        "A triplet in the plane", computed.triplet, computed.draw_triplet,
        (
            Control("to_positive", "distance of the positive", 0.6, 0.1, 1.1, 0.01),
            Control("to_negative", "distance of the negative", 0.75, 0.05, 1.4, 0.01),
            Control("turn", "direction of the negative", 126.0, 0, 359, 1, 0),
            Control("margin", "margin", 0.3, 0.02, 0.8, 0.01),
        ),
        lambda n: f"{_KIND[n['kind']]}, loss {n['loss']:.2f}",
    ),
    "weights": Kind(
        "What a negative weighs", computed.weights, computed.draw_weights,
        (
            Control("temperature", "temperature τ", 0.2, -2, 1, 0.01, 3, log=True),
            Control("margin", "margin of the triplets", 0.3, 0.02, 1.24, 0.02),
        ),
        lambda n: "softmax as if {:.1f} negatives, triplets as if {:.0f}".format(*n["effective"]),
    ),
    "floor": Kind(
        "The loss of a code without content", computed.floor, computed.draw_floor,
        (
            _one_of("groups", "groups K", 10, 2, 4, 5, 10, 20, 50, 100),
            Control("apart", "apart, % of the widest", 90.0, 0, 100, 0.5, 1),
            Control("temperature", "temperature τ", 0.5, -1.3, 0.3, 0.01, 3, log=True),
        ),
        lambda n: (
            f"{n['loss']:.3f} nats at {n['angle']:.1f} degrees, never below {n['floor']:.3f}, and "
            f"{n['same']:.3f} with one code for all"
        ),
    ),
    "noise": Kind(
        "How noisy a mean is", computed.noise, computed.draw_noise,
        (
            Control("batch", "images in the batch N", 100, 1, 3, 0.01, 0, log=True),
            _one_of("parts", "parts K", 5, 1, 2, 4, 5, 10),
            Control("shift", "spread of the parts (sd of their means, σ)", 0.3, 0, 1, 0.01),
        ),
        lambda n: (
            f"one mean of {n['images']} images is off by {n['miss']:.3f} sigma, a mean of "
            f"{n['each']:g} of one part by {n['own']:.3f}"
        ),
    ),
    "memory": Kind(
        "What running statistics remember", computed.memory, computed.draw_memory,
        (
            Control("fresh", "weight of the new, 1 − ρ", 0.01, -3, -0.3, 0.01, 3, log=True),
            Control("steps", "steps", 90, 0, 300, 1, 0),
            _one_of("batch", "images in a batch", 25, 5, 25, 100, 500),
        ),
        lambda n: (
            f"{n['left']:.3f} of the initial value is left; one percent after "
            f"{n['one_percent']:.0f} steps; the running mean is {n['mean']:.2f} "
            f"± {n['spread']:.3f}, the truth 2"
        ),
    ),
    "flips": Kind(
        "What flipped signs can do", computed.flips, computed.draw_flips,
        (
            _one_of("seeds", "seeds n", 5, *range(1, 13)),
            Control("mean", "mean difference (points)", 1.5, -3, 3, 0.05),
            Control("spread", "spread between seeds", 1.0, 0, 2, 0.05),
        ),
        lambda n: (
            f"p = {n['p']:.4f}, as one of four {n['of_four']:.4f}; the least that "
            f"{len(n['deltas'])} seeds can reach is {n['least']:.4f}"
        ),
    ),
    "sheet": Kind(
        "Classes, subsets and a norm", computed.sheet, computed.draw_sheet,
        (
            Control("shift", "policy shift s", 1.2, 0, 2, 0.02),
            _one_of("norm", "normalised over", 1, 0, 1, 2,
                    words=("nothing", "the batch", "each subset")),
            Control("uneven", "subsets of unlike classes", False),
            Control("x", "one dot: x", 0.0, -4, 4, 0.02),
            Control("y", "one dot: y", 1.2, -3, 3, 0.02),
        ),
        lambda n: (
            f"nearest dot of the own subset {n['own_subset']:.2f}, of the own class "
            f"{n['own_class']:.2f}; mean inner product inside a subset {n['inner']:.3f}"
        ),
    ),
}  # fmt: skip
