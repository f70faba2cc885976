"""Which recipe is worth a study: networks, temperatures, rates and heads at equal computing time.

    python benchmarks/calibration.py --data PATH --seconds 300 [--only NAME ...] [--seeds 0 1 2]

Every candidate trains B0, and B0 alone, for the same seconds of processor time on one thread; its
steps are counted out from a few timed ones, because the learning rate falls to zero over the run.
Where lightly is installed, `--lightly` runs its documented pipeline with the network, temperature
and rate of the best candidate, scored by the same code: what the same seconds buy there.
Scores are taken on the validation images; the test images are not looked at. The rule: the highest
mean validation kNN (k = 10, cosine) at the end.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import origin
from torch import nn

from contrastive_tutorial import metrics
from contrastive_tutorial.data import load_splits
from contrastive_tutorial.records import git_commit
from contrastive_tutorial.study import Experiment
from contrastive_tutorial.train import (
    ENCODERS,
    ContrastiveModel,
    ConvNet,
    Preset,
    ProjectionHead,
    two_conv,
)

_POINTS = 10


def convolutions(*layers: tuple[int, int, int, int]) -> ConvNet:
    """Convolution, BN and ReLU for each (channels, kernel, stride, padding), then the mean."""
    before, parts = 3, []
    for channels, kernel, stride, padding in layers:
        parts += [
            nn.Conv2d(before, channels, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        before = channels
    return ConvNet(nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1)), before)


def _with(make: Callable[[], ConvNet], hidden: int | None) -> Callable[[], ContrastiveModel]:
    def build() -> ContrastiveModel:
        encoder = make()
        return ContrastiveModel(encoder, ProjectionHead(encoder.feature_dim, hidden=hidden))

    return build


NETWORKS: dict[str, Callable[[], ContrastiveModel]] = {
    "article": _with(two_conv, None),
    "strided": _with(lambda: two_conv(strided=True), None),
    "strided-mlp": _with(lambda: two_conv(strided=True), 256),
    # No patch overlaps another, so that both layers are plain matrix products.
    "patches-mlp": _with(lambda: convolutions((64, 4, 4, 0), (128, 2, 2, 0)), 256),
    "three-mlp": _with(lambda: convolutions((32, 3, 2, 1), (64, 3, 2, 1), (128, 3, 2, 1)), 256),
    "four-mlp": _with(
        lambda: convolutions((32, 3, 2, 1), (64, 3, 2, 1), (128, 3, 2, 1), (256, 3, 1, 1)), 256
    ),
    "four": _with(
        lambda: convolutions((32, 3, 2, 1), (64, 3, 2, 1), (128, 3, 2, 1), (256, 3, 1, 1)), None
    ),
}

#: (network, temperature, learning rate, optimiser)
CANDIDATES: dict[str, tuple[str, float, float, str]] = {
    "today's recipe": ("strided", 0.5, 1e-3, "adam"),
    "the article's form": ("article", 0.2, 2e-3, "adamw"),
    "strided, t = 0.2": ("strided-mlp", 0.2, 4e-3, "adamw"),
    "patches, t = 0.2": ("patches-mlp", 0.2, 4e-3, "adamw"),
    "three layers, t = 0.2": ("three-mlp", 0.2, 4e-3, "adamw"),
    "four layers, t = 0.2": ("four-mlp", 0.2, 4e-3, "adamw"),
    "four layers, t = 0.2, half the rate": ("four-mlp", 0.2, 2e-3, "adamw"),
    "four layers, t = 0.1": ("four-mlp", 0.1, 4e-3, "adamw"),
    "four layers, t = 0.5": ("four-mlp", 0.5, 4e-3, "adamw"),
    "four layers, linear head": ("four", 0.2, 4e-3, "adamw"),
}
BEST = "four layers, t = 0.2"
#: The best again, added after the choice: what bfloat16 buys on a CPU that multiplies it.
HALF = f"{BEST}, bfloat16"
CANDIDATES[HALF] = CANDIDATES[BEST]
#: Its optimiser is Adam, as in lightly's own example.
LIGHTLY, LIGHTLY_RECIPE = "lightly, four layers, t = 0.2", ("four-mlp", 0.2, 4e-3, "adam")


def experiment(name: str, images: tuple, seed: int, steps: int) -> Experiment:
    """B0 by one candidate's recipe; what it calls its test images are the validation images."""
    network, temperature, lr, optimizer = CANDIDATES[name]
    ENCODERS[network] = NETWORKS[network]
    preset = Preset(
        "calibration", network, steps=steps, batch_size=500, lr=lr, optimizer=optimizer,
        temperature=temperature, warmup=0.05, bank=10_000, knn_every=max(steps // _POINTS, 1),
        precision="bfloat16" if name == HALF else "float32",
    )  # fmt: skip
    train, val, _ = images
    return Experiment("B0", (train, val, replace(val, split="test")), preset, seed, device="cpu")


def seconds_a_step(name: str, images: tuple, seed: int) -> float:
    """Processor time of one step: the median of twelve, after four to warm up."""
    ready = experiment(name, images, seed, 16)
    ready.preset = replace(ready.preset, knn_every=0)
    times: list[float] = []
    ready.train(progress=False, on_step=lambda *_: times.append(time.process_time()))
    each = sorted(after - before for before, after in itertools.pairwise(times[4:]))
    return each[len(each) // 2]


def trial(name: str, images: tuple, seed: int, seconds: float) -> dict[str, Any]:
    """Train one candidate for so many seconds; the curve and the final scores."""
    each = seconds_a_step(name, images, seed)
    ready = experiment(name, images, seed, max(int(seconds / each), _POINTS))
    spent = 0.0
    measure = ready.knn

    def timed() -> float:
        nonlocal spent
        started = time.process_time()
        found = measure()
        spent += time.process_time() - started
        return found

    ready.knn = timed  # type: ignore[method-assign]
    started = time.process_time()
    history = ready.train(progress=False)
    took = time.process_time() - started - spent
    share = took / ready.preset.steps
    return scored(ready, took, [(round(share * step, 1), knn) for step, _, knn in history.points])


def lightly_trial(images: tuple, seed: int, seconds: float) -> dict[str, Any]:
    """The same for lightly's pipeline around the network of ``BEST``, in this process."""
    from simclr import Lightly

    def pipeline(steps: int) -> tuple[Experiment, Lightly]:
        ready = experiment(BEST, images, seed, steps)
        theirs = Lightly(images[0].images, ready.preset, torch.device("cpu"), 1, workers=0)
        theirs.stream = theirs.batches()
        ready.model.encoder = theirs.encoder  # so that our code scores it
        return ready, theirs

    def timed(theirs: Lightly, steps: int) -> float:
        started = time.process_time()
        theirs.train(steps)
        return time.process_time() - started

    _, theirs = pipeline(_POINTS)
    timed(theirs, 2)
    every = max(int(seconds / _POINTS / (timed(theirs, 4) / 4)), 1)
    ready, theirs = pipeline(every * _POINTS)
    took, curve = 0.0, []
    for _ in range(_POINTS):
        took += timed(theirs, every)
        curve.append((round(took, 1), ready.knn()))
        theirs.model.train()
    return scored(ready, took, curve)


def scored(ready: Experiment, took: float, curve: list[tuple[float, float]]) -> dict[str, Any]:
    """What a candidate took, and how its encoder does on the validation images."""
    bank = ready.train_set
    h, h_val = ready.features(bank, "reestimated"), ready.features(ready.test_set, "reestimated")
    labels, val_labels = bank.labels, ready.test_set.labels
    return {
        "seed": ready.seed,
        "steps": ready.preset.steps,
        "epochs": round(ready.preset.steps * ready.preset.batch_size / len(bank), 2),
        "seconds": round(took, 1),
        "curve": curve,
        "knn10": metrics.knn_accuracy(h, labels, h_val, val_labels, k=10, temperature=None),
        "linear_probe": metrics.linear_probe(h, labels, h_val, val_labels),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument("--lightly", action="store_true", help="its pipeline instead")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = load_splits(options.data, torch.device("cpu"))
    names = [LIGHTLY] if options.lightly else options.only
    for seed, name in itertools.product(options.seeds, names):
        if options.lightly:
            found = lightly_trial(images, seed, options.seconds)
        else:
            found = trial(name, images, seed, options.seconds)
        print(
            f"{name:36} seed {seed}: {found['epochs']:5.1f} epochs in {found['seconds']:.0f} s, "
            f"kNN {found['knn10']:.3f}, linear probe {found['linear_probe']:.3f}", flush=True,
        )  # fmt: skip
        if options.json:
            _keep(options.json, name, found, options)


def _keep(path: Path, name: str, found: dict[str, Any], options: argparse.Namespace) -> None:
    if path.exists():
        content = json.loads(path.read_text(encoding="utf-8"))
    else:
        content = {
            "title": "Calibration: B0 on validation images, equal processor time",
            **origin(torch.device("cpu")),
            "settings": {"seconds": options.seconds, "data": Path(options.data).name},
            "rows": [],
            "curves": {},
        }
    recipes = CANDIDATES | {LIGHTLY: LIGHTLY_RECIPE}
    network, temperature, lr, optimizer = recipes[name]
    curve = found.pop("curve")
    row = {"candidate": name, "network": network, "temperature": temperature, "lr": lr,
           "optimizer": optimizer, **found, "commit": (git_commit() or "")[:10]}  # fmt: skip
    others = [r for r in content["rows"] if (r["candidate"], r["seed"]) != (name, found["seed"])]
    content["rows"] = [*others, row]
    content["curves"][f"{name}, seed {found['seed']}"] = curve
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
