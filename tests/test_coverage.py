"""coverage: `make coverage` asks the most of everything that losses, norm and metrics stand for."""

import re
from pathlib import Path

from test_imports import imported

ROOT = Path(__file__).resolve().parents[1]
#: Used by every module and measured with the whole package.
COMMON = {"errors"}


def test_the_modules_behind_losses_norm_and_metrics_are_all_listed():
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    listed = re.search(r"^EXACT := (.*)$", text, re.MULTILINE)[1].split()
    behind, waiting = set(), ["losses", "norm", "metrics"]
    while waiting:
        name = waiting.pop()
        if name not in behind:
            behind.add(name)
            waiting += imported(name)
    assert sorted(listed) == sorted(behind - COMMON)
