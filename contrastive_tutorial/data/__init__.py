"""Image sets: drawn shapes, published sets, folders and archives of pictures; their partition.

Enters: a name, a path, or tensors.
Leaves: an :class:`ImageSet` for each split: uint8 ``(N, 3, S, S)``, int64 labels, a content hash.
Never: trains, augments, or decides anything from test images.
"""

from contrastive_tutorial.data.cache import cache_folder
from contrastive_tutorial.data.imageset import ImageSet, from_torchvision
from contrastive_tutorial.data.loading import known_set, load, load_splits
from contrastive_tutorial.data.published import CIFAR10
from contrastive_tutorial.data.shapes import SHAPES
from contrastive_tutorial.data.subsets import SubsetBatches, partition, require_seed

__all__ = [
    "CIFAR10",
    "SHAPES",
    "ImageSet",
    "SubsetBatches",
    "cache_folder",
    "from_torchvision",
    "known_set",
    "load",
    "load_splits",
    "partition",
    "require_seed",
]
