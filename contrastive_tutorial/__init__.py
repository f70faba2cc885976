"""Contrastive learning and normalisation: losses, norm layers, batched augmentation, experiments.

Submodules are imported by name (``from contrastive_tutorial import losses``); importing the
package itself costs nothing, so that a reader pays only for the rooms a chapter uses.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("contrastive-tutorial")
except PackageNotFoundError:  # a source tree on sys.path that was never installed
    __version__ = "0+unknown"
