"""Image sets: drawn shapes, CIFAR-10, folders and archives of pictures; partition into subsets.

Enters: a name, a path, or tensors.
Leaves: an :class:`ImageSet` for each split: uint8 ``(N, 3, 32, 32)``, int64 labels, a content hash.
Never: trains, augments, or decides anything from test images.
"""

from contrastive_tutorial.data.cifar10 import CIFAR10
from contrastive_tutorial.data.loading import ImageSet, cache_folder, load
from contrastive_tutorial.data.shapes import SHAPES
from contrastive_tutorial.data.subsets import SubsetBatches, partition

__all__ = [
    "CIFAR10",
    "SHAPES",
    "ImageSet",
    "SubsetBatches",
    "cache_folder",
    "load",
    "partition",
]
