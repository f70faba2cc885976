"""What the formulas of :mod:`formulas` compute, by the package, and a still picture of each.

Each is repeated in a file of ``static/live/``, which the tests hold to these to 1e-12.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from contrastive_tutorial import losses
from contrastive_tutorial.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = dict[str, Any]


# -- two normal distributions ---------------------------------------------------------------------


def _terms(*arguments: float) -> list[float]:
    return [float(term) for term in losses.kl_normal_terms(*(_exact(a) for a in arguments))]


def _exact(value: Any) -> Any:
    import torch

    return torch.as_tensor(value, dtype=torch.float64)


def normals(mean_q: float, std_q: float, std_p: float) -> Numbers:
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


def draw_normals(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
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


def sweep(mean_q: float, std_q: float) -> Numbers:
    best = math.hypot(1, mean_q)
    return {"kl": sum(_terms(0, 1, mean_q, std_q)), "best": best, "least": math.log(best)}


def draw_sweep(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    widths = np.linspace(0.3, 6, 200)
    ax.plot(widths, losses.kl_normal(0, 1, values["mean_q"], _exact(widths)))
    ax.plot(numbers["best"], numbers["least"], "s")
    ax.set(xlabel="width of Q", ylabel="nats", ylim=(0, 5), title="KL(P || Q)")


# -- vectors and triplets -------------------------------------------------------------------------


def _turned(degrees: float, length: float = 1.0) -> Any:
    return length * _exact([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def vectors(angle: float, length: float, normalise: bool) -> Numbers:
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


def draw_vectors(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    for i, name in enumerate("apq"):
        tip = numbers[name]
        ax.annotate(
            name, tip, (0, 0), arrowprops={"arrowstyle": "<-", "color": style.PALETTE[i], "lw": 2}
        )
        ax.plot([0, tip[0]], [0, tip[1]], color=style.PALETTE[i])
    ax.set(aspect="equal", title="an anchor a and two candidates")


def triplet(to_positive: float, to_negative: float, turn: float, margin: float) -> Numbers:
    import torch

    for edge in (to_positive, to_positive + margin):
        if math.isclose(to_negative, edge, abs_tol=1e-9):  # 0.3 is 0.1 + 0.2 to a reader
            to_negative = edge
    kind = losses.triplet_kind(to_positive, to_negative, margin)
    place = torch.stack([_turned(0, 0.0), _turned(0, to_positive), _turned(turn, to_negative)])
    points = place.requires_grad_()
    loss = losses.triplet_loss(points[:1], points[1:2], points[2:], margin)
    loss = loss * (kind != losses.TripletKind.EASY)  # a turned length may be off by a rounding
    (gradient,) = torch.autograd.grad(loss, points)
    return {
        "loss": float(loss.detach()),
        "kind": int(kind),
        "points": points.tolist(),
        "moves": (-gradient).tolist(),
    }


def draw_triplet(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import matplotlib.pyplot as plt

    for radius in (values["to_positive"], values["to_positive"] + values["margin"]):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, color=style.INK))
    for i, name in enumerate(("anchor", "positive", "negative")):
        ax.plot(*numbers["points"][i], style.MARKERS[i], label=name)
    ax.set(aspect="equal", xlim=(-2, 2.6), title=f"loss {numbers['loss']:.2f}")
    ax.legend(loc="right")


# -- what a negative weighs, and floors -----------------------------------------------------------


def weights(temperature: float, margin: float) -> Numbers:
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


def draw_weights(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    at = np.array(numbers["negatives"])
    ax.bar(at - 0.02, numbers["soft"], 0.04, label="softmax")
    ax.bar(at + 0.02, numbers["hinge"], 0.04, label="triplets")
    ax.set(xlabel="similarity of the negative", ylabel="share of the push")
    ax.legend()


def floor(groups: int, apart: float, temperature: float) -> Numbers:
    """Codes stand ``apart`` percent of the widest angle that K vectors can have from each other."""
    simplex = -1 / (groups - 1)
    widest = math.degrees(math.acos(simplex))
    angle = apart / 100 * widest
    between = math.cos(math.radians(angle)) if apart < 100 else simplex
    one = functools.partial(losses.nt_xent_floor, 500, groups, temperature)
    return {
        "loss": one(between) if angle > 0 else losses.nt_xent_floor(500),
        "same": losses.nt_xent_floor(500),
        "orthogonal": one(0.0),
        "floor": one(simplex),
        "widest": widest,
        "angle": angle,
    }


def draw_floor(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    codes = [floor(values["groups"], share, values["temperature"]) for share in np.linspace(0, 100)]
    ax.plot([code["angle"] for code in codes], [code["loss"] for code in codes])
    ax.plot(numbers["widest"], numbers["floor"], "s", label="floor")
    ax.set(xlabel="angle between codes (degrees)", ylabel="NT-Xent (nats)", ylim=(0, 8))
    ax.legend()


# -- how noisy a mean is, what a layer remembers, and what chance can do --------------------------


def noise(batch: float, parts: int, shift: float) -> Numbers:
    """How far a mean is from the true mean of one of K equal parts of a batch, root mean square.

    In units of the standard deviation of one image within its part. The true means of the parts
    lie ``shift`` from their common one, root mean square; one part has no such distance.
    """
    images = math.floor(batch + 0.5)
    whole = math.sqrt(1 / images)
    return {
        "images": images,
        "each": images / parts,
        "own": math.sqrt(parts / images),
        "whole": whole,
        "miss": math.hypot(whole, shift if parts > 1 else 0.0),
        "even": math.sqrt((parts - 1) / images),
    }


def draw_noise(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    sizes = np.geomspace(10, 1000, 100)
    both = [noise(float(size), values["parts"], values["shift"]) for size in sizes]
    ax.loglog(sizes, [each["own"] for each in both], "--", label="a part's own mean")
    ax.loglog(sizes, [each["miss"] for each in both], label="one mean for all")
    ax.set(
        xlabel="images in the batch N", ylabel="distance (σ)", title="from the true mean of a part"
    )
    ax.legend()


def memory(fresh: float, steps: float, batch: float) -> Numbers:
    """Running mean, from 0, of batch means around 2 sigma: its expectation and its spread.

    Its variance is that of a sum of independent batch means with geometric weights.
    """
    keep = 1 - fresh
    left = keep**steps
    spread = math.sqrt(fresh / (2 - fresh) * (1 - left**2) / batch)
    return {
        "left": left,
        "mean": 2 * (1 - left),
        "spread": spread,
        "one_percent": math.log(0.01) / math.log(keep),
    }


def draw_memory(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import numpy as np

    steps = np.arange(301)
    mean, spread = (
        np.array([memory(values["fresh"], float(t), values["batch"])[name] for t in steps])
        for name in ("mean", "spread")
    )
    ax.plot(steps, mean, label="running mean")
    ax.fill_between(steps, mean - 2 * spread, mean + 2 * spread, alpha=0.3)
    ax.axhline(2, color=style.INK, ls=":", label="true mean")
    ax.set(xlabel="step", ylabel="value", title=f"initial value: {numbers['left']:.3f} left")
    ax.legend(loc="lower right")


#: Places of up to twelve runs around their mean, in units of their spread; of no pattern, so that
#: no two sums of them agree by accident.
_RUNS = (0.37, -1.13, 0.81, -0.29, 1.47, -0.68, 0.09, 1.02, -1.71, 0.56, -0.43, 0.23)


def flips(seeds: int, mean: float, spread: float) -> Numbers:
    from contrastive_tutorial.records import holm, sign_flip_p

    places = _RUNS[:seeds]
    centre = sum(places) / seeds
    deltas = [mean + spread * (place - centre) for place in places]
    p = sign_flip_p(deltas)
    family = holm(dict.fromkeys(("first", "second", "third", "fourth"), p))
    return {
        "deltas": deltas,
        "mean": sum(deltas) / seeds,
        "p": p,
        "of_four": family["first"],
        "least": 2.0 ** (1 - seeds),
    }


def draw_flips(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    import itertools

    import numpy as np

    deltas = np.array(numbers["deltas"])
    signs = np.array(list(itertools.product((1, -1), repeat=len(deltas))))
    ax.hist((signs * deltas).mean(1), bins=41, range=(-4, 4), color=style.PALETTE[0])
    for side in (-1, 1):
        ax.axvline(side * numbers["mean"], color=style.PALETTE[1])
    ax.set(xlabel="mean difference (points), with signs flipped", ylabel="sign patterns")
    ax.set_title(f"p = {numbers['p']:.4f}")


# -- one sheet of dots: subsets, classes, and what a norm does to them ----------------------------

_GROUPS_OF_DOTS, _DOTS = 4, 48


def _stream(seed: int) -> Iterator[float]:
    """Uniform numbers in (0, 1) that a page draws alike: Lehmer's generator, exact in doubles."""
    while True:
        seed = seed * 16_807 % 2_147_483_647
        yield seed / 2_147_483_647


