"""A step of the lab beside TensorFlow.js's and jax-js's, both on WebAssembly, in one run of node.

    python benchmarks/lab_peers.py [--rounds 9] [--json FILE]

Forward, NT-Xent, backward and Adam of the lab's small network at N = 64, from the same weights and
views. npm brings the peers, at the versions below, into a folder that is gone afterwards. The
engines take turns, the time is the processor's, a ratio is the median over rounds. Loss and
gradients have to agree before anything is timed; lab_peers.mjs has the three steps.

*Its products alone* is a bound: the multiplications and additions of the step's matrix products, in
registers (lab_chains.ts). No engine of one thread and 128 bits is faster on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from common import write
from lab import HERE, LAB

PEERS = {
    "@tensorflow/tfjs": "4.22.0",
    "@tensorflow/tfjs-backend-wasm": "4.22.0",
    "@jax-js/jax": "0.1.25",
}
COMPILER = "assemblyscript@0.28.20"  # the lab's (its package.json)
#: With this seed no value is so near to a ReLU's corner that rounding decides on which side it is.
CONFIG = {"n": 64, "temperature": 0.2, "lr": 0.001, "seed": 6}
TOLERANCES = {"loss": 1e-5, "gradient": 1e-4}


def measured(rounds: int) -> dict[str, Any]:
    """What lab_peers.mjs says of every engine."""
    with tempfile.TemporaryDirectory() as packages:
        wanted = [COMPILER, *(f"{name}@{version}" for name, version in PEERS.items())]
        quiet = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", "--prefix", packages, *quiet, *wanted], check=True)
        asc = Path(packages) / "node_modules" / "assemblyscript" / "bin" / "asc.js"
        built = ["-o", f"{packages}/chains.wasm", "-O3", "--enable", "simd", "--runtime", "stub"]
        subprocess.run(["node", asc, HERE / "lab_chains.ts", *built], check=True)
        job = {"packages": packages, "lab": str(LAB), "config": CONFIG, "rounds": rounds,
               "warm": 3, "steps": 15}  # fmt: skip
        done = subprocess.run(
            ["node", HERE / "lab_peers.mjs"], input=json.dumps(job), stdout=subprocess.PIPE,
            text=True, check=True,
        )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, engine in found.items():
        for what, most in TOLERANCES.items():
            if not engine.get(what, 0) <= most:
                raise SystemExit(f"{name}: its {what} is {engine[what]:.1e} from the lab's")
    return found


def quartiles(values: list[float]) -> list[float]:
    low, _, high = statistics.quantiles(values, n=4)
    return [low, high]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    found = measured(options.rounds)
    own = found["lab"]["seconds"]
    figures = {}
    for name, engine in found.items():
        ratios = [theirs / ours for theirs, ours in zip(engine["seconds"], own, strict=True)]
        milliseconds = [1e3 * seconds for seconds in engine["seconds"]]
        figures[name] = {
            "milliseconds": statistics.median(milliseconds),
            "quartiles": quartiles(milliseconds),
            "times the lab's": statistics.median(ratios),
            "its quartiles": quartiles(ratios),
            "loss differs by": engine.get("loss"),
            "gradients differ by": engine.get("gradient"),
        }
    node = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=True)
    settings = {
        "network": "small, N = 64", "rounds": options.rounds, "node": node.stdout.strip(),
        **PEERS, "measured": "processor time of node, which computes in one thread",
    }  # fmt: skip
    title = "A step of the lab beside TensorFlow.js's and jax-js's"
    write(title, figures, settings, torch.device("cpu"), options.json)


if __name__ == "__main__":
    main()
