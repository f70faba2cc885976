"""Where a run computes: the device asked for, its name, and whether bfloat16 pays there."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import torch

from contrastive_tutorial.errors import InputError


def resolve_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the best there is (CUDA, then CPU).

    Others that torch knows (``"mps"``, ``"xpu"``) are taken where they can compute and draw random
    numbers; nothing here was measured on them.

    Raises:
        InputError: if the device asked for is not there, or cannot compute.
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
            f"device: {str(device)!r} is not there ({torch.cuda.device_count()} CUDA devices "
            "found); use --device cpu"
        )
    try:
        torch.Generator(device=wanted)
        float(torch.zeros(1, device=wanted).sum())
    except Exception as error:  # every kind of device fails in its own way
        reason = " ".join(str(error).split())
        raise InputError(
            f"device: {str(device)!r} cannot be used here ({type(error).__name__}: {reason:.120}); "
            "use --device cpu"
        ) from error
    return wanted


def supports_bf16(device: torch.device) -> bool:
    """Whether ``device`` is a GPU that computes in bfloat16.

    Older ones (before compute capability 8, such as the T4 of free notebooks) only emulate it, and
    are faster in float32; torch counts the emulation as support unless told otherwise.
    """
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def multiplies_bf16() -> bool:
    """Whether the CPU has instructions that multiply bfloat16 (AVX-512 BF16 or AMX).

    Others go through float32 and back: there a step takes longer in bfloat16, not less.
    """
    ask: Callable[[], dict[str, object]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()  # older versions of torch cannot say
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def device_name(device: torch.device) -> str:
    """A readable name: the GPU's, or the CPU's model, instruction set and number of threads.

    Virtual machines shorten the model to a family whose members compute with other instructions,
    and so add numbers up in another order.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return f"{_cpu_model()}, {device.type}"
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"{_cpu_model()}, {instructions} ({torch.get_num_threads()} threads)"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "CPU"


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock tells the truth."""
    if device.type in ("cuda", "mps", "xpu"):
        getattr(torch, device.type).synchronize()
