"""Files: atomic writes, locks, bounded readers of archives and pictures, progress bars.

Enters: paths, bytes, archives and picture files of anybody.
Leaves: names, bytes and pixels within stated limits; files that are whole or not there.
Never: knows what an image set or a record is, unpickles, follows links out of a folder, or
writes where a kill could leave half a file.
"""

from contrastive_tutorial.files.archives import Limits, Name, members, shown
from contrastive_tutorial.files.decoding import SIDE, decode_all
from contrastive_tutorial.files.lock import exclusive
from contrastive_tutorial.files.progress import bar
from contrastive_tutorial.files.storage import atomic_write, load_arrays, save_arrays

__all__ = [
    "SIDE",
    "Limits",
    "Name",
    "atomic_write",
    "bar",
    "decode_all",
    "exclusive",
    "load_arrays",
    "members",
    "save_arrays",
    "shown",
]
