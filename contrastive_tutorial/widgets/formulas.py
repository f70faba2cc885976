"""The formulas that :class:`Formula` draws live: controls, the package's numbers, and a still.

Each has a file of the same numbers in ``static/live/``, which the tests hold to these to 1e-12.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contrastive_tutorial import losses
from contrastive_tutorial.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Control:
    """What a reader moves: a number in steps, a power of ten with ``log``, one of ``among``, or a
    yes or no."""

    name: str
    label: str
    value: float | bool
    least: float = 0.0
    most: float = 1.0
    step: float = 0.01
    digits: int = 2
    log: bool = False
    among: tuple[float, ...] = ()

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
    """One picture: its controls, the package's numbers for it, and a still of it."""

    title: str
    file: str
    controls: tuple[Control, ...]
    numbers: Callable[..., Numbers]
    words: Callable[[Numbers], str]
    still: Callable[[Axes, dict[str, Any], Numbers], None]


# -- two normal distributions ---------------------------------------------------------------------


def _terms(*arguments: float) -> list[float]:
    return [float(term) for term in losses.kl_normal_terms(*(_exact(a) for a in arguments))]


def _exact(value: Any) -> Any:
    import torch

    return torch.as_tensor(value, dtype=torch.float64)


def _normals(mean_q: float, std_q: float, std_p: float) -> Numbers:
    import torch

    forward, reverse = (0.0, std_p, mean_q, std_q), (mean_q, std_q, 0.0, std_p)
    grid = torch.linspace(-10 * std_p, 10 * std_p, 4_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(*map(_exact, pair)) for pair in (forward[:2], reverse[:2]))
    log_p = p.log_prob(grid)
    integrand = log_p.exp() * (log_p - q.log_prob(grid)) * (grid[1] - grid[0])
    return {
        "terms": _terms(*forward),
        "reverse": _terms(*reverse),
        "kl": sum(_terms(*forward)),
        "reverse_kl": sum(_terms(*reverse)),
        "above": float(integrand.clamp_min(0).sum()),
        "below": float(integrand.clamp_max(0).sum()),
    }


