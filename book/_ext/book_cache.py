"""Execute a page again when the code or the records it shows have changed.

jupyter-cache compares code cells only: edit the package or add a record, and it would go on
serving old outputs. Here the cache's folder carries a digest of everything the pages run on, and
the same digest tells Sphinx to read its sources again.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

WATCHED = (
    "contrastive_tutorial/**/*",
    "results/**/*",
    "book/*.yml",
    "benchmarks/claims/*.json",
    "book/guide/*",
    "constraints.txt",
    "pyproject.toml",
)
PREFIX = ".jupyter_cache-"


def digest(root: Path) -> str:
    """Sixteen hex digits that change with any file that an executed page can see."""
    total = hashlib.sha256()
    files = {path for pattern in WATCHED for path in root.glob(pattern) if path.is_file()}
    for path in sorted(files):
        if "__pycache__" in path.parts:
            continue
        total.update(path.relative_to(root).as_posix().encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def choose_cache(app: Sphinx, config: Any) -> None:
    config.book_digest = digest(Path(app.srcdir))
    folder = Path(app.outdir).parent / f"{PREFIX}{config.book_digest}"
    config.nb_execution_cache_path = str(folder)
    for other in folder.parent.glob(f"{PREFIX}*"):
        if other != folder:  # nothing will ever ask for it again
            shutil.rmtree(other, ignore_errors=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("book_digest", "", "env", [str])
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
