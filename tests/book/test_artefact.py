"""The wheel: it holds the whole package and nothing else, and needs no source tree."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "contrastive_tutorial"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built without a network, from a copy: a build leaves folders behind."""
    if not PACKAGE.is_dir():
        pytest.skip("the source tree is not here: these are the tests of a built artefact")
    tree = tmp_path_factory.mktemp("tree")
    for path in [*ROOT.glob("*.toml"), ROOT / "README.md", ROOT / "LICENSE"]:
        (tree / path.name).write_bytes(path.read_bytes())
    for path in PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = tree / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    code = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return tree / done.stdout.split()[-1]


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        metadata = [name for name in file.namelist() if ".dist-info/" in name]
    wanted = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == wanted
    assert any(name.endswith("LICENSE") for name in metadata)
    assert any(name.endswith("entry_points.txt") for name in metadata)


def test_the_wheel_runs_by_itself(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    for arguments in (["cells"], ["--version"], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-m", "contrastive_tutorial", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    assert str(tmp_path / "site") in done.stdout
