"""Which code and which versions made a number."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def versions() -> dict[str, str]:
    """Versions of what can change a number."""
    found = {"python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "scipy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str | None:
    """Commit of the source tree the package runs from, with ``-dirty`` if the package differs."""
    here = Path(__file__).resolve()
    folder = here.parents[1]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                capture_output=True, text=True, timeout=10, check=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    # An installed wheel may lie in the tree of some other project: its commit means nothing.
    if not commit or git("ls-files", "--error-unmatch", str(here)) is None:
        return None
    return commit + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
