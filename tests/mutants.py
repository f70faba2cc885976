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
mutmut makes the mutants and finds out which tests reach which function. The runs themselves are
ours: its own start pytest anew for each mutant, which takes ten times as long as the tests do.
Here a process that has collected all tests splits off one for each mutant.

The summary is ``tests/mutants.json``. Why a survivor is let live stands there too, written by hand
and kept from run to run; one without a reason ends the command with an error.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.metadata
import json
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import Phase
from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "contrastive_tutorial"
REPORT = ROOT / "tests" / "mutants.json"
COMMAND = "make mutants"
CAVEAT = (
    "Gaps that these mutants showed have been closed by new tests: "
    "of mutants not tried, more survive."
)
PLAIN = "_plain"  # ending of a function that has lost its decorators
KILLED = {1, 3, -11}  # a test failed, or the process fell over
TOO_LONG = {-24, -14, -9}  # stopped at its limit
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


def make(folder: Path) -> None:
    """Let mutmut make the mutants, run all tests without one, and see which reach what."""
    code = "from mutmut.__main__ import cli; cli()"
    first = f"{PACKAGE}.{modules()[0]}.x_*__mutmut_1"
    command = [sys.executable, "-c", code, "run", "--max-children=1", first]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    status = subprocess.run(command, cwd=folder, env=environment, check=False).returncode
    if status:
        sys.exit(f"mutmut: exit status {status}")


class Runs:
    """A pytest plugin: once all tests are collected, tries mutants, each in a process of its own.

    No test runs in the process that is split, so that torch's threads, which do not survive a
    split, are not there yet.
    """

    def __init__(self, folder: Path, wanted: list[tuple[str, str]], children: int) -> None:
        self.folder, self.wanted, self.children = folder, wanted, children
        stats = json.loads((folder / "mutants" / "mutmut-stats.json").read_text())
        self.durations = stats["duration_by_test"]
        self.reaching = stats["tests_by_mangled_function_name"]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        session.config.pluginmanager.unregister(name="terminalreporter")
        gc.collect()
        gc.freeze()  # what is never looked at again is never copied
        running: dict[int, tuple[str, str]] = {}
        for i, (module, name) in enumerate(self.wanted):
            tests = self.reaching.get(name.partition("__mutmut_")[0], [])
            tests = sorted(
                (test for test in tests if test in items),
                key=lambda test: (self.durations[test], test),  # most die at once
            )
            pid = os.fork()
            if not pid:
                self._try(session, name, [items[test] for test in tests])
            running[pid] = module, name
            while len(running) >= self.children:
                self._collect(running)
            if i % 20 == 0:
                print(f"\r{i} of {len(self.wanted)}", end="", file=sys.__stderr__, flush=True)
        while running:
            self._collect(running)
        return True

    def _try(self, session: pytest.Session, name: str, items: list[pytest.Item]) -> None:
        """In the split process: run the tests until one fails; does not return."""
        from mutmut.mutation.trampoline import set_mutant_under_test

        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        expected = sum(self.durations[item.nodeid] for item in items)
        limit = int(time.process_time() + 10 + 5 * expected)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        signal.alarm(limit * 10)  # for what waits without computing
        set_mutant_under_test(name)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os._exit(1)
        os._exit(0 if items else 33)

    def _collect(self, running: dict[int, tuple[str, str]]) -> None:
        pid, status = os.wait()
        module, name = running.pop(pid)
        path = meta(self.folder, module)
        found = json.loads(path.read_text())
        found["exit_code_by_key"][name] = os.waitstatus_to_exitcode(status)
        path.write_text(json.dumps(found, indent=4))


def run(folder: Path, wanted: list[tuple[str, str]], children: int) -> None:
    """Try mutants, given as module and name; what becomes of them is kept at once."""
    options = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["mutmut"]
    runs = Runs(folder, wanted, children)
    os.chdir(folder / "mutants")
    sys.path.insert(0, str(folder / "mutants"))
    arguments = [*options["pytest_add_cli_args"], *options["pytest_add_cli_args_test_selection"]]
    # The first failure will do: nobody reads about it, and no smaller example is wanted.
    hypothesis.settings.register_profile(
        "mutants",
        phases=(Phase.explicit, Phase.generate),
        database=None,
        report_multiple_bugs=False,
    )
    hypothesis.settings.load_profile("mutants")
    arguments += ["--rootdir=.", "--tb=no", "-q"]
    status = pytest.main(arguments, plugins=[runs])
    os.chdir(ROOT)
    if status:
        sys.exit(f"pytest: exit status {status}")
    loaded = Path(sys.modules[PACKAGE].__file__ or "")
    assert folder in loaded.parents, f"the tests ran on {loaded}"


def meta(folder: Path, module: str) -> Path:
    """mutmut's file of what became of a module's mutants."""
    return folder / "mutants" / PACKAGE / f"{module}.py.meta"


def results(folder: Path, module: str) -> dict[str, int | None]:
    """mutmut's exit code of every mutant of a module, by its name; ``None``: not tried."""
    path = meta(folder, module)
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
        "command": COMMAND if size is None else f"{COMMAND} SAMPLE={size}",
        "commit": _commit(),
        "caveat": CAVEAT,
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
    chosen = options.module or modules()
    if not options.report:
        prepare(folder)
        if options.again:  # which test reaches what may have changed with the tests
            (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
        make(folder)
        wanted = SURVIVED | UNREACHED if options.again else {None}
        names = [
            (module, name)
            for module in chosen
            for name in sample(folder, module, options.sample)
            if results(folder, module)[name] in wanted | BROKEN
        ]
        if names:
            run(folder, names, options.children)
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