def _draw_normals(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    x = np.linspace(-7, 7, 281)
    pairs = ((0.0, values["std_p"]), (values["mean_q"], values["std_q"]))
    log_p, log_q = (-(((x - m) / s) ** 2) / 2 - np.log(s * np.sqrt(2 * np.pi)) for m, s in pairs)
    inside = np.exp(log_p) * (log_p - log_q)
    ax.plot(x, np.exp(log_p), label="P")
    ax.plot(x, np.exp(log_q), "--", label="Q")
    ax.fill_between(x, inside, alpha=0.4, color=style.PALETTE[2], label="p log(p/q)")
    ax.set(xlabel="x", title=f"KL(P || Q) = {numbers['kl']:.2f} nats")
    ax.legend()


def _sweep(mean_q: float, std_q: float) -> Numbers:
    best = math.hypot(1, mean_q)
    return {"kl": sum(_terms(0, 1, mean_q, std_q)), "best": best, "least": math.log(best)}


def _draw_sweep(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    widths = np.linspace(0.3, 6, 200)
    ax.plot(widths, losses.kl_normal(0, 1, values["mean_q"], _exact(widths)))
    ax.plot(numbers["best"], numbers["least"], "s")
    ax.set(xlabel="width of Q", ylabel="nats", ylim=(0, 5), title="KL(P || Q)")


# -- vectors and triplets -------------------------------------------------------------------------


def _turned(degrees: float, length: float = 1.0) -> Any:
    return length * _exact([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def _vectors(angle: float, length: float, normalise: bool) -> Numbers:
    import torch

    a, q, p = _turned(30), _turned(60), _turned(angle, 1.0 if normalise else length)
    return {
        "a": a.tolist(),
        "p": p.tolist(),
        "q": q.tolist(),
        "dots": [float(a @ x) for x in (p, q)],
        "squares": [float((a - x).square().sum()) for x in (p, q)],
        "cosines": [float(torch.cosine_similarity(a, x, 0)) for x in (p, q)],
    }


def _draw_vectors(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    for i, name in enumerate("apq"):
        tip = numbers[name]
        ax.annotate(
            name, tip, (0, 0), arrowprops={"arrowstyle": "<-", "color": style.PALETTE[i], "lw": 2}
        )
        ax.plot([0, tip[0]], [0, tip[1]], color=style.PALETTE[i])
    ax.set(aspect="equal", title="an anchor a and two candidates")


def _triplet(to_positive: float, to_negative: float, turn: float, margin: float) -> Numbers:
    import torch

    place = torch.stack([_turned(0, 0.0), _turned(0, to_positive), _turned(turn, to_negative)])
    points = place.requires_grad_()
    loss = losses.triplet_loss(points[:1], points[1:2], points[2:], margin)
    (gradient,) = torch.autograd.grad(loss, points)
    return {
        "loss": float(loss.detach()),
        "kind": int(losses.triplet_kind(to_positive, to_negative, margin)),
        "points": points.tolist(),
        "moves": (-gradient).tolist(),
    }


def _draw_triplet(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import matplotlib.pyplot as plt

    for radius in (values["to_positive"], values["to_positive"] + values["margin"]):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, color=style.INK))
    for i, name in enumerate(("anchor", "positive", "negative")):
        ax.plot(*numbers["points"][i], style.MARKERS[i], label=name)
    ax.set(aspect="equal", xlim=(-2, 2.6), title=f"loss {numbers['loss']:.2f}")
    ax.legend(loc="right")


# -- what a negative weighs, and floors -----------------------------------------------------------


def _weights(temperature: float, margin: float) -> Numbers:
    import torch

    negatives = torch.linspace(-0.65, 0.75, 15, dtype=torch.float64)
    soft = torch.softmax(negatives / temperature, 0)
    hard = (negatives - 0.6 + margin > 0).double()
    hinge = hard / hard.sum()
    both = (soft, hinge)
    return {
        "negatives": negatives.tolist(),
        "soft": soft.tolist(),
        "hinge": hinge.tolist(),
        "effective": [float(torch.special.entr(share).sum().exp()) for share in both],
    }


def _draw_weights(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    at = np.array(numbers["negatives"])
    ax.bar(at - 0.02, numbers["soft"], 0.04, label="softmax")
    ax.bar(at + 0.02, numbers["hinge"], 0.04, label="triplets")
    ax.set(xlabel="similarity of the negative", ylabel="share of the push")
    ax.legend()


def _floor(groups: int, angle: float, temperature: float) -> Numbers:
    simplex = -1 / (groups - 1)
    widest = math.degrees(math.acos(simplex))
    between = math.cos(math.radians(angle)) if angle < widest else simplex
    one = functools.partial(losses.nt_xent_floor, 500, groups, temperature)
    return {
        "loss": one(between) if angle > 0 else losses.nt_xent_floor(500),
        "same": losses.nt_xent_floor(500),
        "orthogonal": one(0.0),
        "floor": one(simplex),
        "widest": widest,
    }


def _draw_floor(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    angles = np.linspace(0, numbers["widest"], 60)
    rest = values["groups"], values["temperature"]
    ax.plot(angles, [_floor(rest[0], angle, rest[1])["loss"] for angle in angles])
    ax.plot(numbers["widest"], numbers["floor"], "s", label="floor")
    ax.set(xlabel="angle between codes (degrees)", ylabel="NT-Xent (nats)", ylim=(0, 8))
    ax.legend()


_GROUPS = (2, 4, 5, 10, 20, 50, 100)
_KIND = ("easy", "semi-hard", "hard")
_MEAN_Q = Control("mean_q", "mean µ′ of Q", 2.0, -3, 3, 0.05)

#: Every picture there is, by name.
KINDS: dict[str, Kind] = {
    "normals": Kind(
        "Two normal distributions",
        "normals",
        (
            Control("mean_q", "mean µ′ of Q", 1.0, -3, 3, 0.05),
            Control("std_q", "width σ′ of Q", 2.0, 0.4, 4, 0.02),
            Control("std_p", "width σ of P", 1.0, 0.5, 2, 0.02),
        ),
        _normals,
        lambda n: f"KL(P || Q) is {n['kl']:.3f} nats, KL(Q || P) is {n['reverse_kl']:.3f}",
        _draw_normals,
    ),
    "sweep": Kind(
        "Divergence against the width of Q",
        "normals",
        (_MEAN_Q, Control("std_q", "width σ′ of Q", 1.0, 0.3, 6, 0.01)),
        _sweep,
        lambda n: f"KL(P || Q) is smallest, {n['least']:.4f} nats, at width {n['best']:.4f}",
        _draw_sweep,
    ),
    "vectors": Kind(
        "Dot product, cosine and distance",
        "vectors",
        (
            Control("angle", "angle of p (degrees)", 90.0, 0, 180, 1, 0),
            Control("length", "length of p", 2.0, 0.2, 3.2, 0.02),
            Control("normalise", "normalise p", False),
        ),
        _vectors,
        lambda n: (
            "dot products with a: p {:.2f}, q {:.2f}; squared distances: p {:.2f}, q {:.2f}".format(
                *n["dots"], *n["squares"]
            )
        ),
        _draw_vectors,
    ),
    "triplet": Kind(
        "A triplet in the plane",
        "triplet",
        (
            Control("to_positive", "distance of the positive", 0.6, 0.1, 1.1, 0.01),
            Control("to_negative", "distance of the negative", 0.75, 0.05, 1.4, 0.01),
            Control("turn", "direction of the negative", 126.0, 0, 359, 1, 0),
            Control("margin", "margin", 0.3, 0.02, 0.8, 0.01),
        ),
        _triplet,
        lambda n: f"{_KIND[n['kind']]}, loss {n['loss']:.2f}",
        _draw_triplet,
    ),
    "weights": Kind(
        "What a negative weighs",
        "weights",
        (
            Control("temperature", "temperature τ", 0.2, -2, 1, 0.01, 3, log=True),
            Control("margin", "margin of the triplets", 0.3, 0.02, 1.24, 0.02),
        ),
        _weights,
        lambda n: "softmax as if {:.1f} negatives, triplets as if {:.0f}".format(*n["effective"]),
        _draw_weights,
    ),
    "floor": Kind(
        "The loss of a code without content",
        "floor",
        (
            Control(
                "groups", "groups K", 10, 0, step=1, digits=0, among=(2, 4, 5, 10, 20, 50, 100)
            ),
            Control("angle", "angle between codes", 90.0, 0, 180, 0.5, 1),
            Control("temperature", "temperature τ", 0.5, -1.3, 0.3, 0.01, 3, log=True),
        ),
        _floor,
        lambda n: (
            f"{n['loss']:.3f} nats at this angle, never below {n['floor']:.3f}, and "
            f"{n['same']:.3f} with one code for all"
        ),
        _draw_floor,
    ),
}
