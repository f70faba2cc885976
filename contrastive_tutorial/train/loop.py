"""The training loop: one function from batches and a loss to trained weights.

Every random draw of step *t* comes from a generator seeded by ``(seed, t)``. So a run that was
killed and resumed at step *t* continues with the numbers it would have drawn anyway; on a CPU its
final weights are bit-identical to those of an uninterrupted run.
"""

from __future__ import annotations

import contextlib
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
from contrastive_tutorial.files import in_book
from contrastive_tutorial.train import checkpoints
from contrastive_tutorial.train.checkpoints import Progress
from contrastive_tutorial.train.devices import supports_bf16, synchronize
from contrastive_tutorial.train.memory import give_back_freed_memory, keep_freed_memory
from contrastive_tutorial.train.optimizers import learning_rate, make_optimizer
from contrastive_tutorial.train.presets import require_schedule
from contrastive_tutorial.train.processes import ProcessGroup
from contrastive_tutorial.train.sharding import sync_buffers

# (step, generator) -> the loss of that step, a scalar that depends on the model's parameters
StepLoss = Callable[[int, torch.Generator], Tensor]

_WARMUP_STEPS_NOT_TIMED = 3
_SECONDS_A_LINE = 60.0
_LARGEST_WEIGHT = 1e4  # those of a run that learns stay below 100
_TRY = "Try a lower learning rate, a longer warm-up, or a higher temperature"


@dataclass(frozen=True)
class TrainConfig:
    """How to optimise.

    Attributes:
        steps: optimiser steps.
        lr: peak learning rate; cosine decay to zero over ``steps``.
        optimizer: ``"adam"``, ``"adamw"`` or ``"sgd"`` (momentum 0.9).
        weight_decay: L2 penalty, not applied to biases and norm layers.
        warmup: fraction of the steps with a linearly rising learning rate, rounded to whole steps.
        seed: of everything random in the run.
        bf16: autocast to bfloat16; ``None`` means where :func:`supports_bf16` says so.
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
        require_schedule(self)


@dataclass
class History:
    """What training leaves beside the weights.

    Attributes:
        losses: float32 ``(steps,)`` loss of every step.
        seconds: wall time of all steps, also of those taken before the run was interrupted;
            measurements on the way are not counted.
        images_per_second: throughput over the steps taken in this process, the first three
            excluded (warm-up); of fewer than five, over the last one.
        points: ``(step, seconds, value)`` of every measurement on the way.
    """

    losses: Tensor = field(default_factory=lambda: torch.empty(0))
    seconds: float = 0.0
    images_per_second: float = 0.0
    points: list[tuple[int, float, float]] = field(default_factory=list)

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


def step_seed(seed: int, what: int | str) -> int:
    """The seed of one use of random numbers in a run: a step by its number, or a purpose by name.

    A hash, so that neighbouring seeds and steps have nothing to do with each other. torch's CPU
    generator keeps 32 bits of it: among n draws two share a stream with probability n²/2³³.
    """
    digest = hashlib.blake2b(f"{seed}:{what}".encode(), digest_size=8).digest()
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
    measure: Callable[[], float] | None = None,
    measure_every: int = 0,
    group: ProcessGroup | None = None,
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
        measure: called after every ``measure_every`` steps and after the last; its value and the
            training time so far become a point of the history. The clock stands still meanwhile.
        group: of several processes that train one model: gradients are averaged after every
            backward pass, the first process keeps the checkpoint. ``step_loss`` must return a loss
            whose average over processes is the loss of the whole batch.

    On a CPU the process keeps the memory that a step frees until the run ends (:mod:`.memory`). On
    a GPU the host waits only at checkpoints, at measurements, and at the end.

    Raises:
        InputError: if the loss is not finite or the weights run away (the last good checkpoint
            stays), or the checkpoint belongs to another configuration or is damaged.
    """
    run = _Training(model, config, checkpoint, fingerprint or {}, group or ProcessGroup())
    bar = _bar(progress, config.steps, run.start, images_per_step)
    gpus = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(gpus), contextlib.closing(bar):
        for step in range(run.start, config.steps):
            loss = run.take(step, step_loss)
            if on_step is not None:
                on_step(step, loss)
            run.look(step)
            last = step + 1 == config.steps
            if measure is not None and measure_every and (last or (step + 1) % measure_every == 0):
                run.measure(step, measure)
            if last or (step + 1) % config.checkpoint_every == 0:
                run.save(step)
            bar.update(1)
    history = run.history(images_per_step)
    if run.device.type == "cpu":
        del run  # and the moments of its optimizer
        give_back_freed_memory()
    return history


