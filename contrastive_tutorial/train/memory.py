"""How much memory a training step needs, before it takes it; and that it keeps what it has taken.

A CPU that runs out of memory gets no exception: the system ends the process. What autograd keeps
for the backward pass is nearly all of the need, and grows with the batch: a forward pass of a few
images tells how much one image takes.
"""

from __future__ import annotations

import copy
import ctypes
import math
import os
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from contrastive_tutorial.errors import InputError, is_out_of_memory

#: Beyond what is counted: gradients of activations, scratch of kernels, the allocator's rounding.
HEADROOM = 1.2
#: Bytes for each pair of images: a softmax (2N, 2N) in float32, its gradient, and that transposed
#: and added.
PER_PAIR = 3 * 4 * 4

# The parameters of glibc's ``mallopt`` (malloc.h), and what they are set to: the largest threshold
# that it takes on 64 bits, and more than the steps of a small network free at once.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BUFFER, _LARGEST_REST = 32 << 20, 1 << 30
_AFTERWARDS = 4 << 20
_OF_THE_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def _set_by_user() -> bool:
    return any(name in os.environ for name in _OF_THE_USER)


def keep_freed_memory() -> bool:
    """Let this process use freed memory again, where the C library is glibc.

    By itself it hands the large buffers of a step back to the system and has them, page by page
    and wiped, again in the next step: some ten thousand page faults, an eighth of a small
    network's step on a CPU. Buffers above 32 MiB still go that way. Environment variables that
    set glibc's allocator have the last word.

    Returns:
        Whether it was asked to and could.
    """
    return _keep(_LARGEST_BUFFER, _LARGEST_REST)


def _keep(buffer: int, rest: int) -> bool:
    """Keep freed buffers of at most ``buffer`` bytes, and at most ``rest`` bytes in all."""
    if _set_by_user():
        return False
    with suppress(OSError, AttributeError, TypeError):  # another C library, another system
        set_option = ctypes.CDLL(None).mallopt
        done = set_option(_MMAP_THRESHOLD, buffer)
        return bool(done == set_option(_TRIM_THRESHOLD, rest) == 1)
    return False


def give_back_freed_memory() -> None:
    """Hand what this process has freed to the system, where the C library is glibc, and from now on
    every buffer above 4 MiB: what comes next frees other sizes, and would take its own beside them.
    Variables of the user's keep their say."""
    if _keep(_AFTERWARDS, _AFTERWARDS):
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class Need:
    """Bytes of a training step: fixed, and for each image (both views)."""

    fixed: float
    per_image: float

    def of(self, images: int) -> float:
        """Bytes for a batch of ``images``, :data:`HEADROOM` included."""
        return HEADROOM * (self.fixed + self.per_image * images + PER_PAIR * images**2)

    def fitting(self, free: float, multiple: int = 1) -> int:
        """The largest batch, a multiple of ``multiple``, whose need ``free`` bytes cover."""
        left = free / HEADROOM - self.fixed  # PER_PAIR n^2 + per_image n <= left
        if left <= 0:
            return 0
        root = math.sqrt(self.per_image**2 + 4 * PER_PAIR * left)
        n = int((root - self.per_image) / (2 * PER_PAIR) + 1e-6)
        return n - n % multiple


class Saved(torch.autograd.graph.saved_tensors_hooks):
    """Adds up what autograd saves inside a ``with`` block, parameters of ``model`` left out."""

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


@torch.enable_grad()
def measure(model: nn.Module, images: int, bf16: bool = False, size: int = 32) -> Need:
    """The need of ``model``, from forward passes of ``images`` (even, two views each) and of half.

    Two batches tell what grows from what does not: under autocast every weight has a copy in
    bfloat16. Works on a copy: no running statistic moves, no random number is drawn from outside.
    """
    device, found = next(model.parameters()).device, []
    for n in (images // 2, images):
        twin = copy.deepcopy(model)
        x = torch.zeros(2 * n, 3, size, size, device=device)  # zeros keep as much as pictures do
        x = x.contiguous(memory_format=torch.channels_last)
        with (
            torch.random.fork_rng(devices=[]), Saved(twin) as saved,
            torch.autocast(device.type, torch.bfloat16, enabled=bf16),
        ):  # fmt: skip
            saved.add(x)
            twin(x)
        found.append(saved.bytes)
    per_image = (found[1] - found[0]) / (images - images // 2)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # Weights, gradients, and at most two moments of each in the optimiser.
    return Need(4 * weights + max(0.0, found[1] - per_image * images), per_image)


def available(device: torch.device) -> float:
    """Bytes that a process may still take on ``device``; infinity if nobody says."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    free, container = math.inf, Path("/sys/fs/cgroup")

    def numbers(file: Path) -> dict[str, int]:
        return {line.split()[0]: int(line.split()[1]) for line in file.read_text().splitlines()}

    with suppress(OSError, ValueError, KeyError, IndexError):
        free = numbers(Path("/proc/meminfo"))["MemAvailable:"] * 1024
    with suppress(OSError, ValueError, KeyError, IndexError):  # a container's limit, version 2
        limit, used = (int((container / f"memory.{x}").read_text()) for x in ("max", "current"))
        cache = numbers(container / "memory.stat")["inactive_file"]  # can be taken back
        free = min(free, max(limit - used + cache, 0))
    return free


def require(need: Need, images: int, device: torch.device, multiple: int, processes: int) -> None:
    """Refuse a batch that does not fit what is free, shared by ``processes`` of this machine."""
    free = available(device) / (1 if device.type == "cuda" else processes)
    if need.of(images) > free:
        raise _refusal(need, images, device, multiple, free)


def explain(
    error: BaseException, need: Need, images: int, device: torch.device, multiple: int
) -> InputError | None:
    """What to tell of an error that is about memory; ``None`` for any other error."""
    if not is_out_of_memory(error):
        return None
    traceback.clear_frames(error.__traceback__)  # or they hold on to what the step had taken
    if device.type == "cuda":
        torch.cuda.empty_cache()
    # What was free was not enough, whatever the estimate says.
    return _refusal(need, images, device, multiple, min(available(device), 0.9 * need.of(images)))


def _refusal(
    need: Need, images: int, device: torch.device, multiple: int, free: float
) -> InputError:
    fits = need.fitting(free, multiple)
    advice = (
        f"a batch of {fits} would fit: add +batch_size={fits} to the preset's name"
        if fits >= max(2, multiple)
        else "not even the smallest batch fits: use a smaller preset"
    )
    return InputError(
        f"memory: a step of {images} images needs about {need.of(images) / 1e9:.2g} GB on "
        f"{device}, where {free / 1e9:.2g} GB are free; {advice}"
    )
