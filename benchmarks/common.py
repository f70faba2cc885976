"""What every benchmark writes: figures, with the machine, the load on it, versions and commit."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from contrastive_tutorial.records import git_commit, versions
from contrastive_tutorial.train import device_name


def origin(device: torch.device, libraries: Sequence[str] = ()) -> dict[str, Any]:
    """Where and with what a benchmark ran."""
    found = versions()
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        "device": device_name(device),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": found,
        "git_commit": git_commit(),
    }


def write(
    title: str,
    figures: dict[str, Any],
    settings: dict[str, Any],
    device: torch.device,
    path: Path | None,
    libraries: Sequence[str] = (),
) -> None:
    """Print the figures; with a path, keep them as JSON."""
    where = origin(device, libraries)
    print(f"{title}: {where['device']}, load average {where['load_average']}")
    for name, value in figures.items():
        print(f"  {name:32} {value:12,.3f}" if isinstance(value, float) else f"  {name:32} {value}")
    if path:
        content = {"title": title, **where, "settings": settings, "figures": figures}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
