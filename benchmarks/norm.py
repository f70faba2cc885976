"""Cost of every kind of normalisation relative to ``nn.BatchNorm2d``, side by side in one run.

    python benchmarks/norm.py [--device cuda] [--threads 2] [--json FILE]

Three things are timed, forward and backward: the layer alone on the activations of the networks
below; a training step (SGD with momentum) of the strided two-convolution network on 1,000 rows;
and one of the CIFAR ResNet-18 on a small batch. Repetitions are interleaved, kind after kind, so
that a slow moment of the machine hits all of them; a ratio is the median over repetitions of
(this kind's time / plain BN's time in the same repetition), with its quartiles. On a machine that
others use, ``--cpu-time`` counts the processor time of one thread instead of time on the wall.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from common import origin
from torch import Tensor, nn

from contrastive_tutorial.norm import KINDS, convert_norm
from contrastive_tutorial.train import compiled, resnet18, two_conv

Step = Callable[[], None]


def interleaved(
    steps: dict[str, Step], repeats: int, device: torch.device, clock: Callable[[], float]
) -> dict[str, dict]:
    """Median time in ms of each step and its ratio to the step called ``bn``."""

    def timed(step: Step) -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = clock()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return 1e3 * (clock() - start)

    for step in steps.values():  # warm-up: allocations, kernel selection
        step()
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(timed(step))
    rows = {}
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, times["bn"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows[name] = {
            "median_ms": statistics.median(values),
            "ratio": middle,
            "ratio_quartiles": [low, high],
        }
    return rows


def layer_step(layer: nn.Module, x: Tensor, gradient: Tensor) -> Step:
    """Forward and backward of a layer alone, input gradient included."""

    def step() -> None:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        layer(x).backward(gradient)

    return step


def training_step(model: nn.Module, x: Tensor) -> Step:
    """Forward, backward and update of a network on a quadratic loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        model(x).square().mean().backward()
        optimizer.step()

    return step


def main() -> None:
    """Run, print the tables, write them as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    parser.add_argument("--subsets", type=int, default=10, help="K (default 10)")
    parser.add_argument("--resnet-batch", type=int, help="rows of ResNet-18 (40; 1000 on cuda)")
    parser.add_argument("--repeats", type=int, default=15, help="repetitions (default 15)")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument(
        "--studies", nargs="+", default=["layer", "two-conv", "resnet"],
        choices=["layer", "two-conv", "resnet"],
    )  # fmt: skip
    parser.add_argument("--contiguous", action="store_true", help="NCHW instead of channels_last")
    parser.add_argument("--bf16", action="store_true", help="under bfloat16 autocast")
    parser.add_argument("--compile", action="store_true", help="under torch.compile")
    parser.add_argument("--cpu-time", action="store_true", help="time one CPU thread, not the wall")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    args = parser.parse_args()
    if args.repeats < 2:
        parser.error(f"--repeats: quartiles need at least 2, got {args.repeats}")
    device = torch.device(args.device)
    if args.cpu_time:
        if device.type != "cpu":
            parser.error("--cpu-time says nothing about another device")
        args.threads = 1
    clock = time.thread_time if args.cpu_time else time.perf_counter
    if args.threads:
        torch.set_num_threads(args.threads)
    kinds = ["bn", *(kind for kind in args.kinds if kind != "bn")]
    layout = torch.contiguous_format if args.contiguous else torch.channels_last
    k = args.subsets
    small = args.resnet_batch or (1000 if device.type == "cuda" else 4 * k)

    def tensor(*shape: int) -> Tensor:
        return torch.randn(shape, device=device).to(memory_format=layout)

    def prepared(model: nn.Module, kind: str) -> nn.Module:
        model = convert_norm(model, kind, k, total_steps=1000).to(device).to(memory_format=layout)
        return compiled(model) if args.compile else model

    torch.manual_seed(0)
    studies: dict[str, dict[str, Step]] = {}
    if "layer" in args.studies:
        for shape in [(100 * k, 64, 8, 8), (100 * k, 128, 4, 4), (small, 64, 32, 32)]:
            x, gradient = tensor(*shape).requires_grad_(), tensor(*shape)
            studies[f"layer alone, {shape}"] = {
                kind: layer_step(prepared(nn.BatchNorm2d(shape[1]), kind), x, gradient)
                for kind in kinds
                if kind != "none"  # nothing to time
            }
    if "two-conv" in args.studies:
        rows = tensor(100 * k, 3, 32, 32)
        studies[f"training step, strided two-conv, {100 * k} rows"] = {
            kind: training_step(prepared(two_conv(strided=True), kind), rows) for kind in kinds
        }
    if "resnet" in args.studies:
        images = tensor(small, 3, 32, 32)
        studies[f"training step, CIFAR ResNet-18, {small} rows"] = {
            kind: training_step(prepared(resnet18(), kind), images) for kind in kinds
        }

    report: dict = {
        "title": "What each norm costs",
        **origin(device),
        "clock": "CPU time" if args.cpu_time else "wall",
        "threads": torch.get_num_threads(),
        "memory_format": str(layout),
        "bf16": args.bf16,
        "compile": args.compile,
        "subsets": k,
        "repeats": args.repeats,
        "studies": {},
    }
    hidden = ("title", "versions", "git_commit", "studies")
    print(", ".join(f"{key} {value}" for key, value in report.items() if key not in hidden))
    for title, steps in studies.items():
        with torch.autocast(device.type, torch.bfloat16, enabled=args.bf16):
            timings = interleaved(steps, args.repeats, device, clock)
        report["studies"][title] = timings
        print(f"\n{title}\n{'kind':8} {'ms':>9} {'ratio':>7}   quartiles")
        for kind, row in timings.items():
            low, high = row["ratio_quartiles"]
            print(
                f"{kind:8} {row['median_ms']:9.2f} {row['ratio']:7.2f}   {low:.2f} to {high:.2f}",
                flush=True,
            )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
