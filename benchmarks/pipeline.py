"""Images a second from uint8 images to an optimiser step, and what each norm adds: one run.

    python benchmarks/pipeline.py [--data PATH] [--json FILE]

Prints, all in one run on the same machine: the training step of the strided two-conv network (500
images, two views each) under plain BN and under split and domain-specific BN with K = 10, in turn
and interleaved; our batched augmentation against lightly's per-image SimCLR transform (as many
worker processes as cores) and kornia's batched one; decoding the archive the first time and from
the cache; the peak memory of this process. Medians; warm-up excluded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from contrastive_tutorial import augment, data
from contrastive_tutorial.records import git_commit, versions
from contrastive_tutorial.study import Experiment
from contrastive_tutorial.train import PRESETS, device_name

ROUNDS = 7


def seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def interleaved(jobs: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each job, taken in turn so that drift hits all alike."""
    for job in jobs.values():
        job(), job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            taken[name].append(seconds(job))
    return {name: statistics.median(values) for name, values in taken.items()}


def training_step(cell: str, sets: tuple[data.ImageSet, ...]) -> Callable[[], object]:
    experiment = Experiment(cell, sets, PRESETS["cpu"])
    optimizer = torch.optim.Adam(experiment.model.parameters(), fused=True)
    generator = torch.Generator().manual_seed(0)
    experiment.model.train()
    step = iter(range(10**9))

    def job() -> None:
        optimizer.zero_grad(set_to_none=True)
        experiment.loss(next(step), generator).backward()
        optimizer.step()

    return job


def ours(images: torch.Tensor) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.zeros(len(images), dtype=torch.int64)
    return lambda: augment.apply(images, augment.sample((augment.DEFAULT_POLICY,), ids, generator))


def korneas(images: torch.Tensor) -> Callable[[], object]:
    import kornia.augmentation as K

    transform = torch.nn.Sequential(
        K.RandomResizedCrop((32, 32), scale=(0.2, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
    )
    as_float = images.float() / 255
    return lambda: transform(as_float)


class Lightly(torch.utils.data.Dataset):
    """Images through lightly's own transform, one PIL image at a time: two views each."""

    def __init__(self, images: torch.Tensor):
        from lightly.transforms import SimCLRTransform
        from PIL import Image

        self.transform = SimCLRTransform(
            input_size=32, cj_strength=0.5, gaussian_blur=0.0, min_scale=0.2
        )
        self.images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        return self.transform(self.images[index])


def lightlys_views_per_second(images: torch.Tensor) -> float:
    workers = os.cpu_count() or 1
    loader = torch.utils.data.DataLoader(
        Lightly(images), batch_size=100, num_workers=workers, persistent_workers=True
    )
    rates = []
    for _ in range(3):  # the first pass starts the workers
        batches = iter(loader)
        next(batches)
        started = time.perf_counter()
        views = sum(2 * len(batch[0]) for batch in batches)
        rates.append(views / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="archive to decode (default: skip decoding)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    found: dict[str, float] = {}

    if options.data:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["CONTRASTIVE_TUTORIAL_CACHE"] = cache
            found["decode_seconds"] = seconds(lambda: data.load(options.data, "train"))
            found["cached_seconds"] = seconds(lambda: data.load(options.data, "train"))
            sets = tuple(data.load(options.data, s) for s in ("train", "val", "test"))
    else:
        sets = tuple(data.load("shapes", s) for s in ("train", "val", "test"))

    cells = {"bn": "M-bn", "split": "M-split", "dsbn": "M-P1", "baseline": "B0"}
    steps = interleaved({name: training_step(cell, sets) for name, cell in cells.items()})
    found["step_images_per_second"] = 500 / steps["baseline"]
    found["split_over_bn"] = steps["split"] / steps["bn"]
    found["dsbn_over_bn"] = steps["dsbn"] / steps["bn"]

    views = sets[0].images[torch.arange(500).repeat(2)]
    batched = interleaved({"ours": ours(views), "kornia": korneas(views)})
    found["ours_views_per_second"] = len(views) / batched["ours"]
    found["kornia_views_per_second"] = len(views) / batched["kornia"]
    found["lightly_views_per_second"] = lightlys_views_per_second(sets[0].images[:2_000])
    found["ours_over_kornia"] = found["ours_views_per_second"] / found["kornia_views_per_second"]
    found["ours_over_lightly"] = found["ours_views_per_second"] / found["lightly_views_per_second"]
    found["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9

    for name, value in found.items():
        print(f"{name:28} {value:12,.3f}")
    if options.json:
        where = {
            "title": "The pipeline, piece by piece",
            "device": device_name(torch.device("cpu")), "versions": versions(),
            "git_commit": git_commit(),
        }  # fmt: skip
        options.json.write_text(json.dumps({**where, "figures": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
