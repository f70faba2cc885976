"""Processes of their own that need not load torch first: forks of one that has, and no more.

A fresh interpreter takes some eight seconds of processor time until its first training step. The
server from which these are forked has run nothing: no test before them can change their bits.
"""

import multiprocessing

import pytest
import tiny
import torch

from contrastive_tutorial.study import reproduction
from contrastive_tutorial.study.cells import PRESETS

FORKED = "forkserver"
_context = multiprocessing.get_context(FORKED)
_context.set_forkserver_preload(
    ["contrastive_tutorial.study.runner", "torch._dynamo", "scipy.optimize"]
)


def started(job, *arguments):
    """A process that does one of the jobs below."""
    process = _context.Process(target=job, args=tuple(map(str, arguments)))
    process.start()
    return process


def two_runs(folder):
    """Two cells, recorded in ``folder``."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", tiny.TINY)
        tiny.score_quickly(patch)
        for cell in ("B2", "S-P1"):
            tiny.run(cell, tiny.shapes(), "tiny", 0, 5, folder, arrays=False)


def run_again(folder):
    """One cell, recorded in ``folder`` and reproduced; fails unless the bits are the same."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", tiny.TINY)
        patch.setattr(reproduction, "load_splits", lambda images: tiny.shapes())
        record = tiny.run("S-P1", tiny.shapes(), "tiny", 1, 5, folder)
        again = reproduction.reproduce(record.path, "shapes", progress=False)
    assert torch.get_num_threads() == 1
    assert again.same_setting
    assert again.holds
    assert again.identical
    assert "bit-identical" in str(again)
