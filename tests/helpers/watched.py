"""What a call asks of a device: for tests of waiting and copying, where no GPU is at hand."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Parts of the names of operations for which the host waits until a device answers.
WAITS = ("_local_scalar_dense", "nonzero", "unique", "bincount", "equal.default")

fake_gpu = pytest.mark.skipif(
    torch.__version__ < torch.torch_version.TorchVersion("2.7") and not torch.cuda.is_available(),
    reason="torch 2.6 looks for a driver even for a tensor that is fake",
)


class Operations(TorchDispatchMode):
    """The names of the operations inside the block that contain one of ``parts``."""

    def __init__(self, *parts):
        super().__init__()
        self.parts, self.seen = parts, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if any(part in str(function) for part in self.parts):
            self.seen.append(str(function))
        return function(*args, **(kwargs or {}))
