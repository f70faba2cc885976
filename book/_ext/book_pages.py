"""Pages that would go stale if they were typed: the API reference and *Built with*.

A marker comment in their source is replaced by what the package and the building machine say:
``<!-- modules: losses norm -->`` by the sections of those modules, ``<!-- other modules -->`` by
those of all the rest, ``<!-- versions -->`` by a table.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import platform
import re
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement
from sphinx.application import Sphinx

PACKAGE = "contrastive_tutorial"
API_PAGE, INSIDE_PAGE = "book/api", "book/api-inside"
NAMED_MODULES = re.compile(r"<!-- modules: ([a-z0-9_ \n]+) -->")
OTHER_MODULES = "<!-- other modules -->"
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


def package_modules() -> list[ModuleType]:
    package = importlib.import_module(PACKAGE)
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    return [
        importlib.import_module(f"{PACKAGE}.{name}") for name in names if not name.startswith("_")
    ]


def rooms() -> dict[ModuleType, list[str]]:
    """Module -> the names it is the place to import from.

    What one module defines and another lists in its ``__all__`` belongs to the latter; a module
    that is left with no name of its own is a back room, and its names stand where they belong.
    """
    modules = package_modules()
    home: dict[int, ModuleType] = {}
    for module in modules:
        for name in public_names(module):
            value = getattr(module, name)
            if id(value) not in home or value.__module__ != module.__name__:
                home[id(value)] = module
    return {m: [n for n in public_names(m) if home[id(getattr(m, n))] is m] for m in modules}


def named_modules(source: str) -> list[str]:
    """The modules that the marker in the API page lists, in its order.

    >>> named_modules("# API <!-- modules: losses norm -->")
    ['losses', 'norm']
    """
    marker = NAMED_MODULES.search(source)
    return marker[1].split() if marker else []


def api_sections(modules: list[str]) -> str:
    """MyST source: for each module its docstring, a table of its names, and their entries."""
    parts, back_rooms = [], []
    found = {
        module.__name__.rpartition(".")[2]: (module, names) for module, names in rooms().items()
    }
    for wanted in modules:
        module, names = found[wanted]
        if not names:
            back_rooms.append(f".. automodule:: {module.__name__}\n")
            continue
        short = module.__name__.rpartition(".")[2]
        rows = "\n".join(f"   {name}" for name in names)
        elsewhere = ", ".join(sorted(set(public_names(module)) - set(names)))
        exclude = f"   :exclude-members: {elsewhere}\n" if elsewhere else ""
        parts.append(
            f"## `{short}`\n\n"
            "```{eval-rst}\n"
            f".. py:currentmodule:: {module.__name__}\n\n"
            ".. autosummary::\n"
            "   :nosignatures:\n\n"
            f"{rows}\n\n"
            f".. automodule:: {module.__name__}\n"
            "   :members:\n"
            f"{exclude}"
            "```\n"
        )
    if back_rooms:
        parts.append(
            "## Back rooms\n\n"
            "Modules whose names are imported from one that is listed before.\n\n"
            "```{eval-rst}\n" + "\n".join(back_rooms) + "```\n"
        )
    return "\n".join(parts)


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
    if docname in (API_PAGE, INSIDE_PAGE):
        named = named_modules((Path(app.srcdir) / f"{API_PAGE}.md").read_text(encoding="utf-8"))
        source[0] = NAMED_MODULES.sub(lambda _: api_sections(named), source[0])
        if OTHER_MODULES in source[0]:
            every = [module.__name__.rpartition(".")[2] for module in rooms()]
            others = [name for name in every if name not in named]
            source[0] = source[0].replace(OTHER_MODULES, api_sections(others))
    if docname == VERSIONS_PAGE:
        source[0] = source[0].replace(VERSIONS_MARKER, versions_table(Path(app.srcdir)))


def always_read_versions(
    app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    return [VERSIONS_PAGE] if VERSIONS_PAGE in env.found_docs else []


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", fill_markers)
    app.connect("env-get-outdated", always_read_versions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
