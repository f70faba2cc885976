"""``torch.compile`` where a release of it is known to return wrong gradients."""

from __future__ import annotations

from typing import Any

import torch

MIX_ORDER_REDUCTION_IS_WRONG = "2.10", "2.14"
"""First release with the fault, and first without: pytorch/pytorch#190796 and #193061."""


def compiled(function: Any, mode: str | None = None) -> Any:
    """``torch.compile(function, mode=mode)``; on torch 2.10 to 2.13 without mix-order reductions.

    There a kernel of the compiler's backward that reduces over rows and over columns at once leaves
    parts of a gradient unwritten, without an error. The option is switched off for the process.
    """
    first, fixed = MIX_ORDER_REDUCTION_IS_WRONG
    if first <= torch.__version__ < fixed:
        import torch._inductor.config as config

        config.triton.mix_order_reduction = False
    return torch.compile(function, mode=mode)
