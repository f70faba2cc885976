"""The pages of the book: their names, their sources, and where the built ones lie."""

from pathlib import Path

import book_index
import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "_build" / "html"


def source(page):
    """MyST source of a page."""
    return (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")


PAGES = book_index.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
EXECUTABLE = [page for page in PAGES if book_index.is_executable(source(page))]
