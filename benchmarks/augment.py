"""Views a second of the batched augmentation against those of other libraries, in one run.

    python benchmarks/augment.py [--views 1000] [--rounds 9] [--cpu-time] [--json FILE]

Every contestant makes the same number of SimCLR-CIFAR views (resized crop with scale 0.2-1, flip,
colour jitter 0.4/0.4/0.4/0.1 with p = 0.8, grayscale with p = 0.2; no blur) from 32 x 32 images in
memory, and has every core of the machine:

* ours: drawing and applying, from uint8, torch's threads;
* ours, compiled: `torch.compile(Augment(policy))`, drawing and applying in one piece, from the same
  policy, with draws of the compiler's own, as kornia's are;
* ours, P1: as ours, with the ten policies of the split experiments, a tenth of the views each;
* lightly: `SimCLRTransform` on PIL images in as many processes as there are cores, results thrown
  away where they were made (no transport, no collation: the transform alone);
* lightly, loader: the same transform in a DataLoader with as many workers (how it is used);
* kornia: its batched transforms with its own per-image parameters, from uint8, torch's threads;
* kornia, compiled: the same under `torch.compile`, which takes minutes before the first round;
* stable-pretraining: its GPU transforms, on the CPU (where it compiles nothing), if installed.

The process keeps the memory that it frees, as it does in training
(`contrastive_tutorial.train.memory`): every contestant here has that of it.

The contestants take turns, round by round, each after a pause and a call that is not timed: the one
that followed processes of another used to pay for their end. Figures are medians over rounds; a
ratio is the median of the rounds' ratios, with its quartiles. Warm-up is not counted.

On a machine that others use, `--cpu-time` compares one thread with one thread, in this process, by
the processor time that it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from contrastive_tutorial.augment import DEFAULT_POLICY, POLICIES, Augment, apply, sample
from contrastive_tutorial.records import git_commit, versions
from contrastive_tutorial.train import device_name
from contrastive_tutorial.train.memory import keep_freed_memory

SCALE, JITTER, JITTER_PROBABILITY, GRAY_PROBABILITY = (0.2, 1.0), (0.4, 0.4, 0.4, 0.1), 0.8, 0.2


def ours(images: Tensor, policies: tuple) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.arange(len(images)) % len(policies)
    return lambda: apply(images, sample(policies, ids, generator))


def ours_compiled(images: Tensor) -> Callable[[], object]:
    augment = torch.compile(Augment(DEFAULT_POLICY))
    return lambda: augment(images)


def kornias(images: Tensor, compiled: bool) -> Callable[[], object]:
    import kornia.augmentation as K

    transform: Callable = torch.nn.Sequential(
        K.RandomResizedCrop((32, 32), scale=SCALE),
        K.RandomHorizontalFlip(),
        K.ColorJitter(*JITTER, p=JITTER_PROBABILITY),
        K.RandomGrayscale(p=GRAY_PROBABILITY),
    )
    if compiled:
        transform = torch.compile(transform)
    return lambda: transform(images.float() / 255)


def stable_pretrainings(images: Tensor) -> Callable[[], object]:
    from stable_pretraining.data import gpu_transforms as gpu

    transform = gpu.GPUCompose([
        gpu.GPURandomResizedCrop(32, scale=SCALE),
        gpu.GPURandomHorizontalFlip(),
        gpu.GPUColorJitter(*JITTER, p=JITTER_PROBABILITY),
        gpu.GPURandomGrayscale(p=GRAY_PROBABILITY),
    ])  # fmt: skip
    return lambda: transform({"image": images.float() / 255})


class LightlyViews(torch.utils.data.Dataset):
    """Two views of each image, by lightly's transform from a PIL image. lightly's jitter is
    (0.8, 0.8, 0.8, 0.2) times its strength."""

    def __init__(self, images: Tensor) -> None:
        from lightly.transforms import SimCLRTransform
        from PIL import Image

        self.transform = SimCLRTransform(
            input_size=32, min_scale=SCALE[0], cj_strength=0.5, cj_prob=JITTER_PROBABILITY,
            random_gray_scale=GRAY_PROBABILITY, gaussian_blur=0.0, normalize=None,
        )  # fmt: skip
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[Tensor]:
        return self.transform(self.images[index])


_views: LightlyViews


def _start_process(images: Tensor) -> None:
    global _views
    torch.set_num_threads(1)
    _views = LightlyViews(images)


def _make(indices: range) -> int:
    return sum(len(_views[i]) for i in indices)


def lightlys_in_processes(images: Tensor, workers: int) -> Callable[[], object]:
    pool = ProcessPoolExecutor(workers, initializer=_start_process, initargs=(images,))
    # Several shares a process, so that neither core waits for a slow share of the other.
    shares = [range(i, len(images), 4 * workers) for i in range(4 * workers)]
    return lambda: sum(pool.map(_make, shares))


def lightlys_in_a_loader(images: Tensor, workers: int) -> Callable[[], object]:
    loader = torch.utils.data.DataLoader(
        LightlyViews(images), batch_size=50, num_workers=workers, persistent_workers=True
    )
    return lambda: sum(len(views) for batch in loader for views in batch)


def take_turns(
    jobs: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of every job in every round."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(-2, rounds):
        for name, job in jobs.items():
            time.sleep(0.3)  # processes and spinning threads of the one before come to rest
            job()
            started = clock()
            job()
            if turn >= 0:
                taken[name].append(clock() - started)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=1000, help="views per round (even)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that count")
    parser.add_argument("--cpu-time", action="store_true", help="processor time of one thread")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()

    keep_freed_memory()
    workers = os.cpu_count() or 1
    generator = torch.Generator().manual_seed(0)
    shape = (options.views // 2, 3, 32, 32)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    twice = images.repeat(2, 1, 1, 1)
    jobs: dict[str, Callable[[], object]] = {}
    if options.cpu_time:
        workers = 1
        torch.set_num_threads(1)
        views = LightlyViews(images)
        jobs["lightly"] = lambda: [views[i] for i in range(len(images))]
    else:  # before anything runs threads here
        jobs["lightly"] = lightlys_in_processes(images, workers)
        jobs["lightly, loader"] = lightlys_in_a_loader(images, workers)
    jobs["ours"] = ours(twice, (DEFAULT_POLICY,))
    jobs["ours, compiled"] = ours_compiled(twice)
    jobs["ours, P1"] = ours(twice, POLICIES)
    jobs["kornia"] = kornias(twice, compiled=False)
    jobs["kornia, compiled"] = kornias(twice, compiled=True)
    libraries = ["lightly", "kornia"]
    if find_spec("stable_pretraining"):
        jobs["stable-pretraining"] = stable_pretrainings(twice)
        libraries.append("stable-pretraining")
    clock = time.thread_time if options.cpu_time else time.perf_counter
    taken = take_turns(jobs, options.rounds, clock)

    where = {
        "title": "Augmentation beside that of other libraries",
        "machine": device_name(torch.device("cpu")),
        "load_average": os.getloadavg()[0],
        "versions": {**versions(), **{name: version(name) for name in libraries}},
        "commit": git_commit(),
    }
    what = "processor time of one thread" if options.cpu_time else f"{workers} cores"
    print(f"{where['machine']}, {what}, load average {where['load_average']:.1f}")
    print(f"{len(twice)} views a round, median of {options.rounds} rounds\n")
    own = ("ours", "ours, compiled")
    print(f"{'':18} {'ms':>8} {'views/s':>9}   times as long as {own[0]} | {own[1]} (quartiles)")
    figures = {}
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        figures[name] = {"milliseconds": 1e3 * middle, "views_per_second": len(twice) / middle}
        line = f"{name:18} {1e3 * middle:8.1f} {len(twice) / middle:9,.0f}  "
        for label, reference in zip(("over_ours", "over_ours_compiled"), own, strict=True):
            ratios = [theirs / one for theirs, one in zip(seconds, taken[reference], strict=True)]
            low, ratio, high = statistics.quantiles(ratios, n=4)
            figures[name] |= {label: ratio, f"{label}_quartiles": [low, high]}
            line += f" {ratio:6.2f} ({low:.2f}-{high:.2f})"
        print(line)
    if options.json:
        settings = {"views": len(twice), "rounds": options.rounds, "measured": what}
        options.json.write_text(
            json.dumps({**where, **settings, "figures": figures}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