class _Training:
    """What :func:`train` moves: weights, optimiser, losses, the checkpoint and the clock."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        checkpoint: str | Path | None,
        fingerprint: dict[str, Any],
        group: ProcessGroup,
    ) -> None:
        self.device = next(model.parameters()).device
        if self.device.type == "cpu":
            keep_freed_memory()
        self.model, self.config, self.group = model, config, group
        self.optimizer = make_optimizer(model, config)
        self.bf16 = supports_bf16(self.device) if config.bf16 is None else config.bf16
        self.losses = torch.full((config.steps,), float("nan"), device=self.device)
        self.identity = json.dumps({**asdict(config), **fingerprint}, sort_keys=True, default=str)
        self.file = Path(checkpoint) if checkpoint is not None else None
        self.kept = f"; the last good checkpoint is kept in {checkpoint}" if checkpoint else ""
        self.done = Progress()
        if loaded := group.from_first(self._found):
            self.done = checkpoints.restore(loaded, model, self.optimizer, self.losses)
        self.start, self.before = self.done.step, self.done.seconds
        model.train()
        self.generator = torch.Generator(device=self.device)
        self.first_timed = min(self.start + _WARMUP_STEPS_NOT_TIMED, config.steps - 1)
        self.began, self.timed_from, self.paused = time.perf_counter(), 0.0, 0.0

    def _found(self) -> checkpoints.Loaded | None:
        """The checkpoint to go on from; where there is none yet, one of step 0 takes its place."""
        if self.file is None:
            return None
        if self.file.exists():
            return checkpoints.read(self.file, self.identity)
        self._write()  # find out now, not after an hour, whether the folder can be written
        return None

    def _write(self) -> None:
        if self.file is not None and self.group.is_first:
            checkpoints.save(
                self.file, self.model, self.optimizer, self.losses, self.done, self.identity
            )

    def take(self, step: int, step_loss: StepLoss) -> Tensor:
        """One step of the optimiser; its loss, detached."""
        if step == self.first_timed:
            synchronize(self.device)
            self.timed_from = time.perf_counter() - self.paused
        seed = step_seed(self.config.seed, step)
        self.generator.manual_seed(seed)
        torch.manual_seed(seed)  # for layers that draw from the global generator
        for settings in self.optimizer.param_groups:
            settings["lr"] = learning_rate(self.config, step)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                loss = step_loss(step, self.generator)
        except InputError as error:
            raise InputError(f"step {step}: {error}{self.kept}") from error
        loss.backward()
        self.group.average_gradients(self.model)
        self.optimizer.step()
        self.losses[step] = loss.detach()
        return loss.detach()

    def look(self, step: int) -> None:
        """Refuse a loss or weights that went wrong at once where looking is free: on a CPU."""
        if self.device.type == "cpu":
            self._require_finite(step, step + 1)
            self._require_sound(step)

    def measure(self, step: int, measure: Callable[[], float]) -> None:
        """Keep a measurement; the clock stands still meanwhile."""
        self._require_finite(0, step + 1)
        synchronize(self.device)
        began = time.perf_counter()
        self.done.points.append((step + 1, round(self._seconds(began), 3), measure()))
        self.model.train()
        synchronize(self.device)
        self.paused += time.perf_counter() - began

    def save(self, step: int) -> None:
        """Leave a checkpoint, unless the losses or weights so far are no good."""
        self._require_finite(0, step + 1)
        self._require_sound(step)
        sync_buffers(self.model, self.group)  # or what other processes gathered would be lost
        self.done.step, self.done.seconds = step + 1, self._seconds(time.perf_counter())
        self._write()

    def _seconds(self, now: float) -> float:
        return self.before + now - self.began - self.paused

    def history(self, images_per_step: int) -> History:
        """What has come out of the run."""
        synchronize(self.device)
        now = time.perf_counter()
        steps, seconds = self.config.steps - self.first_timed, now - self.paused - self.timed_from
        rate = steps * images_per_step / seconds if self.config.steps > self.start else 0.0
        return History(self.losses.float().cpu(), self._seconds(now), rate, self.done.points)

    def _require_finite(self, start: int, stop: int) -> None:
        bad = ~torch.isfinite(self.losses[start:stop])
        if not bool(bad.any()):
            return
        step = start + int(torch.nonzero(bad)[0])
        raise InputError(f"loss is {float(self.losses[step])} at step {step}{self.kept}. {_TRY}")

    def _require_sound(self, step: int) -> None:
        """A step may have a finite loss and yet spoil the weights: by its gradient, or its rate.

        Norm layers hide the size of weights: the loss of a run that diverged may look ordinary.
        """
        names, weights = zip(*self.model.named_parameters(), strict=True)
        if bool(nn.utils.get_total_norm(weights, math.inf) <= _LARGEST_WEIGHT):  # NaN is not
            return
        with torch.no_grad():
            largest = torch.stack([torch.linalg.vector_norm(w.float(), math.inf) for w in weights])
        worst = int(torch.nonzero(~(largest <= _LARGEST_WEIGHT))[0])
        what = (
            f"diverged: {names[worst]} has weights up to {float(largest[worst]):.1e}"
            if torch.isfinite(largest[worst])
            else f"{names[worst]} is not finite"
        )
        raise InputError(f"{what} after step {step}{self.kept}. {_TRY}")


def _bar(progress: bool | str, total: int, start: int, images_per_step: int) -> Any:
    label = progress if isinstance(progress, str) else "training"
    if progress and not sys.stderr.isatty() and "ipykernel" not in sys.modules:
        return _Log(label, start, total)
    # A bar written into a built page is noise: draw it for eyes only.
    return tqdm(
        total=total, initial=start, desc=label, unit="step",
        postfix={"images/step": images_per_step}, mininterval=0.5, leave=False,
        disable=progress is False or in_book(),
    )  # fmt: skip


class _Log:
    """What a log gets in place of a bar: one line a minute."""

    def __init__(self, label: str, start: int, total: int) -> None:
        self._label, self._start, self._step, self._total = label, start, start, total
        self._began = self._said = time.monotonic()

    def update(self, steps: int) -> None:
        self._step += steps
        now = time.monotonic()
        if now - self._said < _SECONDS_A_LINE or self._step == self._total:
            return
        self._said = now
        pace = (now - self._began) / (self._step - self._start)
        print(
            f"{self._label}: step {self._step} of {self._total}, about "
            f"{pace * (self._total - self._step) / 60:.0f} min left",
            file=sys.stderr, flush=True,
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is left to draw."""
