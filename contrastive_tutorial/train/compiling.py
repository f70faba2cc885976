"""``torch.compile`` where releases of it are known to return wrong gradients."""

from __future__ import annotations

from typing import Any

import torch

MIX_ORDER_REDUCTION_IS_WRONG = ("2.10", "2.15")
"""First release with the faults of pytorch/pytorch#190796 and #193061, and the first whose source
writes such a sum where it belongs. Neither was run on a GPU here."""


def compiled(function: Any, mode: str | None = None) -> Any:
    """``torch.compile(function, mode=mode)``; torch 2.10 to 2.14 without mix-order reductions.

    There a kernel of the compiler's backward that reduces over rows and over columns at once leaves
    parts of a gradient unwritten, without an error. The option is switched off for the process.
    """
    first, mended = MIX_ORDER_REDUCTION_IS_WRONG
    if first <= torch.__version__ < mended:
        import torch._inductor.config as config

        if hasattr(config.triton, "mix_order_reduction"):
            config.triton.mix_order_reduction = False
    return torch.compile(function, mode=mode)
