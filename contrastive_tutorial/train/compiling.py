"""``torch.compile`` where releases of it are known to return wrong gradients."""

from __future__ import annotations

from typing import Any

import torch

MIX_ORDER_REDUCTION_IS_WRONG = "2.10"
"""First release with the fault: pytorch/pytorch#190796 and #193061. No release without it is known:
the source of 2.14.1 still has the line that the second report names."""


def compiled(function: Any, mode: str | None = None) -> Any:
    """``torch.compile(function, mode=mode)``; from torch 2.10 on without mix-order reductions.

    There a kernel of the compiler's backward that reduces over rows and over columns at once leaves
    parts of a gradient unwritten, without an error. The option is switched off for the process.
    """
    if torch.__version__ >= MIX_ORDER_REDUCTION_IS_WRONG:
        import torch._inductor.config as config

        if hasattr(config.triton, "mix_order_reduction"):
            config.triton.mix_order_reduction = False
    return torch.compile(function, mode=mode)
