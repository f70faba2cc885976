"""Jupyter Book 2 in a clone: it says which version builds the book, and reads every page.

Version 2 excludes version 1, so it is looked for in an environment of its own: name its command in
CONTRASTIVE_TUTORIAL_MYST (`jupyter-book` of version 2, or `myst`). Nothing is fetched.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import book_index
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    tool = os.environ.get("CONTRASTIVE_TUTORIAL_MYST") or shutil.which("myst")
    if not tool:
        pytest.skip(
            "Jupyter Book 2 is not here: install jupyter-book>=2 in an environment of its own and "
            "set CONTRASTIVE_TUTORIAL_MYST to its command"
        )
    clone = tmp_path_factory.mktemp("clone")
    for name in ("myst.yml", "_toc.yml", "_config.yml"):
        shutil.copy(ROOT / name, clone)
    leave = shutil.ignore_patterns("colab", "__pycache__")
    shutil.copytree(ROOT / "book", clone / "book", ignore=leave)
    done = subprocess.run(
        [tool, "build", "--site"], cwd=clone, text=True, timeout=300, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"API_URL": "http://127.0.0.1:9"},  # where themes would come from
    )  # fmt: skip
    return done.stdout


def test_it_says_which_version_builds_the_book(said):
    (line,) = (
        line for line in said.splitlines() if "Jupyter Book 1" in line and "make book" in line
    )
    assert ".[book]" in line


def test_it_reads_every_page_without_an_error(said):
    pages = book_index.toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    assert sorted(re.findall(r"Built book/([\w-]+)\.md", said)) == sorted(pages)
    assert "⛔" not in said


def test_it_finds_every_term_and_reference(said):
    assert re.findall(r"⚠️ .*(?:not found|No target).*", said) == []


def test_the_settings_lead_to_files():
    settings = yaml.safe_load((ROOT / "myst.yml").read_text())["project"]
    named = settings["plugins"] + settings["bibliography"]
    assert [name for name in named if not (ROOT / name).is_file()] == []
    title = yaml.safe_load((ROOT / "_config.yml").read_text())["title"]
    assert settings["title"] == title
