"""A whole SimCLR step against lightly's pipeline, in images a second, and where its time goes.

    python benchmarks/simclr.py [--preset cpu] [--batch 500] [--rounds 5] [--json FILE]
    python benchmarks/simclr.py --profile [--preset resnet-100] [--device cuda] [--json FILE]
    python benchmarks/simclr.py --to-knn 0.42 --data PATH [--every 25] [--json FILE]

Side by side, in one run, on one machine: *ours* is the package's own training step, from uint8
images in memory to an optimiser step. *lightly's* is its documented pipeline: `SimCLRTransform` on
PIL images in a DataLoader with a worker process per core, two forward passes, its projection head
and `NTXentLoss`, the same encoder, the same batch, the same optimiser. Pipelines take turns by
rounds of a few steps; figures are medians over rounds, warm-up excluded: lightly's workers live for
its own rounds only, and the batches that they made before its clock started are trained on first.
An image is one image seen in two views. On a machine that others use, `--cpu-time` compares by the
processor time that each pipeline takes with one thread and no worker. Peak memory: of this process
on a CPU (workers not counted), of the device on a GPU.

`--to-knn` trains both from the same weights of the encoder until the kNN accuracy (k = 10, cosine,
clean test images, running statistics) reaches the value, or the preset's steps are done. It is
measured every few steps with the clock stopped, for both by the same code (lightly's workers go on
meanwhile: up to two batches each, in its favour). A curve that never gets there has no time.
`--lightly` gives lightly's pipeline the recipe of another preset with the same encoder.
`time_to_knn.py` reads the same off the records of whole runs.

`--profile` takes the step apart instead: augmentation, forward pass, backward pass, optimiser,
each timed by itself with the device synchronised, beside the whole step, and beside two floors: the
arithmetic of the network (its floating-point operations at the rate that a large matrix product
reaches here), and the bytes that the step must move at least (its activations once out and once
back, at the rate that a copy reaches here).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from common import write
from torch import nn

from contrastive_tutorial import data
from contrastive_tutorial.study import Experiment
from contrastive_tutorial.train import (
    Preset,
    learning_rate,
    make_optimizer,
    preset,
    resolve_device,
    seeded,
)


class Timer:
    """Seconds of a job with the device synchronised before and after."""

    def __init__(
        self, device: torch.device, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.device, self.clock = device, clock

    def __call__(self, job: Callable[[], object]) -> float:
        self.wait()
        started = self.clock()
        job()
        self.wait()
        return self.clock() - started

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def ours(experiment: Experiment, steps: int) -> Callable[[], object]:
    optimizer = make_optimizer(experiment.trained, experiment.config)
    device = experiment.device
    generator = torch.Generator(device=device).manual_seed(0)
    experiment.trained.train()
    count = iter(range(10**9))

    def job() -> None:
        for _ in range(steps):
            step = next(count)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(
                device.type, torch.bfloat16, enabled=experiment.preset.bf16(device)
            ):
                loss = experiment.loss(step, generator)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = rate(experiment.preset, step)
            optimizer.step()

    return job


def rate(what: Preset, step: int) -> float:
    """The preset's schedule; beyond its end (a benchmark may go on) that of its last step."""
    return learning_rate(what, min(step, what.steps - 1))


class Pictures(torch.utils.data.Dataset):
    """PIL images through lightly's transform: two views each."""

    def __init__(self, images: torch.Tensor) -> None:
        from lightly.transforms import SimCLRTransform
        from PIL import Image

        self.transform = SimCLRTransform(
            input_size=32, min_scale=0.2, cj_strength=0.5, cj_prob=0.8, random_gray_scale=0.2,
            gaussian_blur=0.0, normalize=None,
        )  # fmt: skip
        self.images = [Image.fromarray(i.permute(1, 2, 0).numpy()) for i in images.cpu()]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        return self.transform(self.images[index])


