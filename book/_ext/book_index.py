"""What a page of the book has to know about the others: addresses, labels, numbers, papers."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from book_address import pages_url, repository_url
from packaging.requirements import Requirement
from pybtex.database import Entry, parse_file

ROOT = Path(__file__).resolve().parents[2]

# The set-up cell of a notebook leaves these as it finds them: Colab has imported NumPy before the
# first cell runs, and its PyTorch is the one that knows its GPU.
NEVER_TOUCHED = ("numpy", "torch", "torchvision")

OPENING = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|:{3,}|~{3,})\{(?P<name>[\w:-]+)\} *(?P<arg>.*)$"
)


class UntranslatableError(ValueError):
    """A page uses something that a plain notebook cannot show."""


@dataclass
class Book:
    """What a page has to know about the others: addresses, labels, numbers, titles, papers."""

    url: str
    requirements: tuple[str, ...]
    pages: tuple[str, ...]
    sources: dict[str, str]
    papers: dict[str, Entry]
    titles: dict[str, str] = field(default_factory=dict)
    exercises: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    equations: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def site(self) -> str:
        return pages_url(self.url)

    def page(self, name: str, anchor: str = "") -> str:
        return f"{self.site}book/{name}.html" + (f"#{anchor}" if anchor else "")


def toc_pages(toc: dict[str, Any]) -> tuple[str, ...]:
    """Page names in reading order.

    >>> toc_pages({"root": "book/intro", "parts": [{"chapters": [{"file": "book/02-kl"}]}]})
    ('intro', '02-kl')
    """
    files = [toc["root"]]
    for part in toc["parts"]:
        files += [chapter["file"] for chapter in part["chapters"]]
    return tuple(name.removeprefix("book/") for name in files)


def required(project: dict[str, Any], extra: str) -> list[Requirement]:
    """What the package and one of its extras require, other extras that it names included.

    >>> project = {"name": "p", "dependencies": ["a>=1"],
    ...            "optional-dependencies": {"x": ["p[y]", "b"], "y": ["c"]}}
    >>> [str(need) for need in required(project, "x")]
    ['a>=1', 'b', 'c']
    """
    found = [Requirement(text) for text in project["dependencies"]]
    open_, seen = [extra], {extra}
    while open_:
        listed = [Requirement(text) for text in project["optional-dependencies"][open_.pop(0)]]
        others = [name for need in listed if need.name == project["name"] for name in need.extras]
        open_ += [name for name in others if name not in seen]
        seen |= set(others)
        found += [need for need in listed if need.name != project["name"]]
    return found


def read_book(root: Path = ROOT) -> Book:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = required(project, "notebook")
    pages = toc_pages(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8")))
    book = Book(
        url=repository_url(root),
        requirements=tuple(
            f"{need.name.lower()}{need.specifier}"
            for need in needed
            if need.name not in NEVER_TOUCHED
        ),
        pages=pages,
        sources={p: (root / "book" / f"{p}.md").read_text(encoding="utf-8") for p in pages},
        papers=dict(parse_file(str(root / "book" / "references.bib")).entries),
    )
    for page in pages:
        index_page(book, page)
    return book


def index_page(book: Book, page: str) -> None:
    """Note the labels and numbers that other pages may refer to, as Sphinx counts them."""
    lines = book.sources[page].splitlines()
    for i, line in enumerate(lines):
        if line.startswith("# ") and page not in book.titles:
            book.titles[page] = line[2:].strip()
        target = re.match(r"^\((?P<label>[\w:-]+)\)=$", line)
        if target:
            book.labels[target["label"]] = page
        opening = OPENING.match(line)
        if opening and opening["name"] in ("exercise", "exercise-start", "figure", "math"):
            options = dict(
                re.findall(r"^:([\w-]+): *(.*)$", "\n".join(options_of(lines[i + 1 :])), re.M)
            )
            label = options.get("label") or options.get("name")
            if opening["name"].startswith("exercise"):
                if label is None:
                    raise UntranslatableError(f"{page}: an exercise without :label:")
                book.exercises[label] = len(book.exercises) + 1
                book.labels[label] = page
            elif opening["name"] == "math" and label:
                book.equations[label] = (page, len(book.equations) + 1)
            elif label:
                book.labels[label] = page
        closing = re.match(r"^.*\$\$ *\((?P<label>[\w:-]+)\)\s*$", line)
        if closing:
            book.equations[closing["label"]] = (page, len(book.equations) + 1)


def is_executable(source: str) -> bool:
    return "{code-cell}" in source


def options_of(lines: list[str]) -> list[str]:
    """The leading ``:key: value`` lines of a directive's body."""
    found = []
    for line in lines:
        if not re.match(r"^ *:[\w-]+:", line):
            break
        found.append(line.strip())
    return found
