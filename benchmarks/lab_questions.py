"""The lab's questions answered over seeds, offline: what a page may promise.

    python benchmarks/lab_questions.py [--seeds 8] [--only split ...] [--out FILE]

Runs both sides of every question in node and writes the questions, with the effect, its 95%
interval over seeds, the processor time at which it shows and the run of seed 0, to
``static/lab/questions.json``. A question whose effect does not show within 30 seconds of one core a
side is left out, and said.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import contrastive_tutorial
from contrastive_tutorial.records import mean_interval

HERE = Path(__file__).parent
LAB = Path(contrastive_tutorial.__file__).parent / "widgets" / "static" / "lab"
POINTS, LIMIT = 5, 30.0

#: For each metric: its words, and the least difference that a page calls one.
METRICS = {
    "knn": ("kNN accuracy", 0.03),
    "probe": ("policy probe", 0.1),
    "loss": ("loss", 0.1),
    "negative": ("cosine of negative pairs", 0.1),
}

QUICK = {"lr": 0.01, "steps": 200}
MARKED = {"k": 2, "policy": "subset", "strength": 0.5, "lr": 0.01, "steps": 200}
BLURRED = {"k": 2, "policy": "blur", "lr": 0.01, "steps": 200}

#: `options`: what is said if A has more, if B has more, if neither has. `why`: said after a run.
QUESTIONS: list[dict[str, Any]] = [
    {
        "id": "colours",
        "question": "Does keeping the colours teach anything?",
        "sides": ["colours kept", "colours randomised"],
        "a": QUICK | {"colours": "kept"},
        "b": QUICK,
        "metric": "knn",
        "options": [
            "kept colours teach more about shape",
            "randomised colours teach more about shape",
            "hardly any difference",
        ],
        "about": "Two views of an image have the same colours, or colours drawn anew for each.",
        "why": "Colours that are kept give the other view away: the loss falls, and no shape is "
        "learnt.",
    },
    {
        "id": "split",
        "question": "Does normalising each subset by itself close the subset shortcut?",
        "sides": ["BN over the batch", "split BN"],
        "a": MARKED,
        "b": MARKED | {"norm": "split"},
        "metric": "probe",
        "options": [
            "split BN hides the subset from z",
            "split BN shows the subset more",
            "hardly any difference",
        ],
        "about": "One half of the images is darker in every view, the other half brighter: that "
        "alone says in which half the other view lies. A linear probe tries to tell the half from "
        "z; guessing is right half the time.",
        "why": "What a whole subset shares as a shift or a scale, its own norm takes away. What "
        "differs within the subset stays.",
    },
    {
        "id": "strong",
        "question": "Does split BN take away a stronger mark too?",
        "sides": ["split BN, brightness ±0.15", "split BN, brightness ±0.3"],
        "a": MARKED | {"norm": "split"},
        "b": MARKED | {"norm": "split", "strength": 1},
        "metric": "probe",
        "options": [
            "the weaker mark is easier to see",
            "the stronger mark is still there to see",
            "both are gone",
        ],
        "about": "One half of the images is darker, the other half brighter, in B by twice as much "
        "as in A.",
        "why": "Strong marks cut values off at black and white: neither a shift nor a scale, so no "
        "norm brings them back.",
    },
    {
        "id": "blur",
        "question": "Does split BN take away a blur?",
        "sides": ["BN over the batch", "split BN"],
        "a": BLURRED,
        "b": BLURRED | {"norm": "split"},
        "metric": "probe",
        "options": [
            "split BN hides the blur from z",
            "split BN shows the blur more",
            "hardly any difference",
        ],
        "about": "One half of the images is blurred in every view, the other half is not.",
        "why": "Our guess: blurred edges are weaker, a smaller scale of the channels that find "
        "edges, which the subset's own norm evens out.",
    },
    {
        "id": "batch16",
        "question": "At a batch of 16, does BatchRenorm learn more than BN?",
        "sides": ["BN", "BatchRenorm"],
        "a": {"n": 16, "steps": 400},
        "b": {"n": 16, "steps": 400, "norm": "renorm"},
        "metric": "knn",
        "options": ["BN learns more", "BatchRenorm learns more", "hardly any difference"],
        "about": "Sixteen images a step: statistics are noisy and negatives few. BatchRenorm ties "
        "the batch's statistics to the running ones.",
    },
    {
        "id": "batchloss",
        "question": "At a batch of 16, which norm brings the loss lower: BN or BatchRenorm?",
        "sides": ["BN", "BatchRenorm"],
        "a": {"n": 16, "steps": 400},
        "b": {"n": 16, "steps": 400, "norm": "renorm"},
        "metric": "loss",
        "options": ["BatchRenorm", "BN", "neither"],
        "about": "Sixteen images a step: statistics are noisy and negatives few. BatchRenorm ties "
        "the batch's statistics to the running ones.",
    },
    {
        "id": "none",
        "question": "Does this network need a norm at all?",
        "sides": ["no norm", "BN"],
        "a": QUICK | {"norm": "none"},
        "b": QUICK,
        "metric": "knn",
        "options": ["it learns more without", "it learns more with BN", "hardly any difference"],
        "about": "The same weights, views and steps, with the two norm layers and without them.",
    },
    {
        "id": "temperature",
        "question": "Temperature 0.05 or 1?",
        "sides": ["temperature 0.05", "temperature 1"],
        "a": QUICK | {"temperature": 0.05},
        "b": QUICK | {"temperature": 1},
        "metric": "knn",
        "options": ["0.05 teaches more", "1 teaches more", "hardly any difference"],
        "about": "At a low temperature only the most similar negatives push; at a high one all "
        "push alike.",
    },
    {
        "id": "spread",
        "question": "Which temperature keeps different images further apart: 0.05 or 1?",
        "sides": ["temperature 0.05", "temperature 1"],
        "a": QUICK | {"temperature": 0.05},
        "b": QUICK | {"temperature": 1},
        "metric": "negative",
        "options": [
            "1: its negative pairs are less alike",
            "0.05: its negative pairs are less alike",
            "neither",
        ],
        "about": "At a low temperature only the most similar negatives push; at a high one all "
        "push alike. Watch the similarity of negative pairs.",
    },
    {
        "id": "negatives",
        "question": "Negatives only from my own subset: does z still show the subset?",
        "sides": ["all negatives", "own subset's negatives"],
        "a": MARKED,
        "b": MARKED | {"negatives": "within"},
        "metric": "probe",
        "options": [
            "less with the own subset's negatives",
            "more with the own subset's negatives",
            "hardly any difference",
        ],
        "about": "Where negatives come from the own subset, knowing the subset earns nothing. One "
        "half of the images is darker in every view, the other half brighter.",
    },
]  # fmt: skip


@functools.cache
def curves(side: str, seeds: int) -> list[Any]:
    """What lab.js measured on the runs of one side (JSON), seed by seed."""
    runs = [{"config": json.loads(side) | {"seed": i}, "points": POINTS} for i in range(seeds)]
    done = subprocess.run(
        ["node", str(HERE / "lab.js")],
        input=json.dumps({"task": "runs", "folder": str(LAB), "runs": runs}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def measured(item: dict[str, Any], seeds: int) -> dict[str, Any]:
    """The question with what its runs gave: B minus A at the end, and when that shows."""
    metric = item["metric"]
    sides = [curves(json.dumps(item[side]), seeds) for side in ("a", "b")]
    # (2 sides, seeds, points); the untrained network has no loss yet
    values = np.array([[[p[2].get(metric, np.nan) for p in run] for run in side] for side in sides])
    times = np.array([[[p[1] for p in run] for run in side] for side in sides]).mean(1).max(0)
    gaps = values[1] - values[0]
    end, effect = mean_interval(gaps[:, -1].tolist()), float(gaps[:, -1].mean())
    # An effect shows from the first point on after which every interval is on its side.
    hidden = [i for i in range(gaps.shape[1]) if not _on_side(gaps[:, i], effect)]
    first = max(hidden, default=-1) + 1
    return {
        **item, "label": METRICS[metric][0], "same": METRICS[metric][1], "effect": round(effect, 4),
        "interval": [round(end.low, 4), round(end.high, 4)], "seeds": seeds,
        "shows": round(float(times[first]), 1) if first < len(times) else None,
        "seconds": round(float(times[-1]), 1), "values": np.round(values[:, :, -1], 4).tolist(),
        "curve": [sides[0][0][-1][0], *map(hundredths, values[:, 0])],
    }  # fmt: skip


def hundredths(values: np.ndarray) -> list[int | None]:
    """One run for a page that cannot train: of seed 0, at even distances from step 0 to the last.

    >>> hundredths(np.array([np.nan, 0.284]))
    [None, 28]
    """
    return [None if np.isnan(value) else round(100 * float(value)) for value in values]


def _on_side(gaps: np.ndarray, effect: float) -> bool:
    if not np.isfinite(gaps).all():
        return False
    interval = mean_interval(gaps.tolist())
    return interval.low * effect > 0 and interval.high * effect > 0


def answered(found: dict[str, Any]) -> dict[str, Any]:
    """With the option that is right (``None`` where seeds disagree), and the figures in words."""
    low, high = found["interval"]
    same, effect, shows = found["same"], found["effect"], found["shows"]
    answer = None
    if low * high > 0 and abs(effect) >= same:
        answer = int(effect > 0)
    elif -same < low and high < same:
        answer = 2
    a, b = (sum(side) / len(side) for side in found["values"])
    after = f"after {found['seconds']:.0f} seconds of one core"
    if answer != 2 and shows is not None:
        after = (
            f"it shows after {shows} seconds of one core"
            if shows
            else "it is there before training"
        )
    text = (
        f"Measured over {found['seeds']} seeds: {found['label']} {a:.2f} in A and {b:.2f} in B, a "
        f"difference of {effect:+.2f}, 95% interval {low:+.2f} to {high:+.2f}; {after}."
    )
    return {**found, "answer": answer, "measured": text.replace("-", "−")}


def promised(found: dict[str, Any]) -> bool:
    """Whether a page may ask: the seeds agree, and half a minute is enough to see it."""
    if found["answer"] is None:
        return False
    return (found["seconds"] if found["answer"] == 2 else found["shows"]) <= LIMIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--only", nargs="+", metavar="ID", help="these questions alone")
    parser.add_argument("--out", type=Path, default=LAB / "questions.json")
    options = parser.parse_args()
    kept = []
    for item in QUESTIONS:
        if options.only and item["id"] not in options.only:
            continue
        found = answered(measured(item, options.seeds))
        print(f"{item['id']}: {found['measured']} {found['answer']}", flush=True)
        if promised(found):
            kept.append(found)
            options.out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        else:
            print("  left out: seeds disagree, or half a minute does not show it", flush=True)


if __name__ == "__main__":
    main()
