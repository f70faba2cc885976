"""The training loop: one function from batches and a loss to trained weights.

Every random draw of step *t* comes from a generator seeded by ``(seed, t)``. So a run that was
killed and resumed at step *t* continues with the numbers it would have drawn anyway; on a CPU its
final weights are bit-identical to those of an uninterrupted run.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.storage import atomic_write

# (step, generator) -> the loss of that step, a scalar that depends on the model's parameters
StepLoss = Callable[[int, torch.Generator], Tensor]

_WARMUP_STEPS_NOT_TIMED = 3


@dataclass(frozen=True)
class TrainConfig:
    """How to optimise.

    Attributes:
        steps: optimiser steps.
        lr: peak learning rate; cosine decay to zero over ``steps``.
        optimizer: ``"adam"`` or ``"sgd"`` (momentum 0.9).
        weight_decay: L2 penalty, not applied to one-dimensional parameters (biases, norm affine).
        warmup: fraction of the steps with a linearly rising learning rate.
        seed: of everything random in the run.
        bf16: autocast to bfloat16; ``None`` means on CUDA devices that support it.
        checkpoint_every: steps between checkpoints (when a checkpoint file is given).
    """

    steps: int
    lr: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 1e-4
    warmup: float = 0.0
    seed: int = 0
    bf16: bool | None = None
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise InputError(f"steps: expected 0 or more, got {self.steps}")
        if self.optimizer not in ("adam", "sgd"):
            raise InputError(f"optimizer: expected 'adam' or 'sgd', got {self.optimizer!r}")
        if not self.lr > 0:
            raise InputError(f"lr: expected a positive number, got {self.lr}")


@dataclass
class History:
    """What training leaves beside the weights.

    Attributes:
        losses: float32 ``(steps,)`` loss of every step.
        seconds: wall time of the steps taken in this process.
        images_per_second: throughput over them, the first three excluded (warm-up).
    """

    losses: Tensor = field(default_factory=lambda: torch.empty(0))
    seconds: float = 0.0
    images_per_second: float = 0.0

    def curve(self, points: int = 200) -> list[tuple[int, float]]:
        """``(step, mean loss)`` over at most ``points`` equal stretches of the run."""
        if not len(self.losses):
            return []
        stretch = math.ceil(len(self.losses) / points)
        return [
            (start + len(part) // 2, float(part.mean()))
            for start, part in zip(
                range(0, len(self.losses), stretch), self.losses.split(stretch), strict=True
            )
        ]


def resolve_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the best there is (CUDA, then CPU).

    Raises:
        InputError: if the device asked for is not there.
    """
    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device: expected 'cpu', 'cuda' or 'cuda:N', got {device!r}") from error
    if wanted.type == "cuda" and (
        not torch.cuda.is_available() or (wanted.index or 0) >= torch.cuda.device_count()
    ):
        raise InputError(
            f"device: {device!r} is not there ({torch.cuda.device_count()} CUDA devices found); "
            "use --device cpu"
        )
    return wanted


