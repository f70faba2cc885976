"""Do the tests notice a wrong sign? Small faults are put into a module, and its own tests run.

    OMP_NUM_THREADS=1 python tests/mutants.py --module clustering kl --sample 10 --seed 0

A mutant is one change: a comparison, an arithmetic operator or a sign swapped, a ``not`` taken
away, a number one larger or smaller, ``and`` for ``or``. It is killed when ``test_<module>.py``
fails or takes too long on a copy of the package, and has survived when the tests pass.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "contrastive_tutorial"
MODULES = ("clustering", "ntxent", "kl", "geometry", "norm_renorm")
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.USub: ast.UAdd,
}  # fmt: skip


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp) and type(node.op) in SWAPS:
        other = copy.deepcopy(node)
        other.op = SWAPS[type(node.op)]()
        yield other
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        other = copy.deepcopy(node)
        other.ops[0] = SWAPS[type(node.ops[0])]()
        yield other
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)


def _skipped(tree: ast.AST) -> set[int]:
    """Nodes whose change does nothing here: annotations, and the words of error messages."""
    found = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            parts = [node.returns]
        elif isinstance(node, ast.Raise | ast.JoinedStr):
            parts = [node]
        found |= {id(inner) for part in parts if part for inner in ast.walk(part)}
    return found


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Every mutant of a module: where and what, and its source."""
    tree = ast.parse(source)
    skipped = _skipped(tree)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            places = value if isinstance(value, list) else [value]
            for i, node in enumerate(places):
                if not isinstance(node, ast.expr) or id(node) in skipped:
                    continue
                for other in _variants(node):
                    _put(parent, name, i, other)
                    changed = f"{ast.unparse(node)} -> {ast.unparse(other)}"
                    yield f"line {node.lineno}: {changed}", ast.unparse(tree)
                    _put(parent, name, i, node)


def _put(parent: ast.AST, name: str, i: int, node: ast.AST) -> None:
    value = getattr(parent, name)
    if isinstance(value, list):
        value[i] = node
    else:
        setattr(parent, name, node)


def passes(folder: Path, module: str, timeout: float) -> bool:
    """Whether the module's tests pass on the package in ``folder``."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return not subprocess.run(
            [*command, f"tests/test_{module}.py"], cwd=folder, env=environment, timeout=timeout,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--module", nargs="+", default=MODULES, metavar="NAME")
    parser.add_argument("--sample", type=int, help="so many of each module; default: all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for module in options.module:
        with tempfile.TemporaryDirectory(prefix="mutants-") as name:
            folder = Path(name)
            for part in (PACKAGE, "tests"):
                shutil.copytree(ROOT / part, folder / part)
            shutil.copy(ROOT / "pyproject.toml", folder)
            path = folder / PACKAGE / f"{module}.py"
            found = list(mutants(path.read_text()))
            tried = found
            if options.sample and options.sample < len(found):
                tried = random.Random(options.seed).sample(found, options.sample)
            began = time.monotonic()
            if not passes(folder, module, 600):
                print(f"{module}: its tests fail without a mutant")
                return 1
            limit = 30 + 5 * (time.monotonic() - began)
            survived = []
            for what, source in tried:
                path.write_text(source)
                if passes(folder, module, limit):
                    survived.append(what)
            killed = len(tried) - len(survived)
            print(f"{module}: {killed} of {len(tried)} killed ({len(found)} in all)", flush=True)
            print(*(f"  survived {what}" for what in survived), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
