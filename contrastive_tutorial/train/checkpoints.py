"""Checkpoints: the state of a run in one safetensors file, written atomically, read without pickle.

A checkpoint carries the identity of its run (every setting, as JSON): it resumes that run only. It
also carries a digest of all that it holds: a bit that a disk lost stops the run, and does not move
its results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import load_tensors, on_host, save_tensors


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
    """Write the whole state of a run to ``path``, or leave what was there."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
    tensors["losses"] = losses
    copies = on_host(tensors)
    metadata = {
        "step": str(progress.step),
        "identity": identity,
        "seconds": repr(progress.seconds),
        "points": json.dumps(progress.points),
    }
    save_tensors(path, copies, {**metadata, "digest": content_digest(copies, metadata)})


def read(path: Path, identity: str) -> Loaded:
    """The state in ``path``, on the CPU.

    Raises:
        InputError: if the file is damaged, or belongs to a run with another identity.
    """
    try:
        tensors, metadata = load_tensors(path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: the checkpoint cannot be read ({error.strerror or error}); run the same "
            "command again, or delete it to start that run anew"
        ) from error
    except Exception as error:  # of safetensors, of the system, or of torch for odd shapes
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    if metadata.get("identity") != identity:
        raise InputError(
            f"{path}: the checkpoint belongs to another configuration"
            f"{_difference(metadata.get('identity'), identity)}; delete it, or choose another "
            "results folder, to start anew"
        )
    if metadata.pop("digest", None) != content_digest(tensors, metadata):
        raise _damaged(path, "its content does not match its checksum")
    try:
        points = [(int(s), float(t), float(v)) for s, t, v in json.loads(metadata["points"])]
        progress = Progress(int(metadata["step"]), float(metadata["seconds"]), points)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, f"{type(error).__name__} in its header") from error
    return Loaded(progress, tensors)


def _damaged(path: Path, reason: str) -> InputError:
    line = " ".join(reason.split())
    return InputError(
        f"{path}: the checkpoint is damaged ({line:.200}); delete it to start that run anew"
    )


def content_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 (hex) of every name, type, shape and byte, whatever their order in the file."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def restore(
    loaded: Loaded, model: nn.Module, optimizer: torch.optim.Optimizer, losses: Tensor
) -> Progress:
    """Put a loaded state into model, optimiser and losses, in place."""
    try:
        model.load_state_dict(
            {name[6:]: value for name, value in loaded.tensors.items() if name.startswith("model.")}
        )
        optimizer.load_state_dict(
            {
                "state": _moments(loaded, optimizer),
                "param_groups": optimizer.state_dict()["param_groups"],
            }
        )
        losses.copy_(loaded.tensors["losses"])
    except (RuntimeError, LookupError, ValueError) as error:
        raise InputError(
            f"the checkpoint holds the state of another model ({' '.join(str(error).split()):.200})"
            "; delete it to start that run anew"
        ) from error
    return loaded.progress


def _moments(loaded: Loaded, optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
    """The optimiser's state by number of the parameter."""
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
    return state


def _difference(found: str | None, wanted: str) -> str:
    """Name the first setting that differs, so that the message says what to change."""
    try:
        old, new = json.loads(found or "{}"), json.loads(wanted)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(old, dict):
        return ""
    for key in sorted(set(old) | set(new)):
        if old.get(key) != new.get(key):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                return _difference(json.dumps(old[key]), json.dumps(new[key]))
            return f" ({key}: it has {old.get(key)!r:.60}, this run {new.get(key)!r:.60})"
    return ""
