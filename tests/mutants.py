"""Do the tests notice a wrong sign? ``mutmut`` puts small faults into losses, norms and metrics.

    OMP_NUM_THREADS=1 python tests/mutants.py [--module NAME ...] [--sample N] [--again]

A mutant is one change: an operator swapped, a number one larger, an argument left out, a value
replaced by ``None``. It is killed when one of the tests that reach it fails or takes too long, and
has survived when all pass. ``[tool.mutmut]`` in ``pyproject.toml`` says which modules and which
tests; the words of error messages are left alone.

Works on a copy in ``_build/mutants``, where what was found is kept: a run that was interrupted goes
on, ``--again`` tries the survivors anew after tests were added, deleting the folder starts afresh.
``--sample N`` tries N of each module, chosen uniformly with a fixed seed, a larger N adding to a
smaller one; the summary then counts these alone.
The summary is ``tests/mutants.json``. Why a survivor is let live stands there too, written by hand
and kept from run to run; one without a reason ends the command with an error.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import os
import platform
import random
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "contrastive_tutorial"
REPORT = ROOT / "tests" / "mutants.json"
COMMAND = "make mutants"
PLAIN = "_plain"  # ending of a function that has lost its decorators
KILLED = {1, 3}  # a test failed
TOO_LONG = {24, 36, 152, -24, -9}  # stopped by mutmut
SURVIVED, UNREACHED = {0}, {5, 33}
BROKEN = {255}  # pytest could not run the tests


def modules() -> list[str]:
    """The modules that ``pyproject.toml`` names, in its order."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    return [Path(name).stem for name in options["only_mutate"]]


def spelled_out(source: str) -> str:
    """``@d def f(): ...`` as ``def f_plain(): ...`` and ``f = d(f_plain)``.

    mutmut leaves decorated functions alone, and with them half of what the norms do. A lone
    ``staticmethod`` or ``classmethod`` it can deal with.
    """
    lines = source.splitlines()
    tree = ast.parse(source)
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    decorated = [
        node
        for body in bodies
        for node in body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    ]
    for node in sorted(decorated, key=lambda node: -node.lineno):  # from the end: lines stay right
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        if decorators in (["staticmethod"], ["classmethod"]):
            continue
        indent = " " * node.col_offset
        plain = node.name + PLAIN
        value = plain
        for decorator in reversed(decorators):
            value = f"{decorator}({value})"
        lines.insert(node.end_lineno or 0, f"{indent}{node.name} = {value}")
        lines[node.lineno - 1] = lines[node.lineno - 1].replace(
            f"def {node.name}", f"def {plain}", 1
        )
        first = node.decorator_list[0].lineno - 1
        lines[first : node.lineno - 1] = (
            [f"{indent}@staticmethod"] if "staticmethod" in decorators else []
        )
    return "\n".join(lines) + "\n"


