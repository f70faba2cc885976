"""A preset that trains three steps, for tests of everything around training."""

from contrastive_tutorial.study import Request, runner
from contrastive_tutorial.train import Preset

TINY = Preset(
    "tiny", "two_conv_strided", steps=3, batch_size=40, bank=300, kmeans_restarts=1, menu_bank=300,
    checkpoint_every=2,
)  # fmt: skip


def run(cell, images, preset, seed, num_subsets, results, device=None, **how):
    """The record of one quiet run."""
    how = {"progress": False, **how}
    request = Request(cell, preset, seed, num_subsets, results, device, **how)
    return runner.run(request, images).record


def files_in(folder):
    """The files below a folder; the locks, which stay, are not counted."""
    return [path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts]
