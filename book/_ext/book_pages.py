"""Pages that would go stale if they were typed: the API reference and *Built with*.

A marker comment in their source is replaced by what the package and the building machine say:
``<!-- rooms: losses norm -->`` by a section for each of these rooms, ``<!-- versions -->`` by a
table.
"""

from __future__ import annotations

import importlib
import inspect
import platform
import re
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

from book_address import repository_url
from packaging.requirements import Requirement
from sphinx.application import Sphinx

PACKAGE = "contrastive_tutorial"
API_PAGE = "book/api"
ROOMS_MARKER = re.compile(r"<!-- rooms: ([a-z \n]+) -->")
VERSIONS_PAGE, VERSIONS_MARKER = "book/built-with", "<!-- versions -->"
TOOLS = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme")


def public_names(module: ModuleType) -> list[str]:
    """Functions and classes a module offers: its ``__all__``, or what it defines itself."""
    if hasattr(module, "__all__"):
        names = list(module.__all__)
    else:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        ]
    return [
        name
        for name in names
        if inspect.isclass(getattr(module, name)) or inspect.isroutine(getattr(module, name))
    ]


def rooms(source: str) -> dict[ModuleType, list[str]]:
    """Room -> its public names, for the rooms that the marker in the API page lists, in its order.

    >>> [room.__name__ for room in rooms("# API <!-- rooms: errors losses -->")]
    ['contrastive_tutorial.errors', 'contrastive_tutorial.losses']
    """
    marker = ROOMS_MARKER.search(source)
    found = (
        [importlib.import_module(f"{PACKAGE}.{name}") for name in marker[1].split()]
        if marker
        else []
    )
    return {room: public_names(room) for room in found}


def api_sections(source: str, root: Path) -> str:
    """MyST source: for each room its docstring, a table of its names, their entries, its source."""
    parts = []
    for room, names in rooms(source).items():
        short = room.__name__.rpartition(".")[2]
        rows = "\n".join(f"   {name}" for name in names)
        # A room that is one file offers what it defines, and not what it imports.
        imported = "   :imported-members:\n" if hasattr(room, "__all__") else ""
        path = f"{PACKAGE}/{short}" + (".py" if (root / PACKAGE / f"{short}.py").exists() else "")
        parts.append(
            f"## `{short}`\n\n"
            "```{eval-rst}\n"
            f".. py:currentmodule:: {room.__name__}\n\n"
            ".. autosummary::\n"
            "   :nosignatures:\n\n"
            f"{rows}\n\n"
            f".. automodule:: {room.__name__}\n"
            "   :members:\n"
            f"{imported}"
            "```\n\n"
            f"Source: [`{path}`]({repository_url(root)}/tree/main/{path}).\n"
        )
    return "\n".join(parts)


def resolve_inner(app: Sphinx, env: Any, node: Any, contnode: Any) -> Any:
    """A name inside a room is documented at the room: ``norm.layers.X`` is found as ``norm.X``.

    What a room does not offer, such as a module of its own, stays as it is written, without a link.
    """
    target = str(node.get("reftarget", "")).lstrip("~.")
    parts = target.split(".")
    if node.get("refdomain") != "py":
        return None
    if parts[0] == PACKAGE:
        domain, name = env.get_domain("py"), f"{PACKAGE}.{parts[1]}.{'.'.join(parts[3:])}"
        if len(parts) > 3 and name in domain.objects:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", name, node, contnode
            )
        return contnode
    # Written within a room as ``name`` or ``.module``: whatever room offers it.
    for known in env.get_domain("py").objects:
        if known.startswith(f"{PACKAGE}.") and known.rpartition(".")[2] == parts[-1]:
            return env.get_domain("py").resolve_xref(
                env, node["refdoc"], app.builder, "obj", known, node, contnode
            )
    return contnode if str(node.get("reftarget", "")).startswith(".") else None


def commit(root: Path) -> str:
    """The commit the book is built from, or that there is none to name."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return f"`{git('rev-parse', '--short=12', 'HEAD')}`" + (", with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not built from a git checkout"


def versions_table(root: Path) -> str:
    """A Markdown table of what the book was built with; nothing in it names the machine."""
    import torch

    own = distribution("contrastive-tutorial")
    direct = {
        Requirement(line).name for line in own.requires or [] if Requirement(line).marker is None
    }
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    rows = [
        ("contrastive-tutorial", own.version),
        ("commit", commit(root)),
        ("Python", platform.python_version()),
        ("pages were executed on", device),
        *((name, distribution(name).version) for name in sorted(direct | set(TOOLS))),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def fill_markers(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == API_PAGE:
        sections = api_sections(source[0], Path(app.srcdir))
        source[0] = ROOMS_MARKER.sub(lambda _: sections, source[0])
    if docname == VERSIONS_PAGE:
        source[0] = source[0].replace(VERSIONS_MARKER, versions_table(Path(app.srcdir)))


def always_read_versions(
    app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    return [VERSIONS_PAGE] if VERSIONS_PAGE in env.found_docs else []


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", fill_markers)
    app.connect("missing-reference", resolve_inner)
    app.connect("env-get-outdated", always_read_versions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
