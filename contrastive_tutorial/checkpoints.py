"""Checkpoints: the state of a run in one safetensors file, written atomically, read without pickle.

A checkpoint carries the identity of its run (every setting, as JSON): it resumes that run only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.storage import atomic_write


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: steps taken.
        seconds: wall time they took, measurements on the way not counted.
        points: ``(step, seconds, value)`` of every measurement on the way.
    """

    step: int = 0
    seconds: float = 0.0
    points: list[tuple[int, float, float]] = field(default_factory=list)


@dataclass
class Loaded:
    """What :func:`read` found: plain values and tensors, fit to be sent to another process."""

    progress: Progress
    tensors: dict[str, Tensor]


def save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: Tensor,
    progress: Progress,
    identity: str,
) -> None:
    """Write the whole state of a run to ``path``, or leave what was there.

    Raises:
        InputError: if the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save as to_bytes

    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
    tensors["losses"] = losses
    # safetensors refuses tensors that share memory or are not contiguous (channels_last).
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    metadata = {
        "step": str(progress.step),
        "identity": identity,
        "seconds": repr(progress.seconds),
        "points": json.dumps(progress.points),
    }
    atomic_write(path, to_bytes(copies, metadata=metadata))


def read(path: Path, identity: str) -> Loaded:
    """The state in ``path``, on the CPU.

    Raises:
        InputError: if the file is damaged, or belongs to a run with another identity.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: the checkpoint is damaged ({error}); delete it to start that run anew"
        ) from error
    if metadata.get("identity") != identity:
        raise InputError(
            f"{path}: the checkpoint belongs to another configuration"
            f"{_difference(metadata.get('identity'), identity)}; delete it, or choose another "
            "results folder, to start anew"
        )
    points = [(int(s), float(t), float(v)) for s, t, v in json.loads(metadata.get("points", "[]"))]
    progress = Progress(int(metadata["step"]), float(metadata.get("seconds", "0")), points)
    return Loaded(progress, tensors)


def restore(
    loaded: Loaded, model: nn.Module, optimizer: torch.optim.Optimizer, losses: Tensor
) -> Progress:
    """Put a loaded state into model, optimiser and losses, in place."""
    model.load_state_dict(
        {name[6:]: value for name, value in loaded.tensors.items() if name.startswith("model.")}
    )
    state: dict[int, dict[str, Any]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in loaded.tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                # The fused optimiser walks memory, so moments must lie as the weights do.
                value = torch.empty_like(parameter).copy_(value)
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    losses.copy_(loaded.tensors["losses"])
    return loaded.progress


def _difference(found: str | None, wanted: str) -> str:
    """Name the first setting that differs, so that the message says what to change."""
    try:
        old, new = json.loads(found or "{}"), json.loads(wanted)
    except ValueError:
        return ""
    for key in sorted(set(old) | set(new)):
        if old.get(key) != new.get(key):
            return f" ({key}: it has {old.get(key)!r}, this run {new.get(key)!r})"
    return ""
