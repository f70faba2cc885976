"""How much memory a training step needs, before it takes it.

A CPU that runs out of memory gets no exception: the system ends the process. So the need is
worked out beforehand, from a forward pass of a few images: what autograd keeps for the backward
pass (the *activations*) grows with the batch, and is nearly all of it.
"""

from __future__ import annotations

import copy
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError

#: Beyond the activations: gradients of activations, scratch of kernels, the allocator's rounding.
HEADROOM = 1.2
_STATES = {"sgd": 1, "nesterov": 1, "lars": 1, "adam": 2, "adamw": 2}


@dataclass(frozen=True)
class Need:
    """Bytes of a training step: fixed, per image (both views), and per image squared."""

    fixed: int
    per_image: float
    per_pair: float = 2 * 4 * 4.0  # logits (2N x 2N, float32) and their softmax

    def of(self, images: int) -> float:
        """Bytes for a batch of ``images``, :data:`HEADROOM` included."""
        return HEADROOM * (self.fixed + self.per_image * images + self.per_pair * images**2)

    def fitting(self, available: float, multiple: int = 1) -> int:
        """The largest batch, a multiple of ``multiple``, whose need ``available`` bytes cover."""
        low, high = 0, 2**24 // multiple
        while low < high:
            middle = (low + high + 1) // 2
            if self.of(middle * multiple) <= available:
                low = middle
            else:
                high = middle - 1
        return low * multiple


def measure(
    model: nn.Module, images: int, optimizer: str = "sgd", bf16: bool = False, size: int = 32
) -> Need:
    """The need of ``model``, from what forward passes of ``images`` and of half as many keep.

    Two batches tell what grows with the batch from what does not: under autocast every weight has
    a copy in bfloat16, which a single small batch would take for activations.

    Works on a copy: no running statistic moves, no random number is drawn from outside.

    Args:
        model: as it will be trained.
        images: even, two views each; as small as the model's groups allow.
        optimizer: a name of ``contrastive_tutorial.train.optimizers.OPTIMIZERS``.
        bf16: as in training.
        size: pixels, height and width.
    """
    few, many = (kept(model, n, bf16, size) for n in (images // 2, images))
    per_image = (many - few) / (images - images // 2)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    fixed = weights * (2 + _STATES.get(optimizer, 1)) + max(0.0, many - per_image * images)
    return Need(round(fixed), per_image)


@torch.enable_grad()
def kept(model: nn.Module, images: int, bf16: bool = False, size: int = 32) -> int:
    """Bytes that a forward pass of ``images``, two views each, leaves for the backward pass.

    With the views themselves; each piece of memory counts once, the parameters not at all.
    """
    twin = copy.deepcopy(model)
    device = next(twin.parameters()).device
    # Zeros keep as much as pictures do.
    x = torch.zeros(2 * images, 3, size, size, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    with (
        torch.random.fork_rng(devices=[]),
        Saved(twin) as saved,
        torch.autocast(device.type, torch.bfloat16, enabled=bf16),
    ):
        saved.add(x)
        twin(x)
    return saved.bytes


class Saved(torch.autograd.graph.saved_tensors_hooks):
    """Adds up what autograd saves inside a ``with`` block, parameters of ``model`` left out.

    The tensors must outlive the block's last forward pass, as they do until its backward pass.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self._found: dict[int, int] = {}
        super().__init__(self.add, lambda tensor: tensor)

    def __enter__(self) -> Saved:  # type: ignore[override]
        super().__enter__()
        return self

    def add(self, tensor: Tensor) -> Tensor:
        """Count the memory of ``tensor``, once."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._parameters:
            self._found[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self) -> int:
        """The sum so far."""
        return sum(self._found.values())


def available(device: torch.device) -> int | None:
    """Bytes that a process may still take on ``device``; ``None`` if nobody says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + cached
    found = [value for value in (_machine(), _container(), _process()) if value is not None]
    return min(found) if found else None


def _machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _container() -> int | None:
    """What the control group of a container still allows (version 2)."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        cache = 0
        for line in (folder / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                cache = int(line.split()[1])
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(limit - used + cache, 0)


def _process() -> int | None:
    """What ``ulimit -v`` still allows."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return max(limit - pages * resource.getpagesize(), 0)
    except (ImportError, OSError, ValueError):
        return None


def require(need: Need, images: int, device: torch.device, multiple: int = 1) -> None:
    """Refuse a batch that does not fit, and say which would.

    Raises:
        InputError: naming need, memory and the batch size that fits.
    """
    there = available(device)
    if there is not None and need.of(images) > there:
        raise InputError(message(need, images, there, device, multiple))


def message(need: Need, images: int, there: float, device: torch.device, multiple: int) -> str:
    """One sentence: what is needed, what there is, what would fit."""
    fits = need.fitting(there, multiple)
    advice = (
        f"a batch of {fits} would fit: add +batch_size={fits} to the preset's name"
        if fits >= max(2, multiple)
        else "not even the smallest batch fits: use a smaller preset"
    )
    return (
        f"memory: a step of {images} images needs about {need.of(images) / 1e9:.2g} GB on "
        f"{device}, where {there / 1e9:.2g} GB are free; {advice}"
    )


def explain(
    error: BaseException, need: Need, images: int, device: torch.device, multiple: int
) -> InputError | None:
    """What to tell of an error that is about memory; ``None`` for any other error.

    Lets go of what the frames of ``error`` still hold: what is free is asked for afterwards.
    """
    text = str(error)
    short = isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and ("can't allocate memory" in text or "not enough memory" in text)
    )
    if not short:
        return None
    traceback.clear_frames(error.__traceback__)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    there = available(device)
    # What was free was not enough, whatever the estimate says.
    return InputError(
        message(need, images, min(there or 0, need.of(images) * 0.9), device, multiple)
    )
