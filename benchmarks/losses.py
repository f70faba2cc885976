"""Triplet mining and NT-Xent against pytorch-metric-learning and lightly: time and peak memory.

    python benchmarks/losses.py [--device cuda] [--threads 2] [--sizes 256 1024 4096] [--json FILE]

Loss and gradient of N unit vectors with 128 dimensions: for mining N embeddings of ten classes,
for NT-Xent N images, two views each. Every step runs in a process of its own, which measures by how
much its memory rises above what it held when the step began; a second process times all
contestants in turn, so that a slow moment of the machine hits all of them. A ratio below one means
that ours is faster or smaller. ``--limit`` bounds what a step may take in GiB: a contestant that
needs more is reported as such instead of taking the machine down.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

Step = Callable[[], float]

MARGIN, TEMPERATURE, CLASSES, DIMENSIONS = 0.2, 0.5, 10, 128
TASKS = {
    "semi-hard": ("ours", "pytorch-metric-learning"),
    "batch-all": ("ours", "pytorch-metric-learning"),
    "batch-hard": ("ours", "pytorch-metric-learning"),
    "nt-xent": ("ours", "pytorch-metric-learning", "lightly"),
}
ROUNDS = 9
PATIENCE = 20.0  # seconds after which a slow contest ends, with at least one timed round
TOO_MUCH_MEMORY = 3  # exit status


def make_step(task: str, who: str, n: int, device: torch.device) -> Step:
    """Loss and gradient, as a function without arguments that returns the loss."""
    generator = torch.Generator().manual_seed(0)
    rows = 2 * n if task == "nt-xent" else n
    z = F.normalize(torch.randn(rows, DIMENSIONS, generator=generator), dim=1).to(device)
    z.requires_grad_()
    labels = (torch.arange(n) % CLASSES).to(device)
    loss_of = contestant(task, who)

    def step() -> float:
        z.grad = None
        loss = loss_of(z[:n], z[n:]) if task == "nt-xent" else loss_of(z, labels)
        loss.backward()
        return float(loss.detach())

    return step


def contestant(task: str, who: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    if who == "ours":
        from contrastive_tutorial import losses

        if task == "nt-xent":
            return lambda z0, z1: losses.nt_xent(z0, z1, TEMPERATURE)
        mined = {
            "semi-hard": losses.semi_hard_triplet_loss,
            "batch-all": losses.batch_all_triplet_loss,
            "batch-hard": losses.batch_hard_triplet_loss,
        }[task]
        return lambda z, labels: mined(z, labels, MARGIN)
    if who == "lightly":
        from lightly.loss import NTXentLoss as LightlyNTXent

        return LightlyNTXent(TEMPERATURE)
    from pytorch_metric_learning import distances, miners
    from pytorch_metric_learning import losses as peer

    if task == "nt-xent":
        return peer.SelfSupervisedLoss(peer.NTXentLoss(TEMPERATURE))
    distance = distances.LpDistance(normalize_embeddings=False)
    loss = peer.TripletMarginLoss(MARGIN, distance=distance)
    if task == "batch-all":
        return loss
    miner: Any = (
        miners.TripletMarginMiner(MARGIN, "semihard", distance=distance)
        if task == "semi-hard"
        else miners.BatchHardMiner(distance=distance)
    )
    return lambda z, labels: loss(z, labels, miner(z, labels))


def out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "memory" in str(error)


def peak_of(step: Step, device: torch.device) -> int:
    """Bytes by which memory rises above its level at the start of ``step``."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    status = Path("/proc/self/status")
    try:  # forget the peak of the imports, so that small steps show
        Path("/proc/self/clear_refs").write_text("5")
        before = _kilobytes(status, "VmRSS")
        step()
        return 1024 * (_kilobytes(status, "VmHWM") - before)
    except OSError:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        step()
        return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def _kilobytes(status: Path, field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", status.read_text())
    if not found:
        raise OSError(f"{status} has no {field}")
    return int(found[1])


def bound_memory(limit_gib: float, device: torch.device) -> None:
    """Make allocations beyond the limit fail, instead of the machine."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_gib * 2**30 / total), device)
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + int(limit_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def measure_peak(task: str, who: str, n: int, device: torch.device, limit: float) -> dict:
    """In a fresh process: peak memory and loss of one step, or that it did not fit."""
    make_step(task, who, 32, device)()  # imports, thread pools, libraries' own workspaces
    step = make_step(task, who, n, device)
    bound_memory(limit, device)
    value = 0.0

    def keep_value() -> None:
        nonlocal value
        value = step()

    peak = peak_of(keep_value, device)  # type: ignore[arg-type]
    return {"peak_bytes": peak, "loss": value}


def measure_times(task: str, who: list[str], n: int, device: torch.device, limit: float) -> dict:
    """In a fresh process: milliseconds of every contestant's step, taken in turn."""
    steps = {name: make_step(task, name, n, device) for name in who}
    bound_memory(limit, device)
    taken: dict[str, list[float]] = {name: [] for name in who}
    begun = time.perf_counter()
    for turn in range(ROUNDS + 1):
        if turn > 1 and time.perf_counter() - begun > PATIENCE:
            break
        for name, step in steps.items():
            _synchronize(device)
            start = time.perf_counter()
            step()
            _synchronize(device)
            if turn:  # the first turn is warm-up
                taken[name].append(1e3 * (time.perf_counter() - start))
    ratios = {
        name: statistics.median(a / b for a, b in zip(taken["ours"], times, strict=True))
        for name, times in taken.items()
    }
    return {
        name: {
            "median_ms": statistics.median(times),
            "ours_over_this": ratios[name],
            "rounds": len(times),
        }
        for name, times in taken.items()
    }


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_fresh_process(arguments: list[str], options: argparse.Namespace) -> dict | None:
    """What the child printed; ``None`` if it ran out of memory."""
    command = [
        sys.executable, __file__, "--device", str(options.device), "--threads",
        str(options.threads), "--limit", str(options.limit), *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode in (TOO_MUCH_MEMORY, -9):
        return None
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def child(options: argparse.Namespace) -> int:
    what, task, size, *who = options.child
    try:
        if what == "peak":
            found = measure_peak(task, who[0], int(size), options.device, options.limit)
        else:
            found = measure_times(task, who, int(size), options.device, options.limit)
    except (MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            return TOO_MUCH_MEMORY
        raise
    print(json.dumps(found))
    return 0


def compare(task: str, n: int, options: argparse.Namespace) -> list[dict]:
    """One row for each contestant; prints them."""
    peaks = {
        who: in_fresh_process(["--child", "peak", task, str(n), who], options)
        for who in TASKS[task]
    }
    fit = [who for who, peak in peaks.items() if peak is not None]
    times = in_fresh_process(["--child", "time", task, str(n), *fit], options) or {}
    rows = []
    for who, peak in peaks.items():
        row: dict[str, Any] = {"task": task, "n": n, "who": who, "fits": peak is not None}
        line = f"{task:11} {n:6,} {who:24}"
        if peak is None:
            print(f"{line} needs more than {options.limit:g} GiB", flush=True)
        else:
            own = peaks["ours"] or peak
            row |= peak | times.get(who, {})
            row["ours_over_this_memory"] = own["peak_bytes"] / max(1, peak["peak_bytes"])
            print(
                f"{line} {row['median_ms']:10,.1f} ms {row['peak_bytes'] / 2**20:10,.1f} MiB   "
                f"loss {row['loss']:.5f}   ours/this: time {row['ours_over_this']:.4f}, "
                f"memory {row['ours_over_this_memory']:.4f}",
                flush=True,
            )
        rows.append(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["semi-hard", "nt-xent"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 1024, 4096])
    parser.add_argument("--limit", type=float, default=8.0, help="GiB that one step may take")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        return child(options)

    from importlib.metadata import version

    from contrastive_tutorial.records import git_commit, versions
    from contrastive_tutorial.train import device_name

    where = {
        "device": device_name(options.device),
        "versions": versions()
        | {name: version(name) for name in ("pytorch-metric-learning", "lightly")},
        "git_commit": git_commit(),
        "limit_gib": options.limit,
    }
    print(f"{where['device']}, torch {where['versions']['torch']}")
    rows = [
        row for task in options.tasks for n in options.sizes for row in compare(task, n, options)
    ]
    if options.json:
        options.json.write_text(json.dumps({**where, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
