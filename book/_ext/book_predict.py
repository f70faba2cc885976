"""``{predict}``: a question with choices, and what it asks about stays veiled until it is answered.

The choices are plain lists in the directive's body, one list for each question. The right one is
the letter of ``:right:``, for facts of mathematics, or what a cell of the page computes and hands
to ``widgets.settle`` under the name of ``:answer:``. ``:veils:`` is how many of the cells below
with an output wait for the answer; one, if it is not given. ``book/assets/predict.js`` draws the
veil: without it, and in print, everything can be read.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LETTERS = "ABCDEF"
BOX = re.compile(
    r'<span class="book-predict-data"[^>]*?data-sizes="(?P<sizes>[\d ]*)"[^>]*?'
    r'data-answer="(?P<answer>[^"]+)"'
)
SETTLED = re.compile(r'data-ct-answer="(?P<answer>[^"]*)" data-ct-right="(?P<right>[A-F ]*)"')
say = logging.getLogger(__name__)


class Predict(SphinxDirective):
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "right": directives.unchanged_required,
        "answer": directives.unchanged_required,
        "veils": directives.nonnegative_int,
    }

    def run(self) -> list[nodes.Node]:
        box = nodes.admonition(classes=["admonition-predict", "question", "book-predict"])
        self.set_source_info(box)
        box += nodes.title("", "Predict")
        self.state.nested_parse(self.content, self.content_offset, box)
        sizes = []
        for bullets in [child for child in box.children if isinstance(child, nodes.bullet_list)]:
            letters = nodes.enumerated_list("", *bullets.children, enumtype="upperalpha")
            letters["prefix"], letters["suffix"] = "", "."
            box.replace(bullets, letters)
            sizes.append(len(letters))
        right, answer = self.options.get("right", "").split(), self.options.get("answer", "")
        if not sizes or bool(right) == bool(answer):
            raise self.error("predict: expected a list of choices, and either :right: or :answer:")
        if right and (wrong := misfit(right, sizes)):
            raise self.error(f"predict: right: {wrong}")
        data = {
            "veils": self.options.get("veils", 1),
            "sizes": " ".join(map(str, sizes)),
            "right": " ".join(right),
            "answer": answer,
        }
        marks = "".join(f' data-{name}="{escape(str(value))}"' for name, value in data.items())
        html = f'<span class="book-predict-data" hidden{marks}></span>'
        if right:
            html += (
                '<details class="book-answer"><summary>Answer</summary>'
                f"<p>{', '.join(right)}</p></details>"
            )
            box += nodes.raw("", rf"\par Answer: {', '.join(right)}.", format="latex")
        box += nodes.raw("", html, format="html")
        return [box]


def misfit(letters: list[str], sizes: list[int]) -> str:
    """What is wrong with letters as answers to questions with so many choices; empty if nothing.

    >>> misfit(["B"], [2]), misfit(["C"], [2]), misfit(["A"], [2, 2])
    ('', 'C is none of 2 choices', '2 questions, but 1 answers')
    """
    if len(letters) != len(sizes):
        return f"{len(sizes)} questions, but {len(letters)} answers"
    for letter, size in zip(letters, sizes, strict=True):
        if len(letter) != 1 or letter not in LETTERS[:size]:
            return f"{letter} is none of {size} choices"
    return ""


def check_answers(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Every box that waits for a cell's answer has exactly one, and it fits the choices."""
    for fault in faults(context.get("body") or ""):
        say.warning("%s: %s", pagename, fault)


def faults(body: str) -> list[str]:
    """What is wrong between the boxes and the answers of a page's HTML."""
    settled: dict[str, list[list[str]]] = {}
    for match in SETTLED.finditer(body):
        settled.setdefault(match["answer"], []).append(match["right"].split())
    found = []
    asked = {}
    for match in BOX.finditer(body):
        name, sizes = match["answer"], [int(size) for size in match["sizes"].split()]
        answers = settled.get(name, [])
        if name in asked:
            found.append(f"predict {name}: two boxes of this name")
        elif len(answers) != 1:
            found.append(f"predict {name}: expected one settle({name!r}, …), got {len(answers)}")
        elif wrong := misfit(answers[0], sizes):
            found.append(f"predict {name}: {wrong}")
        asked[name] = sizes
    return found + [f"settle {name}: no box asks" for name in settled if name not in asked]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("predict", Predict)
    app.add_js_file("predict.js", loading_method="defer")
    app.add_css_file("predict.css")
    app.connect("html-page-context", check_answers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
