"""The recorded runs, to take away: ``_static/records.zip``, the same bytes for the same records."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ARCHIVE = "records.zip"
BEGINNING_OF_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can express


def write_archive(results: Path, target: Path) -> None:
    """All files under ``results``, in order of their names, without their times of change."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in results.rglob("*") if p.is_file()):
            if any(part.startswith(".") for part in path.relative_to(results).parts):
                continue
            entry = zipfile.ZipInfo(
                (Path("results") / path.relative_to(results)).as_posix(), BEGINNING_OF_TIME
            )
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())


def add_records(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        write_archive(Path(app.srcdir) / "results", Path(app.outdir) / "_static" / ARCHIVE)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", add_records)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