def sheet(shift: float, norm: int, uneven: bool, x: float, y: float) -> Numbers:
    """Dots of three classes in four subsets, after a norm; dot 0 stands where the reader put it."""
    import torch

    from contrastive_tutorial.study import toy

    draw = _stream(7)
    subsets = [i // 12 for i in range(_DOTS)]
    classes = [(k % 3 if uneven and i % 12 < 9 else i % 3) for i, k in enumerate(subsets)]
    raw = []
    for k, c in zip(subsets, classes, strict=True):
        own = [sum(next(draw) for _ in range(4)) - 2 for _ in range(2)]
        centre = _turned(90 + 120 * c, 1.2) + _turned(45 + 90 * k, shift)
        raw.append((centre + _exact(own)).tolist())
    raw[0] = (_exact([x, y]) + _turned(45, shift)).tolist()  # the reader's, moved as its subset
    rows = _exact(raw)
    dots = toy.normalize_groups(rows[None].expand(2, -1, -1), toy.NORMS[norm], 4)[0]
    far = torch.cdist(dots, dots).fill_diagonal_(math.inf).argmin(1).tolist()
    groups = dots.unflatten(0, (_GROUPS_OF_DOTS, -1))
    return {
        "dots": dots.tolist(),
        "classes": classes,
        "own_subset": sum(subsets[i] == subsets[j] for i, j in enumerate(far)) / _DOTS,
        "own_class": sum(classes[i] == classes[j] for i, j in enumerate(far)) / _DOTS,
        "inner": sum(toy.repulsion(group) for group in groups) / _GROUPS_OF_DOTS,
    }


def draw_sheet(ax: Axes, values: dict[str, Any], numbers: Numbers) -> None:
    for i, (px, py) in enumerate(numbers["dots"]):
        ax.plot(px, py, style.MARKERS[i // 12], color=style.PALETTE[numbers["classes"][i]])
    ax.set(aspect="equal", xlim=(-4, 4), ylim=(-3.2, 3.2))
    ax.set_title("colour: class, marker: subset")
