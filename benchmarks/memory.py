"""The memory of a training step against what its activations need.

    python benchmarks/memory.py [--steps cpu:500 resnet-100:64] [--device cuda] [--json FILE]

*Needed* is what no step can do without: the tensors that autograd saves for the backward pass (each
piece of memory once, the views among them), the weights, their gradients and the optimiser's state.
*Peak* is the most that torch's allocator held at any moment of a step, from augmentation to
optimiser, weights and state included: on a CPU from the profiler's record of every allocation and
release, on a GPU from the allocator itself. On Linux, *resident* says the same of the whole process
as the system sees it: by how much its resident set grew at most over that of the same process after
a step of a tiny batch, weights added. The C library is told to return released memory at once;
*with the library's default* it keeps some for later, and the same steps look larger. *Estimate* is
what the package holds against free memory before it begins (`contrastive_tutorial.train.memory`);
it must not lie below the peak. Each case runs in a process of its own.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from common import write

from contrastive_tutorial import data
from contrastive_tutorial.study import Experiment
from contrastive_tutorial.train import (
    Preset,
    Saved,
    make_optimizer,
    preset,
    resolve_device,
    supports_bf16,
)

STEPS = ("cpu:500", "resnet-100:64")
_TINY = 4


class Steps:
    """An experiment whose steps are taken one by one."""

    def __init__(self, what: Preset, sets: tuple, device: torch.device) -> None:
        self.experiment = Experiment("B0", sets, what, device=device)
        self.model = self.experiment.trained.train()
        self.optimizer = make_optimizer(self.model, self.experiment.config)
        self.generator = torch.Generator(device=device).manual_seed(0)
        self.count = 0

    def forward(self) -> torch.Tensor:
        device = self.experiment.device
        self.count += 1
        with torch.autocast(device.type, torch.bfloat16, enabled=supports_bf16(device)):
            return self.experiment.loss(self.count, self.generator)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.forward().backward()
        self.optimizer.step()

    def saved(self) -> int:
        """Bytes that a forward pass leaves for the backward pass."""
        self.optimizer.zero_grad(set_to_none=True)
        with Saved(self.model) as saved:
            loss = self.forward()
        del loss  # only now: two tensors must not be taken for one piece of memory
        return saved.bytes

    @property
    def fixed(self) -> int:
        """Bytes of weights and optimiser state."""
        state = (v for values in self.optimizer.state.values() for v in values.values())
        tensors = [*self.model.parameters(), *(v for v in state if isinstance(v, torch.Tensor))]
        return sum(tensor.nbytes for tensor in tensors)

    @property
    def weights(self) -> int:
        return sum(p.nbytes for p in self.model.parameters())


def allocated(steps: Steps) -> int:
    """The most that a step allocated beyond weights and state, in bytes."""
    device = steps.experiment.device
    steps.optimizer.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        steps.step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        steps.step()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    level = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        level += event.nbytes()
        peak = max(peak, level)
    return peak


def resident(job: Callable[[], object]) -> int | None:
    """By how many bytes the resident set grew at most; ``None`` where the system does not say."""

    def status(name: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise OSError(name)

    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
        before = status("VmRSS")
        job()
        return status("VmHWM") - before
    except (OSError, AttributeError):
        return None


def measure(name: str, batch: int, device: torch.device) -> dict[str, float | str | int]:
    """One row of the table."""
    counts = {"train": max(2 * batch, 200), "val": 100, "test": 100}
    sets = tuple(data.load("shapes", s, device, num_images=n) for s, n in counts.items())
    tiny, what = (replace(preset(name), batch_size=n) for n in (_TINY, batch))
    # Code and tables of every kernel are in memory before anything is measured.
    first = Steps(tiny, sets, device)
    first.step()
    fixed = first.fixed
    first.optimizer.zero_grad(set_to_none=True)
    steps = Steps(what, sets, device)

    def few() -> None:
        for _ in range(3):
            steps.step()

    grown = resident(few) if device.type == "cpu" else None
    steps.step()
    needed = steps.fixed + steps.weights + steps.saved()
    peak = steps.fixed + allocated(steps)
    row: dict[str, float | str | int] = {
        "encoder": what.encoder, "passes": what.passes,
        "needed_mb": needed / 1e6, "peak_mb": peak / 1e6, "peak_over_needed": peak / needed,
    }  # fmt: skip
    if grown is not None:
        # The weights of the second experiment were there before; its optimiser state was not.
        row["resident_mb"] = (grown + steps.weights) / 1e6
        row["resident_over_needed"] = (grown + steps.weights) / needed
    estimate = steps.experiment.memory_need().of(batch)
    row |= {"estimate_mb": estimate / 1e6, "estimate_over_peak": estimate / peak}
    assert steps.fixed == fixed
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", nargs="+", default=STEPS, metavar="PRESET:BATCH")
    parser.add_argument("--device")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = resolve_device(options.device)
    if options.one:
        name, _, batch = options.steps[0].rpartition(":")
        print(json.dumps(measure(name, int(batch), device)))
        return
    figures = {}
    for step in options.steps:
        row = alone(step, device, {"MALLOC_MMAP_THRESHOLD_": "131072"})
        if "resident_mb" in row:
            row["resident_mb_with_the_library's_default"] = alone(step, device, {})["resident_mb"]
        figures[step.replace(":", ", batch ")] = row
    write("The memory of a step", figures, {}, device, options.json)


def alone(step: str, device: torch.device, environment: dict[str, str]) -> dict:
    """The row of one case, measured in a new process."""
    command = [sys.executable, __file__, "--one", "--steps", step, "--device", str(device)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    if done.returncode:
        sys.exit(f"{step}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
