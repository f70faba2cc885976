"""provenance: a number can be traced to code and versions, or says that it cannot."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from contrastive_tutorial.records import provenance


def test_versions_are_those_installed():
    found = provenance.versions()
    assert found["numpy"] == version("numpy")
    assert found["python"].count(".") == 2


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A checkout that holds a copy of the module, as if the package ran from it."""
    folder = tmp_path / "tree" / "contrastive_tutorial"
    room = folder / Path(provenance.__file__).parent.name
    room.mkdir(parents=True)
    for path in (folder / "errors.py", room / "provenance.py"):
        path.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(room / "provenance.py"))
    return folder


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_commit_says_whether_the_package_differs_from_it(tree):
    git(tree.parent, "init", "-q")
    git(tree.parent, "add", "-A")
    git(tree.parent, "commit", "-qm", "first")
    commit = git(tree.parent, "rev-parse", "HEAD")
    assert provenance.git_commit() == commit
    (tree.parent / "notes.txt").write_text("beside the package")
    assert provenance.git_commit() == commit
    (tree / "errors.py").write_text("changed = True\n")  # another room counts as well
    assert provenance.git_commit() == commit + "-dirty"


def test_the_code_that_runs_here_is_found():
    root = Path(provenance.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        pytest.skip("not a checkout")
    assert provenance.git_commit()[:40] == git(root, "rev-parse", "HEAD")


def test_an_installed_package_has_no_commit_of_its_own(tree):
    assert provenance.git_commit() is None  # no checkout at all
    git(tree.parent, "init", "-q")
    git(tree.parent, "commit", "-q", "--allow-empty", "-m", "another project's")
    assert provenance.git_commit() is None