def prepare(folder: Path) -> None:
    """Bring the copy up to date. A file that is the same stays untouched, and so do its mutants."""
    mutated = {f"{PACKAGE}/{name}.py" for name in modules()}
    wanted = {"pyproject.toml": (ROOT / "pyproject.toml").read_bytes()}
    for part in (PACKAGE, "tests"):
        for path in sorted((ROOT / part).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                wanted[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    for name, content in wanted.items():
        path = folder / name
        new = spelled_out(content.decode()).encode() if name in mutated else content
        if not path.is_file() or path.read_bytes() != new:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(new)


def mutmut(folder: Path, *arguments: str) -> None:
    """Run mutmut on the copy; it prints how far it is."""
    code = "from mutmut.__main__ import cli; cli()"
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, *arguments]
    status = subprocess.run(command, cwd=folder, env=environment, check=False).returncode
    if status:
        sys.exit(f"mutmut {arguments[0]}: exit status {status}")


def results(folder: Path, module: str) -> dict[str, int | None]:
    """mutmut's exit code of every mutant of a module, by its name; ``None``: not tried."""
    path = folder / "mutants" / PACKAGE / f"{module}.py.meta"
    return json.loads(path.read_text())["exit_code_by_key"] if path.is_file() else {}


def sample(folder: Path, module: str, size: int | None) -> list[str]:
    """``size`` mutants of a module; all, if ``None``."""
    names = list(results(folder, module))
    if size is None or size >= len(names):
        return names
    random.Random(f"0 {module}").shuffle(names)
    return names[:size]


def what(folder: Path, module: str, name: str) -> str:
    """The change, in one line: the function, what stood there, and what stands there."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    function, of = orig_function_and_class_names_from_key(name)
    before = os.getcwd()
    os.chdir(folder)
    try:
        lines = get_diff_for_mutant(name, path=f"{PACKAGE}/{module}.py").splitlines()[3:]
    finally:
        os.chdir(before)
    old, new = (
        " ".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in ("-", "+")
    )
    where = f"{of}.{function}" if of else function
    return f"{where.removesuffix(PLAIN)}: {old} → {new}"


def reasons() -> dict[tuple[str, str], str]:
    """Why a survivor is let live, from the last report."""
    if not REPORT.is_file():
        return {}
    return {
        (part["module"], survivor["what"]): survivor["why"]
        for part in json.loads(REPORT.read_text())["modules"]
        for survivor in part["survivors"]
    }


def report(folder: Path, size: int | None) -> dict[str, Any]:
    """The summary of what was found, in samples of ``size``."""
    known = reasons()
    parts = []
    for module in modules():
        codes = results(folder, module)
        chosen = {name: codes[name] for name in sample(folder, module, size)}
        survivors = []
        for name, code in chosen.items():
            if code in SURVIVED | UNREACHED:
                change = what(folder, module, name)
                survivors.append({"what": change, "why": known.get((module, change), "")})
            elif code not in KILLED | TOO_LONG | {None}:
                print(f"{name}: ended with {code}, counts as not tried")
                chosen[name] = None
        tried = sum(code is not None for code in chosen.values())
        killed = tried - len(survivors)
        part = {"module": module, "mutants": len(codes), "tried": tried, "killed": killed}
        if tried and (tried < len(codes)):
            interval = binomtest(killed, tried).proportion_ci(0.95, "wilson")
            part["interval"] = [round(interval.low, 3), round(interval.high, 3)]
        parts.append(part | {"survivors": survivors})
    return {
        "command": COMMAND,
        "commit": _commit(),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in ("mutmut", "torch", "hypothesis")},
        "modules": parts,
    }


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", PACKAGE, "tests", ":!tests/mutants.json")
    return git("rev-parse", "HEAD") + (" and changes" if changed else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--module", nargs="+", choices=modules(), metavar="NAME")
    parser.add_argument("--sample", type=int, metavar="N", help="so many of each module at most")
    parser.add_argument("--again", action="store_true", help="only what has survived so far")
    parser.add_argument("--report", action="store_true", help="run nothing, sum up what is there")
    parser.add_argument("--children", type=int, default=1, metavar="N", help="processes at a time")
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "mutants")
    options = parser.parse_args()
    folder = options.folder.resolve()
    children = f"--max-children={options.children}"
    if not options.report:
        prepare(folder)
    chosen = options.module or modules()
    if options.again:  # which test reaches what may have changed with the tests
        (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    known = all(results(folder, name) for name in chosen)
    if not options.report and not known:  # mutmut makes the mutants before it runs what it is told
        first = modules()[0]
        mutmut(folder, "run", children, f"{PACKAGE}.{first}.x_*__mutmut_1")
    if not options.report:
        wanted = SURVIVED | UNREACHED | BROKEN if options.again else {None} | BROKEN
        names = [
            name
            for module in chosen
            for name in sample(folder, module, options.sample)
            if results(folder, module)[name] in wanted
        ]
        if names:
            mutmut(folder, "run", children, *names)
    summary = report(folder, options.sample)
    REPORT.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    unexplained = 0
    for part in summary["modules"]:
        print("{module}: {killed} of {tried} killed, {mutants} in all".format(**part))
        for survivor in part["survivors"]:
            if not survivor["why"]:
                unexplained += 1
                print(f"  survived, and no reason given: {survivor['what']}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
