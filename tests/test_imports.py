"""The floors of the house: what a module imports lies below it, and slow libraries stay outside."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import contrastive_tutorial

PACKAGE = Path(contrastive_tutorial.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__main__")
#: Slow to import, and needed only where something is drawn, embedded or tested.
SLOW = {
    "matplotlib", "seaborn", "umap", "numba", "ipywidgets", "IPython", "pandas", "statsmodels",
    "sklearn", "scipy", "torchvision",
}  # fmt: skip
FACE = {"cli", "doctor"}


@pytest.fixture(scope="module")
def loaded():
    """Module -> which slow libraries and which of our own modules importing it alone loads."""
    code = (
        "import importlib, json, os, sys\n"
        "import torch, numpy\n"  # once, before the process splits
        f"names, slow = {MODULES!r}, {sorted(SLOW)!r}\n"
        "for name in names:\n"
        "    sys.stdout.flush()\n"
        "    if os.fork() == 0:\n"
        "        importlib.import_module('contrastive_tutorial.' + name)\n"
        "        slow_ones = [s for s in slow if s in sys.modules]\n"
        "        own = [m.split('.')[1] for m in sys.modules\n"
        "               if m.startswith('contrastive_tutorial.')]\n"
        "        print(json.dumps([name, slow_ones, own]), flush=True)\n"
        "        os._exit(0)\n"
        "    assert os.wait()[1] == 0, name\n"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    found = {name: (slow, own) for name, slow, own in map(json.loads, out.splitlines())}
    assert sorted(found) == MODULES
    return found


def test_importing_any_module_loads_no_slow_library(loaded):
    assert {name: slow for name, (slow, _) in loaded.items() if slow} == {}


def test_the_package_itself_and_the_command_line_do_not_even_load_torch():
    for name in ("contrastive_tutorial", "contrastive_tutorial.cli", "contrastive_tutorial.doctor"):
        code = f"import sys, {name}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, name


def imported(name):
    """The modules of the package that the source of a module names, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "contrastive_tutorial":
            found |= {alias.name for alias in node.names} & set(MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "contrastive_tutorial."
        ):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            found |= {p[1] for p in parts if p[0] == "contrastive_tutorial" and len(p) > 1}
    return found - {name}


def test_nobody_imports_the_face():
    for name in MODULES:
        if name not in FACE:
            assert not imported(name) & FACE, name


def test_imports_make_no_circle():
    """A module may import only from below: then there is an order in which nothing looks up."""
    graph = {name: imported(name) - {"__init__"} for name in MODULES}
    while graph:
        ground = {name for name, needs in graph.items() if not needs & set(graph)}
        assert ground, f"a circle among {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in ground}
