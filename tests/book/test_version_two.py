"""Jupyter Book 2 in a clone: it says which version builds the book, and reads every page.

Version 2 excludes version 1, so it is looked for in an environment of its own: name its command in
CONTRASTIVE_TUTORIAL_MYST (`jupyter-book` of version 2, or `myst`). Nothing is fetched.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import book_index
import pytest
import yaml

from contrastive_tutorial import widgets

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    tool = os.environ.get("CONTRASTIVE_TUTORIAL_MYST") or shutil.which("myst")
    if not tool:
        pytest.skip(
            "Jupyter Book 2 is not here: install jupyter-book>=2 in an environment of its own and "
            "set CONTRASTIVE_TUTORIAL_MYST to its command"
        )
    return tool


def built(tool, folder):
    """What the tool says while it builds a site, without a theme, which it would fetch."""
    done = subprocess.run(
        [tool, "build", "--site"], cwd=folder, text=True, timeout=300, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"API_URL": "http://127.0.0.1:9"},  # where themes would come from
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="module")
def said(tool, tmp_path_factory):
    clone = tmp_path_factory.mktemp("clone")
    for name in ("myst.yml", "_toc.yml", "_config.yml"):
        shutil.copy(ROOT / name, clone)
    leave = shutil.ignore_patterns("colab", "__pycache__")
    shutil.copytree(ROOT / "book", clone / "book", ignore=leave)
    return built(tool, clone)


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


def test_a_saved_widget_stands_in_a_page(tool, tmp_path):
    player = widgets.interact(lambda k: f"now {k}", k=[1, 2], static=True, name="player")
    module = widgets.save_module(player, tmp_path / "player.mjs").read_bytes()
    (tmp_path / "myst.yml").write_text("version: 1\nproject: {}\nsite: {}\n")
    (tmp_path / "page.md").write_text("# Page\n\n```{anywidget} player.mjs\n```\n")
    said = built(tool, tmp_path)
    assert "Built page.md" in said
    assert "⛔" not in said
    site = tmp_path / "_build" / "site"
    (node,) = find_nodes(json.loads((site / "content" / "page.json").read_text()), "anywidget")
    assert node["model"] == {}
    assert (site / "public" / Path(node["esm"]).name).read_bytes() == module


def find_nodes(tree, kind):
    if isinstance(tree, list):
        return [node for part in tree for node in find_nodes(part, kind)]
    if not isinstance(tree, dict):
        return []
    own = [tree] if tree.get("type") == kind else []
    return own + find_nodes(list(tree.values()), kind)


def test_the_settings_lead_to_files():
    settings = yaml.safe_load((ROOT / "myst.yml").read_text())["project"]
    named = settings["plugins"] + settings["bibliography"]
    assert [name for name in named if not (ROOT / name).is_file()] == []
    title = yaml.safe_load((ROOT / "_config.yml").read_text())["title"]
    assert settings["title"] == title
