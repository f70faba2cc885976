"""Widgets as one self-contained piece of HTML."""

import base64
import functools
import json
import re

import numpy as np
import pytest
from headless import opened
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import held

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.widgets import (
    BatchBuilder,
    Board,
    EmbeddingExplorer,
    Formula,
    Lab,
    Sandbox,
    fragment,
    interact,
    save_module,
)
from contrastive_tutorial.widgets.formulas import KINDS

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(json_values | st.sampled_from(["</script>", "<!--<script>", "]]>", "\u2028", "مرحبا", "🐸"]))
def test_json_survives_a_script_element(value):
    text = fragment.json_for_script(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&\n") & set(text)


def test_numbers_that_json_lacks_are_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        fragment.json_for_script(float("nan"))


def test_a_fallback_and_a_state_stay_text():
    html = fragment.fragment("player", {"title": "</script><b>"}, "a <b>fallback</b>")
    assert html.count("</script>") == html.count("<script") == 2
    assert "a &lt;b&gt;fallback&lt;/b&gt;" in html


def test_equal_input_gives_equal_bytes_and_other_input_another_key():
    one, same = (fragment.fragment("player", {"title": "a"}, "f") for _ in range(2))
    other = fragment.fragment("player", {"title": "b"}, "f")
    assert one == same

    def key(html):
        return re.search(r'data-ct-widget="(\w+)"', html)[1]

    assert key(one) != key(other)
    assert " id=" not in one.split("<script>")[0]  # shown twice in a page, no id repeats


def test_pages_escape_their_title():
    page = fragment.page("<p>body</p>", "</title><script>alert(1)</script>")
    assert "<script>" not in page
    assert "<p>body</p>" in page


@pytest.mark.browser
@pytest.mark.parametrize("how", ["replace", "append", "shadow"])
def test_front_ends_that_insert_html_and_run_its_scripts_again(how, tmp_path):
    """JupyterLab replaces each script element by a copy, VS Code adds copies at the end, and
    others keep outputs in a shadow tree, where the document finds nothing."""
    html = interact(lambda k: f"now {k}", k=[1, 2], static=True, name="late").html
    append = "output.append(copy), copy.remove()"
    place = "script.replaceWith(copy)" if how == "replace" else append
    output = "document.getElementById('output')"
    if how == "shadow":
        output += ".attachShadow({ mode: 'open' })"
    page = f"""<!doctype html><html lang="en"><title>late</title><body><div id="output"></div>
    <script>
    const output = {output};
    output.innerHTML = {fragment.json_for_script(html)};
    for (const script of [...output.querySelectorAll("script")]) {{
      const copy = document.createElement("script");
      if (script.type) copy.type = script.type;
      copy.textContent = script.textContent;
      {place};
    }}
    </script></body></html>"""
    (tmp_path / "late.html").write_text(page, encoding="utf-8")
    with opened(tmp_path / "late.html") as tab:
        tab.locator(".stage pre", has_text="now 1").wait_for()
        assert tab.locator(".player").count() == 1
        tab.get_by_role("slider").press("ArrowRight")
        tab.locator(".stage pre", has_text="now 2").wait_for()


# ---- as a module ---------------------------------------------------------------------------------


def explorer():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 20)
    return EmbeddingExplorer([
        held({"embedding": rng.normal(size=(20, 2)), "labels": labels}, cell, 0, k)
        for cell in ("S-P1", "M-P1") for k in (2, 5)
    ])  # fmt: skip


def player():
    return interact(lambda k: f"now {k}", k=[1, 2], static=True, name="modular")


# How a page of Jupyter Book 2 shows a module: in a shadow tree, with a model that holds the JSON
# of the directive's body and calls no kernel.
HOST = """<!doctype html><html lang="en"><meta charset="utf-8"><title>modules</title>
<body><div id="place"></div><script type="module">
import widget from "data:text/javascript;base64,%(module)s";
const watched = new Set(), Native = ResizeObserver;
window.ResizeObserver = class extends Native {
  observe(node) { watched.add(this); super.observe(node); }
  disconnect() { watched.delete(this); super.disconnect(); }
};
const state = %(body)s;
const model = { get: (name) => state[name], set(name, value) { state[name] = value; },
  on() {}, off() {}, save_changes() {} };
const el = document.createElement("div");
document.getElementById("place").attachShadow({ mode: "open" }).append(el);
const close = await widget.render({ model, el });
window.finish = () => { close?.(); return watched.size; };
</script></body></html>"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("make", "body", "there"),
    [
        (player, {}, [".stage pre >> text=now 1"]),
        (explorer, {"k": 2}, [".panel canvas", "text=K = 2"]),
        (lambda: Lab("colours"), {}, ["text=ready: 9,328 weights"]),
    ],
)
def test_a_saved_module_draws_in_a_page_that_has_nothing_else(tmp_path, make, body, there):
    module = base64.b64encode(save_module(make(), tmp_path / "widget.mjs").read_bytes()).decode()
    page = HOST % {"module": module, "body": json.dumps(body)}
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with opened(tmp_path / "page.html") as tab:
        for selector in there:
            tab.locator(selector).first.wait_for(timeout=120_000)
        assert tab.evaluate("finish()") == 0  # a view that is closed leaves nothing behind


MAKERS = {
    "player": player, "explorer": explorer, "lab": Lab, "sandbox": Sandbox, "batch": BatchBuilder,
    "board": lambda: Board([]), **{kind: functools.partial(Formula, kind) for kind in KINDS},
}  # fmt: skip


@functools.cache
def made(name):
    return MAKERS[name]()


@pytest.mark.parametrize("name", MAKERS)
def test_every_widget_asks_no_one_and_is_the_same_again(name):
    html = made(name).html
    assert html == MAKERS[name]().html
    assert html.count("</script>") == html.count("<script") == 2
    # Namespaces are names, not requests.
    assert set(re.findall(r"https?://[^\s\"'`)]+", html)) <= {"http://www.w3.org/2000/svg"}
    asks = r"import\(|\bimport |export default|require\(|\beval\(|new Function|fetch\("
    assert not re.search(asks, html.rpartition("<script>")[2])


@pytest.mark.parametrize("name", MAKERS)
def test_a_module_holds_the_script_and_the_data_of_the_fragment(tmp_path, name):
    widget = made(name)
    text = save_module(widget, tmp_path / "widget.mjs").read_text(encoding="utf-8")
    (data,) = re.findall(r"^const STATE = (.*);$", text, re.M)
    assert f">{data}</script>" in widget.html
    module = text.partition("const widget = (function () {\n")[2].partition("\n})();\nconst STATE")[
        0
    ]
    assert f"const afm = (function () {{\n{module}\n}})();" in widget.html
    assert text.count("export default") == 1
    assert "makeModel" not in text


@pytest.mark.parametrize(
    ("widget", "name", "words"),
    [
        (lambda: "<p>", "a.mjs", "widget: expected a recorded widget.* got function"),
        (None, "a.mjs", "widget: .* got NoneType"),
        (None, "a.html", "path: expected a file that ends in .mjs or .js, got 'a.html'"),
    ],
)
def test_what_is_no_widget_or_no_module_is_named(widget, name, words):
    with pytest.raises(InputError, match=words):
        save_module(widget, name)
