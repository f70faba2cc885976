"""Contrastive learning and normalisation: losses, norm layers, batched augmentation, experiments.

Importing the package loads nothing; a room is loaded when it is named::

    import contrastive_tutorial as ct
    ct.losses.nt_xent(z0, z1)  # loads ``losses`` and PyTorch, nothing else of the package
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

try:
    __version__ = version("contrastive-tutorial")
except PackageNotFoundError:  # a source tree on sys.path that was never installed
    __version__ = "0+unknown"

_ROOMS = (
    "augment", "cli", "data", "errors", "files", "losses", "metrics", "norm", "records", "report",
    "study", "train", "verdicts", "widgets",
)  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