def device_name(device: torch.device) -> str:
    """A readable name: the GPU's, or the CPU's model with the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_model()} ({torch.get_num_threads()} threads)"


def _cpu_model() -> str:
    import platform

    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "CPU"


def step_seed(seed: int, step: int) -> int:
    """A 63-bit seed for one step; steps and neighbouring seeds share no stream."""
    digest = hashlib.blake2b(f"{seed}:{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def train(
    model: nn.Module,
    step_loss: StepLoss,
    config: TrainConfig,
    *,
    images_per_step: int = 1,
    checkpoint: str | Path | None = None,
    fingerprint: dict[str, Any] | None = None,
    progress: bool | str = True,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> History:
    """Train ``model`` in place by ``config.steps`` steps on ``step_loss``.

    Args:
        model: its parameters are optimised; left in training mode.
        step_loss: ``step_loss(step, generator)`` returns the scalar loss of one step. It runs
            under autocast when ``config.bf16``; ``generator`` (on the model's device) and torch's
            global generator are both seeded by ``(config.seed, step)``.
        images_per_step: for the throughput and the progress bar.
        checkpoint: file to save to (atomically) and to resume from.
        fingerprint: what else a checkpoint must agree on to be resumed, e.g. the cell and data.
        progress: ``False``, ``True``, or the label of the progress bar.
        on_step: called after each step with the step and the detached loss (no copy to the host).

    Raises:
        InputError: if the loss is not finite (the last good checkpoint stays), or the checkpoint
            belongs to another configuration or is damaged.
    """
    device = next(model.parameters()).device
    optimizer = _make_optimizer(model, config)
    bf16 = config.bf16
    if bf16 is None:
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    losses = torch.full((config.steps,), float("nan"), device=device)
    identity = json.dumps({**asdict(config), **(fingerprint or {})}, sort_keys=True, default=str)
    start = 0
    if checkpoint is not None and Path(checkpoint).exists():
        start = _load_checkpoint(Path(checkpoint), model, optimizer, losses, identity)
    elif checkpoint is not None:
        # Find out now, not after an hour, whether the folder can be written.
        _save_checkpoint(Path(checkpoint), model, optimizer, losses, 0, identity)

    model.train()
    generator = torch.Generator(device=device)
    bar = _bar(progress, config.steps, start, images_per_step)
    clock_start, timed_steps, timer = time.perf_counter(), 0, 0.0
    global_state = torch.get_rng_state()
    try:
        for step in range(start, config.steps):
            if step == start + _WARMUP_STEPS_NOT_TIMED:
                _synchronize(device)
                timer = time.perf_counter()
            seed = step_seed(config.seed, step)
            generator.manual_seed(seed)
            torch.manual_seed(seed)  # for layers that draw from the global generator
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(config, step)
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = step_loss(step, generator)
            loss.backward()
            optimizer.step()
            losses[step] = loss.detach()
            timed_steps += step >= start + _WARMUP_STEPS_NOT_TIMED
            if on_step is not None:
                on_step(step, loss.detach())
            last = step + 1 == config.steps
            if last or (step + 1) % config.checkpoint_every == 0:
                _require_finite(losses[: step + 1], checkpoint)
                if checkpoint is not None:
                    _save_checkpoint(Path(checkpoint), model, optimizer, losses, step + 1, identity)
            bar.update(1)
    finally:
        bar.close()
        torch.set_rng_state(global_state)
    _synchronize(device)
    now = time.perf_counter()
    rate = timed_steps * images_per_step / (now - timer) if timed_steps else 0.0
    return History(losses.float().cpu(), now - clock_start, rate)


def _bar(progress: bool | str, total: int, start: int, images_per_step: int) -> tqdm:
    # A bar written into a log or a built page is noise: draw it for eyes only.
    hidden = progress is False or not (sys.stderr.isatty() or "ipykernel" in sys.modules)
    return tqdm(
        total=total,
        initial=start,
        desc=progress if isinstance(progress, str) else "training",
        unit="step",
        postfix={"images/step": images_per_step},
        disable=hidden or _in_book_build(),
        mininterval=0.5,
        leave=False,
    )


def _in_book_build() -> bool:
    import os

    return os.environ.get("CONTRASTIVE_TUTORIAL_BOOK") == "1"


def _make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    fused = next(model.parameters()).device.type in ("cuda", "cpu")
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=config.lr, fused=fused)
    return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, fused=fused)


def _learning_rate(config: TrainConfig, step: int) -> float:
    warmup = config.warmup * config.steps
    if step < warmup:
        return config.lr * (step + 1) / warmup
    done = (step - warmup) / max(config.steps - warmup, 1)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _require_finite(losses: Tensor, checkpoint: str | Path | None) -> None:
    finite = torch.isfinite(losses)
    if bool(finite.all()):
        return
    step = int(torch.nonzero(~finite)[0])
    kept = f"; the last good checkpoint is kept in {checkpoint}" if checkpoint else ""
    raise InputError(
        f"loss is {float(losses[step])} at step {step}{kept}. Try a lower learning rate, a longer "
        "warm-up, or a higher temperature"
    )


def _save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: Tensor,
    step: int,
    identity: str,
) -> None:
    from safetensors.torch import save

    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
    tensors["losses"] = losses
    # safetensors refuses tensors that share memory or are not contiguous (channels_last).
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    atomic_write(path, save(copies, metadata={"step": str(step), "identity": identity}))


def _load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, losses: Tensor, identity: str
) -> int:
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
    model.load_state_dict(
        {name[6:]: value for name, value in tensors.items() if name.startswith("model.")}
    )
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in tensors.items():
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
    losses.copy_(tensors["losses"])
    return int(metadata["step"])


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
