"""A study survives what machines do to it. A handful of moments here; `faults.py` tries many more.

The faults run in a process of their own with one thread: each study is split off from it, and
threads do not survive that.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Set to e.g. 50 to try as many moments as ``FAULTS.md`` reports.
MOMENTS = os.environ.get("CONTRASTIVE_TUTORIAL_FAULTS", "3")


@pytest.mark.slow
@pytest.mark.thorough  # test_runner.py and test_loop.py kill some, too
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be split off here")
@pytest.mark.parametrize(
    "kinds",
    [
        ("killed", "at-once", "clock", "suspended"),
        ("interrupted", "memory", "signals", "folder-gone"),
        ("disk", "limit", "open-files"),
        ("killed-writing", "left-behind"),
        ("records", "arrays", "checkpoints"),
        ("read-errors", "changing"),
        ("embed", "report"),
    ],
)
def test_nothing_is_lost(kinds):
    command = [sys.executable, HERE / "faults.py", "--json", "--moments", MOMENTS, *kinds]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(kinds)
    for outcome in found:
        assert outcome["tried"] >= 2
        assert outcome["lost"] == []
