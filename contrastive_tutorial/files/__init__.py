"""Files: atomic writes, locks, bounded readers of archives and pictures, progress bars.

Enters: paths, bytes, archives and picture files of anybody.
Leaves: names, bytes and pixels within stated limits; files that are whole or not there.
Never: knows what an image set or a record is, unpickles, follows links out of a folder, or
writes where a kill could leave half a file.
"""

from contrastive_tutorial.files.archives import Limits, Member, Name, members
from contrastive_tutorial.files.decoding import (
    SIDE,
    ImageError,
    decode_all,
    fit,
    is_image_name,
    pixels_of,
    suffix_of,
)
from contrastive_tutorial.files.lock import exclusive
from contrastive_tutorial.files.names import clean, safe_name, shown
from contrastive_tutorial.files.progress import bar, in_book
from contrastive_tutorial.files.storage import (
    atomic_write,
    load_arrays,
    load_tensors,
    on_host,
    remove,
    require_file,
    save_arrays,
    save_tensors,
)

__all__ = [
    "SIDE",
    "ImageError",
    "Limits",
    "Member",
    "Name",
    "atomic_write",
    "bar",
    "clean",
    "decode_all",
    "exclusive",
    "fit",
    "in_book",
    "is_image_name",
    "load_arrays",
    "load_tensors",
    "members",
    "on_host",
    "pixels_of",
    "remove",
    "require_file",
    "safe_name",
    "save_arrays",
    "save_tensors",
    "shown",
    "suffix_of",
]
