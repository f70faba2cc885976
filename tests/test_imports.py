"""The house: a room imports only from rooms below it, a module only from its elders.

Slow libraries stay outside: importing a module loads none of them.
"""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import contrastive_tutorial

PACKAGE = Path(contrastive_tutorial.__file__).parent
#: From the ground up. A room imports only from those before it; nobody imports the last one.
ROOMS = (
    "errors", "files", "losses", "norm", "augment", "data", "metrics", "train", "records", "study",
    "verdicts", "report", "widgets", "cli",
)  # fmt: skip
#: Slow to import, and needed only where something is drawn, embedded or tested.
SLOW = {
    "matplotlib", "seaborn", "umap", "numba", "ipywidgets", "IPython", "pandas", "statsmodels",
    "sklearn", "scipy", "torchvision",
}  # fmt: skip


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {
    module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if path.stem != "__main__"
}
MODULES.pop("")


def room(name):
    return name.partition(".")[0]


def imported(name):
    """The modules of the package that the source of a module names, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{name}: a relative import; name the room")
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
            base = node.module.partition(".")[2]
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                found.add(full if full in MODULES else base)
        elif isinstance(node, ast.Import):
            names = [alias.name.partition(".") for alias in node.names]
            found |= {rest for top, _, rest in names if top == PACKAGE.name}
    return {needed for needed in found if needed} - {name}


def test_every_module_has_a_room():
    assert {room(name) for name in MODULES} == set(ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    own = ROOMS.index(room(name))
    upward = {needed for needed in imported(name) if ROOMS.index(room(needed)) > own}
    assert not upward


@pytest.mark.parametrize("of", ROOMS)
def test_inside_a_room_there_are_elders(of):
    """No circle, and no module that goes through the door of its own room."""
    graph = {name: imported(name) for name in MODULES if room(name) == of}
    door = graph.pop(of, None)
    assert door is None or not any(of in needs for needs in graph.values())
    while graph:
        elders = {name for name, needs in graph.items() if not needs & set(graph)}
        assert elders, f"a circle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in elders}


def in_a_process_of_its_own(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_any_module_loads_no_slow_library():
    """All into one process: what all of them together do not load, none of them loads."""
    in_a_process_of_its_own(
        "import importlib, sys\n"
        f"for name in {list(MODULES)!r}:\n"
        "    importlib.import_module('contrastive_tutorial.' + name)\n"
        f"    slow = {SLOW!r} & sys.modules.keys()\n"
        "    assert not slow, (name, slow)"
    )


def test_the_package_itself_and_the_command_line_do_not_even_load_torch():
    in_a_process_of_its_own(
        "import sys, contrastive_tutorial, contrastive_tutorial.cli.doctor\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys()"
    )


def test_a_room_is_there_when_it_is_named():
    in_a_process_of_its_own(
        "import sys, contrastive_tutorial as ct\n"
        "assert ct.losses.nt_xent and 'losses' in dir(ct)\n"
        "loaded = [m for m in sys.modules if m.startswith('contrastive_tutorial.')]\n"
        "assert {m.split('.')[1] for m in loaded} == {'errors', 'losses'}, loaded\n"
        "try:\n    ct.nothing\n"
        "except AttributeError as error:\n    assert 'nothing' in str(error)\n"
        "else:\n    sys.exit(1)"
    )


@pytest.mark.parametrize("name", ROOMS[1:])
def test_every_public_name_is_there_and_says_what_it_is(name):
    door = importlib.import_module(f"contrastive_tutorial.{name}")
    for public in getattr(door, "__all__", ()):
        assert getattr(door, public).__doc__, public


def test_every_room_says_what_it_is_for():
    for name in ROOMS[1:]:
        text = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))
        assert text, name
        for word in ("Enters:", "Leaves:", "Never:"):
            assert f"\n{word}" in text, (name, word)
