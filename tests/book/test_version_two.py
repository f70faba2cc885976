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
import nbformat
import pytest
import yaml
from headless import needs_chromium, opened

from contrastive_tutorial import widgets
from contrastive_tutorial.files.progress import BOOK_VARIABLE
from contrastive_tutorial.widgets import fields, fragment

ROOT = Path(__file__).resolve().parents[2]
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


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
        [tool, "build", "--site"], cwd=folder, text=True, timeout=1200, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"API_URL": "http://127.0.0.1:9"},  # where themes would come from
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="module")
def outputs():
    """What cells of the book show, by kind, as HTML."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BOOK_VARIABLE, "1")
        lab = widgets.Lab()
    return {
        "player": widgets.interact(lambda k: f"now {k}", k=[1, 2], name="player").html,
        "formula": widgets.Formula("normals").html,
        "field": fields.Field("x", {"kind": "number", "judge": [1.0, 0.1, []]}).html,
        "lab": lab.html,
        "figure": '<svg class="ct-figure" width="9" height="9"><path d="M 0 0 L 9 9"></path></svg>',
    }


@pytest.fixture(scope="module")
def clone(tmp_path_factory, outputs):
    """The book's sources, and one more page whose cells have been executed."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("myst.yml", "_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    leave = shutil.ignore_patterns("colab", "__pycache__")
    shutil.copytree(ROOT / "book", clone / "book", ignore=leave)
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    contents["parts"][0]["chapters"].append({"file": "book/outputs"})
    (clone / "_toc.yml").write_text(yaml.safe_dump(contents))
    new = nbformat.v4
    cells = [
        new.new_code_cell(
            "1", outputs=[new.new_output("display_data", {"text/html": html, "text/plain": kind})]
        )
        for kind, html in outputs.items()
    ]
    cells.append(new.new_code_cell("x = ...", metadata={"tags": ["notebook-only"]}))
    notebook = new.new_notebook(cells=[new.new_markdown_cell("# Outputs"), *cells])
    nbformat.write(notebook, clone / "book" / "outputs.ipynb")
    return clone


@pytest.fixture(scope="module")
def said(tool, clone):
    return built(tool, clone)


@pytest.fixture(scope="module")
def shown(said, clone):
    """The same outputs, as the site has them, by kind."""
    site = clone / "_build" / "site"
    found = {}
    page = json.loads((site / "content" / "outputs.json").read_text())
    for node in find_nodes(page, "output"):
        data = node["jupyter_data"]["data"]
        html = data["text/html"]
        found[data["text/plain"]["content"]] = html.get("content") or (
            (site / "public" / html["path"].lstrip("/")).read_text()
        )
    return found


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


def test_outputs_reach_the_site_as_they_are(outputs, shown):
    links = outputs["lab"].replace(
        '"records":"recorded-results.html"', '"records":"/recorded-results"'
    )
    assert links != outputs["lab"]
    assert shown == outputs | {"lab": links}


@pytest.mark.browser
@needs_chromium
def test_outputs_live_where_the_theme_inserts_them(shown, tmp_path):
    """The theme hands HTML to JupyterLab's renderer, which replaces each script by a copy."""
    page = f"""<!doctype html><html lang="en"><title>outputs</title><body><script>
    for (const html of {fragment.json_for_script(list(shown.values()))}) {{
      const output = document.createElement("div");
      output.innerHTML = html;
      for (const script of output.querySelectorAll("script")) {{
        const copy = document.createElement("script");
        for (const each of script.attributes) copy.setAttribute(each.name, each.value);
        copy.textContent = script.textContent;
        script.replaceWith(copy);
      }}
      document.body.append(output);
    }}</script></body></html>"""
    (tmp_path / "outputs.html").write_text(page, encoding="utf-8")
    with opened(tmp_path / "outputs.html") as tab:
        tab.locator(".stage pre", has_text="now 1").wait_for()
        tab.get_by_text("ready: 9,328 weights").first.wait_for(timeout=120_000)
        assert tab.locator(".ct-widget[data-ct-ready]").count() == 4
        assert tab.locator(".ct-fallback").count() == 0
        assert tab.locator("svg.ct-figure").bounding_box()["width"] == 9


def test_cells_for_notebooks_are_not_shown(said, clone):
    page = json.loads((clone / "_build" / "site" / "content" / "outputs.json").read_text())
    blocks = [b for b in find_nodes(page, "block") if "x = ..." in json.dumps(b)]
    assert [b for b in blocks if b.get("visibility") != "remove"] == []


def test_code_names_the_repository(said, clone):
    pages = (clone / "_build" / "site" / "content").glob("*.json")
    assert [p.stem for p in pages if "{{ repository }}" in p.read_text()] == []


PLUGIN = """
const { default: plugin } = await import(process.argv[1]);
const [predict] = plugin.directives.filter(({ name }) => name === "predict");
const list = (...words) => ({
  type: "list",
  children: words.map((word) => ({ type: "listItem", children: [{ type: "text", value: word }] })),
});
const body = [list("less", "more"), list("this", "that", "both")];
const [box] = predict.run({ body, options: { right: "B C" } });
console.log(JSON.stringify({ variable: process.env[process.argv[2]], box }));
"""


@needs_node
def test_kernels_learn_that_a_book_is_built_and_answers_have_letters(monkeypatch):
    monkeypatch.delenv(BOOK_VARIABLE, raising=False)
    plugin = (ROOT / "book" / "_ext" / "myst_two.mjs").as_uri()
    done = subprocess.run(
        ["node", "--input-type=module", "-e", PLUGIN, plugin, BOOK_VARIABLE],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["variable"] == "1"
    lines = [
        "".join(n["value"] for n in find_nodes(i, "text")) for i in find_nodes(found, "listItem")
    ]
    assert lines == ["A. less", "B. more", "A. this", "B. that", "C. both"]
    (folded,) = find_nodes(found, "details")
    assert [node["value"] for node in find_nodes(folded, "text")] == ["Answer", "B, C"]


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
