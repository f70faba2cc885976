"""One list of versions: pyproject.toml asks, constraints.txt pins, environment.yml points there."""

import json
import re
import tomllib
from pathlib import Path

import book_index
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!-]+", line) for line in wanted)
    return {normal(line.split("==")[0]): Version(line.split("==")[1]) for line in wanted}


def requirements(*extras):
    found = project()
    core = [Requirement(text) for text in found["dependencies"]]
    return core + [need for extra in extras for need in book_index.required(found, extra)]


def test_every_direct_dependency_is_pinned_within_its_bounds():
    pinned = pins()
    for wanted in requirements("book", "test"):
        assert normal(wanted.name) in pinned, wanted
        assert pinned[normal(wanted.name)] in wanted.specifier, wanted


def test_readers_get_lower_bounds_only():
    for wanted in requirements("notebook"):
        assert {clause.operator for clause in wanted.specifier} == {">="}, wanted


def test_jupyter_book_is_bounded_on_both_sides():
    (book,) = [r for r in requirements("book") if r.name == "jupyter-book"]
    assert "2.0" not in book.specifier
    assert "1.0.4.post1" in book.specifier


def test_environment_installs_the_same():
    found = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in found["dependencies"] if isinstance(entry, dict)]
    assert pip == ["-c constraints.txt", "-e .[book]"]
    assert f"python{project()['requires-python']}" in found["dependencies"]


def test_the_address_of_the_project_stands_in_one_place():
    address = project()["urls"]["Repository"]
    holders = []
    skipped = {".venv", ".git", "_build", "results"}
    tops = [path for path in ROOT.iterdir() if path.name not in skipped]
    for path in [p for top in tops for p in ([top] if top.is_file() else top.rglob("*"))]:
        parts = path.relative_to(ROOT).parts
        if path.suffix not in (
            ".py", ".md", ".yml", ".toml", ".cff", ".txt", ".js", ".css",
        ):  # fmt: skip
            continue
        if path.is_file() and address in path.read_text(encoding="utf-8", errors="ignore"):
            holders.append("/".join(parts))
    assert holders == ["pyproject.toml"]


def test_files_that_comments_and_workflows_name_are_there():
    named = re.compile(r"\b(?:tests|findings|examples)/[\w./-]+\.(?:py|sh|js)\b")
    kinds = ["*.yml", "*.toml", "Makefile", "README.md", "CONTRIBUTING.md"]
    kinds += [".github/workflows/*.yml", "contrastive_tutorial/**/*.py"]
    kinds += ["contrastive_tutorial/**/*.yml"]
    files = [path for kind in kinds for path in ROOT.glob(kind)]
    found = {(path.name, name) for path in files for name in named.findall(path.read_text())}
    assert ("versions.yml", "tests/faults/fuzz_atheris.py") in found
    absent = {(where, name) for where, name in found if not (ROOT / name).exists()}
    assert absent == {("Makefile", "findings/NAME.sh")}
    there = {path.name for path in ROOT.glob("tests/**/*.py")}
    assert set(re.findall(r"\btest_\w+\.py", (ROOT / "SECURITY.md").read_text())) <= there


def test_workflows_make_what_there_is_to_make():
    (line,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    for workflow in ROOT.glob(".github/workflows/*.yml"):
        wanted = re.findall(r"^ *- run: make ([\w-]+)", workflow.read_text(), re.M)
        assert set(wanted) <= set(line.split()), workflow.name


def test_actions_are_pinned_by_commit_and_say_which_release_it_is():
    """A tag can be moved to other code; a commit cannot."""
    used = [
        line.partition("uses:")[2].strip()
        for workflow in ROOT.glob(".github/workflows/*.yml")
        for line in workflow.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)+", action), action
    pins = {action.split("@")[0]: action for action in used}
    assert set(used) == set(pins.values())  # one release of each
    watched = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert "github-actions" in {entry["package-ecosystem"] for entry in watched}


def test_the_fuzzer_gets_what_the_readers_of_records_need():
    assert {"atheris", "scipy", "statsmodels"} <= {need.name for need in requirements("fuzz")}


def test_containers_install_what_the_project_asks_for():
    """Neither Docker nor Binder runs in a test: what they are told is held to what is there."""
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    recipe = (ROOT / ".devcontainer" / container["build"]["dockerfile"]).read_text()
    system = re.search(r"apt-get install -y -qq ([a-z ]+)", (ROOT / ".ci/run").read_text())
    assert set(system[1].split()) <= set(recipe.split())
    for text in (recipe, (ROOT / ".binder/runtime.txt").read_text()):
        version = Version(re.search(r"python[:-](\d+\.\d+)", text)[1])
        assert version in SpecifierSet(project()["requires-python"])
    target = container["postCreateCommand"].removeprefix("make ")
    assert f"\n$(VENV)/{Path(target).name}:" in (ROOT / "Makefile").read_text()
    build = ROOT / ".binder/postBuild"
    assert build.stat().st_mode & 0o111
    asked = re.search(r"-c (\S+) -e '\.\[(\w+)\]'", build.read_text())
    assert (ROOT / asked[1]).is_file()
    assert asked[2] in project()["optional-dependencies"]
