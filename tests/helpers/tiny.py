"""A preset that trains three steps, for tests of everything around training."""

from dataclasses import fields
from functools import partial

from contrastive_tutorial import data
from contrastive_tutorial.metrics import probes
from contrastive_tutorial.study import CELLS, Request, evaluator, runner
from contrastive_tutorial.study.diagnostics import cluster_protocols
from contrastive_tutorial.train import Preset

TINY = Preset(
    "tiny", "two_conv_strided", steps=3, batch_size=40, bank=300, kmeans_restarts=1, menu_bank=300,
    checkpoint_every=2,
)  # fmt: skip


def shapes(train=600, val=60, test=200):
    """Train, validation and test images, drawn on the spot."""
    sizes = {"train": train, "val": val, "test": test}
    return tuple(data.load("shapes", split, num_images=n) for split, n in sizes.items())


def run(cell, images, preset, seed, num_subsets, results, device=None, **how):
    """The record of one quiet run."""
    how = {"progress": False, **how}
    request = Request(cell, preset, seed, num_subsets, results, device, **how)
    return runner.run(request, images).record


def stopping(at):
    """What ``on_step`` has to be for a training that is interrupted at a step."""

    def stop(step, _loss):
        if step == at:
            raise KeyboardInterrupt

    return stop


def files_in(folder):
    """The files below a folder; the locks, which stay, are not counted."""
    return [path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts]


def score_quickly(monkeypatch):
    """Probes of three steps, one start for each protocol, statistics of two batches where a run
    measures twenty: the same scores from the same code, in a fraction of the time.
    """
    held_out = Preset.held_out
    monkeypatch.setattr(evaluator, "cluster_protocols", partial(cluster_protocols, restarts=1))
    monkeypatch.setattr(probes, "_MAX_ITER", 3)
    monkeypatch.setattr(Preset, "held_out", lambda preset, use: held_out(preset, use)[:2])


def covering(cells=CELLS):
    """Names of few cells that have every policy, negatives, norm and option that some cell has.

    All pairs of these would be most cells; what a pair does, its own test says. Groups of 10, as
    tiny batches have no others.
    """
    chosen, seen = [], set()
    for cell in cells.values():
        if cell.norm == "ghost" and cell.group_size != 10:
            continue
        had = {
            (field.name, value if isinstance(value, str) else bool(value))
            for field in fields(cell)
            if field.name not in ("name", "summary", "article")
            for value in [getattr(cell, field.name)]
        }
        if had - seen:
            chosen.append(cell.name)
            seen |= had
    return chosen
