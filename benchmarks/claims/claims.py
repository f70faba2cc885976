"""What the scripts of this folder share: their clock, and the small file they leave behind.

A script asks one question of a chapter again as a critic would, and leaves ``NAME.json`` beside
itself, from which the chapter shows the answer.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from contrastive_tutorial.records import git_commit, versions
from contrastive_tutorial.train import device_name


def started() -> float:
    """Seconds of CPU time so far; one thread, so that results do not depend on their number."""
    torch.set_num_threads(1)
    return time.process_time()


def finish(clock: float, name: str, found: dict[str, Any]) -> None:
    """Write ``NAME.json``: what was found, rounded, and where and on what it was computed."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, 5)
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return [rounded(item) for item in value] if isinstance(value, list) else value

    seconds = time.process_time() - clock
    where = {"device": device_name(torch.device("cpu")), "torch": versions()["torch"]}
    where |= {"cpu_seconds": round(seconds), "git_commit": git_commit()}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in where.items()]
    for key, value in rounded(found).items():
        if isinstance(value, list):  # one run a line, so that a change can be read
            rows = ",\n  ".join(json.dumps(row) for row in value)
            lines.append(f"{json.dumps(key)}: [\n  {rows}\n ]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path = Path(__file__).with_name(f"{name}.json")
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{path.name}: {seconds:.0f} s of CPU time")
