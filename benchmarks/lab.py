"""A step of the lab beside PyTorch's own step of the same network, on one core of this machine.

    python benchmarks/lab.py [--rounds 3] [--json FILE]

Processor time, which other load disturbs least: both sides take turns, the ratio is the median over
rounds. A step is forward, loss, backward and Adam on 2N given views; the lab's views are timed too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from common import write
from torch import nn

import contrastive_tutorial
from contrastive_tutorial.losses import nt_xent

HERE = Path(__file__).parent
LAB = Path(contrastive_tutorial.__file__).parent / "widgets" / "static" / "lab"
CASES = [("small", 64), ("small", 256), ("two_conv_strided", 64), ("two_conv_strided", 256)]


def network(name: str) -> nn.Sequential:
    """What the lab trains, as a PyTorch user would write it."""
    if name == "small":
        sizes, linear = ((3, 16, 3, 2, 1), (16, 32, 3, 2, 1)), (32, 64, 32)
    else:
        sizes, linear = ((3, 64, 5, 4, 2), (64, 128, 3, 2, 1)), (128, 128)
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride, pad in sizes:
        layers += [
            nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for i in range(len(linear) - 1):
        layers += [nn.Linear(linear[i], linear[i + 1]), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def torch_steps(name: str, n: int, count: int) -> list[float]:
    """Milliseconds of each of ``count`` steps."""
    model = network(name).to(memory_format=torch.channels_last)
    views = torch.rand(2 * n, 3, 32, 32).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    taken = []
    for step in range(-5, count):
        began = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        z = model(views)
        nt_xent(z[:n], z[n:], 0.2).backward()
        optimizer.step()
        if step >= 0:
            taken.append(1e3 * (time.process_time() - began))
    return taken


def lab_steps(name: str, n: int, count: int) -> dict[str, Any]:
    """The same of the lab, in node; see lab.js."""
    run = {"config": {"network": name, "n": n, "lr": 1e-3}, "count": count}
    job = json.dumps({"task": "speed", "folder": str(LAB), "runs": [run]})
    done = subprocess.run(
        ["node", HERE / "lab.js"], input=job, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {}
    for name, n in CASES:
        count = 40 if n == 64 else 12
        rounds = [
            (lab_steps(name, n, count), torch_steps(name, n, count)) for _ in range(options.rounds)
        ]
        ours = [statistics.median(own["network"]) for own, _ in rounds]
        theirs = [statistics.median(other) for _, other in rounds]
        figures[f"{name}, N = {n}"] = {
            "lab ms": statistics.median(ours),
            "torch ms": statistics.median(theirs),
            "lab over torch": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
            "lab's views ms": statistics.median(
                statistics.median(own["views"]) for own, _ in rounds
            ),
            "lab's memory MB": rounds[0][0]["megabytes"],
        }
    node = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=True)
    settings = {"rounds": options.rounds, "node": node.stdout.strip(),
                "measured": "processor time of one thread"}  # fmt: skip
    write(
        "A step of the lab beside PyTorch's", figures, settings, torch.device("cpu"), options.json
    )


if __name__ == "__main__":
    main()