class Lightly:
    """lightly's pipeline: called, it trains for `steps` steps. Its workers live from `begin` to
    `rest`: left alone they would fill their queues while the other pipeline is timed, and take its
    cores; their own turn would then start with batches that nobody had waited for."""

    def __init__(
        self, images: torch.Tensor, what: Preset, device: torch.device, steps: int, workers: int
    ) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        self.what, self.device, self.steps, self.count = what, device, steps, 0
        self.encoder = seeded(0, what.encoder).encoder
        head = SimCLRProjectionHead(self.encoder.feature_dim, 128, 128)  # two layers, with BN
        self.model = nn.Sequential(self.encoder, head).to(device).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=what.lr, fused=True)
        if what.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(
                self.model.parameters(), lr=what.lr, momentum=0.9, fused=True
            )
        self.criterion = NTXentLoss(temperature=what.temperature)
        self.loader = torch.utils.data.DataLoader(
            Pictures(images), batch_size=what.batch_size, shuffle=True, drop_last=True,
            num_workers=workers, pin_memory=device.type == "cuda",
        )  # fmt: skip
        self.prefetched = 2 * workers  # the loader's default
        self.stream: Iterator[list[torch.Tensor]] | None = None

    def batches(self) -> Iterator[list[torch.Tensor]]:
        while True:
            yield from self.loader

    def begin(self) -> None:
        """Workers start, and what they made before the first step is used up."""
        self.stream = self.batches()
        self.train(self.prefetched + 1)

    def rest(self) -> None:
        """The workers end."""
        self.stream = None

    def train(self, steps: int) -> None:
        assert self.stream is not None
        for _ in range(steps):
            first, second = (v.to(self.device, non_blocking=True) for v in next(self.stream))
            self.optimizer.zero_grad(set_to_none=True)
            bf16 = self.what.bf16(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                loss = self.criterion(self.model(first), self.model(second))
            loss.backward()
            for group in self.optimizer.param_groups:
                group["lr"] = rate(self.what, self.count)
            self.optimizer.step()
            self.count += 1

    def __call__(self) -> None:
        self.train(self.steps)


def memory_gb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def compare(sets: tuple, what: Preset, timer: Timer, rounds: int, steps: int, workers: int) -> dict:
    device = timer.device
    figures: dict[str, float] = {}
    theirs = Lightly(sets[0].images, what, device, steps, workers)
    theirs.begin()
    theirs.rest()
    figures["lightly_peak_memory_gb"] = memory_gb(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    own = ours(Experiment("B0", sets, what, device=device), steps)
    own()
    if device.type == "cuda":
        figures["ours_peak_memory_gb"] = memory_gb(device)
    taken: dict[str, list[float]] = {"ours": [], "lightly": []}
    for _ in range(rounds):
        taken["ours"].append(timer(own))
        theirs.begin()
        taken["lightly"].append(timer(theirs))
        theirs.rest()
    images = steps * what.batch_size
    for name, seconds in taken.items():
        figures[f"{name}_images_per_second"] = images / statistics.median(seconds)
    ratios = [b / a for a, b in zip(taken["ours"], taken["lightly"], strict=True)]
    figures["ours_over_lightly"] = statistics.median(ratios)
    if rounds > 2:
        low, _, high = statistics.quantiles(ratios, n=4)
        figures["ours_over_lightly_low"], figures["ours_over_lightly_high"] = low, high
    return figures


def to_knn(
    sets: tuple, what: Preset, peer: Preset, timer: Timer, wanted: list[float], every: int,
    workers: int,
) -> dict:  # fmt: skip
    """Seconds of training until the kNN accuracy of each pipeline reaches each wanted value."""
    device, figures = timer.device, {}
    theirs = Lightly(sets[0].images, peer, device, every, workers)
    theirs.stream = theirs.batches()  # every step counts from the first
    experiment = Experiment("B0", sets, what, device=device)
    jobs = {
        "lightly": (theirs, theirs.encoder),
        "ours": (ours(experiment, every), experiment.model.encoder),
    }  # fmt: skip
    for name, (job, encoder) in jobs.items():
        seconds, best, reached = 0.0, 0.0, dict.fromkeys(wanted)
        for _ in range(every, (what if name == "ours" else peer).steps + 1, every):
            seconds += timer(job)
            # In our model's shell: one measurement for both.
            shell = experiment.model if name == "ours" else nn.Module()
            shell.encoder = encoder
            accuracy = experiment._evaluator().quick_knn(shell)  # type: ignore[arg-type]
            encoder.train()
            best = max(best, accuracy)
            for value in wanted:
                if reached[value] is None and accuracy >= value:
                    reached[value] = seconds
            if None not in reached.values():
                break
        theirs.rest()
        figures[f"{name}_best_knn"] = best
        for value, at in reached.items():
            figures[f"{name}_seconds_to_{value}"] = at if at is not None else "not reached"
    for value in wanted:
        one, other = (figures[f"{name}_seconds_to_{value}"] for name in ("ours", "lightly"))
        if isinstance(one, float) and isinstance(other, float):
            figures[f"lightly_over_ours_to_{value}"] = other / one
    return figures


def profile(sets: tuple, what: Preset, timer: Timer, rounds: int) -> dict:
    """Milliseconds of each part of a step, and the two floors."""
    device = timer.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    experiment = Experiment("B0", sets, what, device=device)
    optimizer = make_optimizer(experiment.trained, experiment.config)
    generator = torch.Generator(device=device).manual_seed(0)
    bf16 = what.bf16(device)
    experiment.trained.train()
    kept: dict[str, torch.Tensor] = {}
    whole = ours(experiment, 1)
    make = experiment.views

    def augmentation() -> None:
        kept["views"] = make(0, generator)

    def forward() -> None:
        experiment.views = lambda step, generator: kept["views"]  # type: ignore[method-assign]
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            kept["loss"] = experiment.loss(0, generator)
        experiment.views = make  # type: ignore[method-assign]

    def backward() -> None:
        optimizer.zero_grad(set_to_none=True)
        kept["loss"].backward()

    parts = {
        "augmentation": augmentation, "forward": forward, "backward": backward,
        "optimizer": optimizer.step, "whole_step": whole,
    }  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(-2, rounds):
        for name, job in parts.items():
            seconds = timer(job)
            if turn >= 0:
                taken[name].append(seconds)
    figures = {f"{name}_ms": 1e3 * statistics.median(s) for name, s in taken.items()}
    need = experiment.memory_need()
    bytes_kept = need.per_image * what.batch_size
    flops = operations(experiment)
    figures |= {
        "images_per_second": what.batch_size / statistics.median(taken["whole_step"]),
        "gflop_per_image": flops / 1e9 / what.batch_size,
        "arithmetic_floor_ms": 1e3 * flops / peak_flops(device, timer),
        "memory_floor_ms": 1e3 * 2 * bytes_kept / peak_bandwidth(device, timer),
        "activations_gb": bytes_kept / 1e9,
        "peak_memory_gb": memory_gb(device),
    }
    if device.type == "cuda":
        figures["peak_over_need"] = (
            figures["peak_memory_gb"] * 1e9 / (need.of(what.batch_size) / 1.2)
        )
    return figures


def operations(experiment: Experiment) -> float:
    """Floating-point operations of a step: forward pass counted by torch, backward twice that."""
    from torch.utils.flop_counter import FlopCounterMode

    x = torch.zeros(8, 3, 32, 32, device=experiment.device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        seeded(0, experiment.preset.encoder).to(experiment.device).eval()(x)
    return 3 * counter.get_total_flops() / 8 * 2 * experiment.preset.batch_size


def peak_flops(device: torch.device, timer: Timer) -> float:
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=kind)
    a @ a
    return 2 * n**3 / min(timer(lambda: a @ a) for _ in range(5))


def peak_bandwidth(device: torch.device, timer: Timer) -> float:
    a = torch.ones(2**28 if device.type == "cuda" else 2**25, device=device)
    b = torch.empty_like(a)
    b.copy_(a)
    return 2 * a.nbytes / min(timer(lambda: b.copy_(a)) for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cpu", help="encoder, optimiser, passes (default: cpu)")
    parser.add_argument("--batch", type=int, help="images a step (default: the preset's)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="steps a round")
    parser.add_argument("--images", type=int, default=2_000, help="shapes in memory")
    parser.add_argument("--device")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--to-knn", nargs="+", type=float, metavar="ACCURACY")
    parser.add_argument(
        "--lightly", metavar="PRESET", help="with --to-knn: lightly's recipe, if another"
    )
    parser.add_argument("--every", type=int, default=25, help="steps between measurements of kNN")
    parser.add_argument("--data", help="with --to-knn: archive or folder (default: shapes)")
    parser.add_argument("--cpu-time", action="store_true", help="processor time of one thread")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    device, what = resolve_device(options.device), preset(options.preset)
    peer = preset(options.lightly or options.preset)
    if peer.encoder != what.encoder:
        parser.error("--lightly: expected a preset with the same encoder")
    timer, workers = Timer(device), os.cpu_count() or 1
    if options.cpu_time:
        if device.type != "cpu":
            parser.error("--cpu-time says nothing about another device")
        torch.set_num_threads(1)
        timer, workers = Timer(device, time.process_time), 0
    if options.batch:
        what = replace(what, batch_size=options.batch)
    tested = 1_000 if options.to_knn else 100
    counts = {"train": options.images, "val": 100, "test": tested}
    sets = tuple(data.load("shapes", s, device, num_images=n) for s, n in counts.items())
    if options.to_knn:
        if options.data:
            sets = tuple(data.load(options.data, s, device) for s in counts)
        figures = to_knn(sets, what, peer, timer, options.to_knn, options.every, workers)
    elif options.profile:
        figures = profile(sets, what, timer, options.rounds)
    else:
        figures = compare(sets, what, timer, options.rounds, options.steps, workers)
    settings = {
        "preset": what.name, "encoder": what.encoder, "batch": what.batch_size,
        "rounds": options.rounds, "steps a round": options.steps, "passes": what.passes,
        "measured": "processor time of one thread" if options.cpu_time else "wall time",
    }  # fmt: skip
    title = "Where a step's time goes" if options.profile else "A whole step beside lightly's"
    if options.to_knn:
        title = "Training time to a kNN accuracy, beside lightly's"
        settings |= {"images": sets[0].name, "steps between measurements": options.every}
        settings |= {"lightly's preset": peer.name}
    write(title, figures, settings, device, options.json, ("lightly",))


if __name__ == "__main__":
    main()
