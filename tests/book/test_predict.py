"""Predictions: what the box becomes, which answers fit it, and what a reader does with it."""

import math
import re
import shutil
from pathlib import Path

import book_exercises
import book_predict
import make_colab
import pytest
import torch
from headless import needs_chromium, opened
from pages import EXECUTABLE, source
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = ROOT / "book" / "_ext"

CELL = """
```{raw} html
<div class="cell"><div class="cell_output"><p id="OUTPUT">OUTPUT</p>EXTRA</div></div>
```
"""


def cell(output, extra=""):
    return CELL.replace("OUTPUT", output).replace("EXTRA", extra)


PAGE = (
    """\
# Page

```{predict}
:right: B

Which is larger?

- the first
- the *second*, $x$
```
"""
    + cell("figure-one")
    + """
*What to notice.* The second.

## More

```{predict}
:answer: both
:veils: 2

Which one rises?

- this
- that
- neither

And which falls?

- this
- that
```
"""
    + cell("figure-two")
    + "\nWords between.\n"
    + cell("figure-three", '<p data-ct-answer="both" data-ct-right="C A">Prediction (1 < 2)</p>')
    + """
```{predict}
:right: A

Draw the curve first. Does it

- rise?
- fall?
```
"""
    + cell("figure-four")
    + cell("figure-five")
)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Builds one page with the book's extensions, and returns its HTML file and the warnings."""

    def run(page, *extensions):
        root = tmp_path_factory.mktemp("book")
        (root / "src").mkdir()
        (root / "src" / "index.md").write_text(page)
        for asset in ("predict.js", "predict.css"):
            shutil.copy(ROOT / "book" / "assets" / asset, root / "src")
        (root / "src" / "none.js").write_text("")
        shutil.copy(ROOT / "pyproject.toml", root / "src")
        (root / "src" / "conf.py").write_text(
            f"import sys; sys.path.insert(0, {str(EXTENSIONS)!r})\n"
            f"extensions = ['myst_parser', *{list(extensions)!r}]\n"
            "html_static_path = ['predict.js', 'predict.css', 'none.js']\n"
            "myst_enable_extensions = ['dollarmath']\nmathjax_path = 'none.js'\n"
            "html_theme = 'basic'\n"
        )
        said = root / "warnings"
        with said.open("w") as warnings:
            src, out = str(root / "src"), str(root / "out")
            Sphinx(src, src, out, out, "html", warning=warnings, status=None).build()
        lines = said.read_text().splitlines()  # a second build in one process repeats itself
        mine = [line for line in lines if "already registered" not in line]
        return root / "out" / "index.html", "\n".join(mine)

    return run


@pytest.fixture(scope="module")
def built(build):
    page, warnings = build(PAGE, "book_predict")
    assert "predict" not in warnings, warnings
    return page


def test_without_scripts_the_choices_and_answers_are_words(built):
    html = built.read_text()
    assert html.count("<ol") == 4
    assert "upperalpha" in html
    assert "<summary>Answer</summary><p>B</p>" in html
    assert "book-veiled" not in html


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (":right: C\n\n- a\n- b", "C is none of 2 choices"),
        (":right: b\n\n- a\n- b", "b is none of 2 choices"),
        (":right: A B\n\n- a\n- b", "1 questions, but 2 answers"),
        ("Which?\n\n- a\n- b", "either :right: or :answer:"),
        (":right: A\n:answer: x\n\n- a\n- b", "either :right: or :answer:"),
        (":right: A\n\nDraw it first.", "expected a list of choices"),
        (":answer: x\n\n- a\n- b", "expected one settle('x', …), got 0"),
    ],
)
def test_a_box_that_cannot_be_answered_stops_the_build(build, body, fault):
    _, warnings = build(f"# Page\n\n```{{predict}}\n{body}\n```\n", "book_predict")
    assert fault in warnings


def test_answers_fit_their_boxes():
    box = '<span class="book-predict-data" hidden data-veils="1" data-sizes="3 2" data-right="" '
    box += 'data-answer="x"></span>'
    answer = '<p class="ct-answer" data-ct-answer="x" data-ct-right="{}">'
    assert book_predict.faults(box + answer.format("C B")) == []
    assert "D is none" in book_predict.faults(box + answer.format("D B"))[0]
    assert "got 2" in book_predict.faults(box + 2 * answer.format("A A"))[0]
    assert "two boxes" in book_predict.faults(2 * box + answer.format("A A"))[0]
    assert book_predict.faults(answer.format("A")) == ["settle x: no box asks"]


def hidden(page):
    """Which outputs are out of sight."""
    return [
        name
        for name in ("one", "two", "three", "four", "five")
        if not page.locator(f"#figure-{name}").is_visible()
    ]


@needs_chromium
def test_a_reader_answers(built):
    with opened(built, viewport={"width": 390, "height": 800}) as page:
        assert hidden(page) == ["one", "two", "three", "four"]
        assert not page.get_by_text("What to notice").is_visible()
        compare = page.get_by_role("button", name="Compare")
        compare.first.click()
        assert "Choose one first" in page.get_by_role("status").first.inner_text()
        assert "one" in hidden(page)
        radio = page.get_by_role("radiogroup").first.get_by_role("radio")
        radio.first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        said = page.get_by_role("status").first.inner_text()
        assert said.startswith("Right. You said B; the page finds B. 1 of 1")
        assert hidden(page) == ["two", "three", "four"]
        assert page.get_by_text("What to notice").is_visible()
        page.get_by_label("neither").check()
        compare.first.click()
        assert "each question" in page.get_by_role("status").nth(1).inner_text()
        page.get_by_label("that").nth(1).check()
        compare.first.click()
        said = page.get_by_role("status").nth(1).inner_text()
        assert said.startswith("1 of 2 right. You said C, B; the page finds C, A (1 < 2). 2 of 3")
        assert hidden(page) == ["four"]
        page.get_by_role("button", name="Show without answering").press("Enter")
        assert hidden(page) == []
        assert page.locator(".book-score").inner_text().endswith("2 of 3 right.")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@needs_chromium
def test_a_reader_may_look_without_an_answer(built):
    with opened(built) as page:
        page.get_by_role("button", name="Show without answering").first.press("Enter")
        assert hidden(page) == ["two", "three", "four"]
        page.get_by_role("button", name="Show all on this page").first.click()
        assert hidden(page) == []
        assert not page.locator(".book-score").is_visible()
        page.get_by_label("the first").check()
        page.get_by_role("button", name="Compare").first.click()
        assert page.get_by_role("status").first.inner_text().startswith("Not so.")


@needs_chromium
def test_nothing_is_veiled_on_paper_or_without_scripts(built):
    with opened(built) as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert hidden(page) == []
        assert page.locator(".book-answer p").first.is_visible()
    with opened(built, java_script_enabled=False) as page:
        assert hidden(page) == []
        assert page.get_by_text("Answer", exact=True).first.is_visible()


@needs_chromium
def test_a_link_under_the_veil_lifts_it(built):
    with opened(built) as page:
        page.evaluate("location.hash = 'figure-three'")
        page.locator("#figure-three").wait_for(state="visible")
        assert hidden(page) == ["one", "four"]


@needs_chromium
@pytest.mark.parametrize("blocked", [False, True])
def test_answers_are_kept_where_the_browser_allows_it(built, blocked):
    with opened(built) as page:
        if blocked:
            page.add_init_script(
                """for (const name of ["getItem", "setItem"]) {
                  const before = Storage.prototype[name];
                  Storage.prototype[name] = function (key, ...rest) {
                    if (key.startsWith("predictions")) throw new DOMException("no");
                    return before.call(this, key, ...rest);
                  };
                }"""
            )
            page.reload()
        page.get_by_label("the second").check()
        page.get_by_role("button", name="Compare").first.click()
        assert "one" not in hidden(page)
        page.reload()
        assert ("one" in hidden(page)) is blocked


@needs_chromium
def test_what_was_kept_may_be_anything(built):
    with opened(built) as page:
        for junk in ('{"0B": ["Z"]}', '{"0B": 7, "both": ["A"]}', "[", "null", '{"0B": [null]}'):
            page.evaluate(
                "(v) => localStorage.setItem(`predictions:${location.pathname}`, v)", junk
            )
            page.reload()
            assert hidden(page) == ["one", "two", "three", "four"]


# -- exercises ----------------------------------------------------------------------------------

EXERCISES = """\
# Page

```{exercise}
:label: ex-number

How many?
```

```{container} cell

~~~{code-block} python
answer = ...
~~~

~~~{raw} html
<script type="application/json">{"name":"many","sealed":"e30="}</script>
~~~
```

```{exercise}
:label: ex-code

Write it.
```

```{container} cell

~~~{code-block} python
def f(x):
    return ...
check_function("f", f, g, [1])
~~~
```

```{exercise}
:label: ex-words

Say it.
```
"""


def test_exercises_that_ask_for_code_lead_to_their_cell(build):
    page, _ = build(EXERCISES, "sphinx_exercise", "book_exercises")
    (link,) = re.findall(r'href="([^"]*colab[^"]*)"', page.read_text())
    assert link.endswith("colab/index.ipynb#scrollTo=ex-code")


@pytest.mark.parametrize("name", EXECUTABLE)
def test_the_cell_of_an_exercise_bears_its_label(name):
    import nbformat

    book = make_colab.read_book(ROOT)
    notebook = nbformat.reads(make_colab.notebook(book, name), as_version=4)
    ids = {c.metadata.get("id") for c in notebook.cells if c.cell_type == "code"}
    parts = re.split(r"^```\{exercise\}\n:label: ([\w-]+)$", source(name), flags=re.M)[1:]
    for label, text in zip(parts[::2], parts[1::2], strict=True):
        below = re.split(r"^````\{solution-start\}", text, flags=re.M)[0]
        code = "".join(re.findall(r"```\{code-cell\}(.*?)```", below, re.S))
        if book_exercises.needs_a_kernel(code, "check_number(" in code or "check_choice(" in code):
            assert label in ids, label


# -- what the pages mark as right ---------------------------------------------------------------

BOXES = re.compile(r"^```\{predict\}\n((?::\w+:.*\n)+)\n([\s\S]*?)^```$", re.M)


def marked():
    """Page and first words -> the letters that an author marked."""
    return {
        (page.partition("-")[0], " ".join(body.split()[:4])): right[1].split()
        for page in EXECUTABLE
        for options, body in BOXES.findall(source(page))
        if (right := re.search(r"^:right: (.*)$", options, re.M))
    }


def nearest(value, choices):
    return "ABCDEF"[min(range(len(choices)), key=lambda i: abs(math.log(value / choices[i])))]


def side(difference):
    return "B" if abs(difference) < 1e-12 else "A" if difference < 0 else "C"


def computed():
    """The same, from the package and from PyTorch."""
    from contrastive_tutorial.losses import kl_categorical, kl_normal
    from contrastive_tutorial.records import seeds_needed
    from contrastive_tutorial.widgets.formulas import KINDS

    skewed, uniform = 0.5 ** torch.tensor([1.0, 2, 3, 4, 6, 6, 6, 6]), torch.full((8,), 1 / 8)
    lost, reverse = (
        float(kl_categorical(*pair)) / math.log(2)
        for pair in ((skewed, uniform), (uniform, skewed))
    )
    vectors = KINDS["vectors"].numbers(angle=90, length=2, normalise=False)
    wins = [of(vectors[name]) for name, of in (("dots", max), ("squares", min))]
    by = [vectors[name].index(best) for name, best in zip(("dots", "squares"), wins, strict=True)]
    pushes = [
        math.hypot(*KINDS["triplet"].numbers(0.6, at, 126.0, 0.3)["moves"][2])
        for at in (0.7, 0.85, 1.0)
    ]
    hardest = [KINDS["weights"].numbers(t, 0.3)["effective"][0] for t in (0.01, 0.2, 10)]
    floors = [KINDS["floor"].numbers(10, 90.0, t) for t in (1e-3, 0.5)]
    falls = [floor["same"] - floor["floor"] for floor in floors]
    x = torch.tensor([1.0, 1.2, 0.9, -2.0])[:, None]
    more = torch.cat([x, x[-1:].expand(3, 1)])
    moved = float((torch.nn.BatchNorm1d(1)(more)[0] - torch.nn.BatchNorm1d(1)(x)[0]).detach())
    return {
        ("claims", "Suppose that $A$ beats"): [
            nearest(seeds_needed(), (2, 4, 6, 20)),
            nearest(seeds_needed(comparisons=4), (6, 8, 12, 24)),
        ],
        ("01", "Below, candidate $q$ is"): [
            {(1, 1): "A", (0, 1): "B", (1, 0): "C"}.get((*by,), "D")
        ],
        ("02", "Eight letters have names"): [nearest(lost, (0.5, 1, 2)), side(reverse - lost)],
        ("02", "$P$ and $Q$ have"): ["A" if kl_normal(0, 1, 0, 2) > kl_normal(0, 2, 0, 1) else "B"],
        ("02", "$P = N(0, 1)$."): [
            {"A": "B", "B": "A", "C": "C"}[side(KINDS["sweep"].numbers(2.0, 1.0)["best"] - 1)]
        ],
        ("03", "Below, arrows show where"): [
            "B" if pushes[0] == pytest.approx(pushes[1]) and pushes[2] == 0 else "A"
        ],
        ("03", "Fifteen negatives range from"): [
            "ABC"[hardest.index(min(hardest))],
            "ABC"[hardest.index(max(hardest))],
        ],
        ("03", "500 images a batch,"): [
            nearest(falls[0], (0.5, math.log(10), math.log(999))),
            side(falls[1] - falls[0]),
        ],
        ("04", "Start with four images,"): [{"A": "C", "B": "A", "C": "B"}[side(moved)], "B"],
        ("04", "Every layer starts with"): [
            nearest(0.99**90, (0.01, 0.1, 0.4, 0.9)),
            nearest(math.log(0.01) / math.log(0.99), (100, 200, 460, 1000)),
        ],
    }


# Two boxes are about a widget that the reader operates: its own tests say what it shows.
BY_HAND = {("03", "Train with *batch-hard*. Then"), ("05", "Put two normal and")}


def test_what_an_author_marked_as_right_is_what_the_package_computes():
    found = marked()
    for box, letters in computed().items():
        assert found.pop(box) == letters, box
    assert found.keys() == BY_HAND


def test_every_prediction_is_a_box_that_takes_an_answer():
    for page in EXECUTABLE:
        assert "{admonition} Predict" not in source(page), page
    boxes = [box for page in EXECUTABLE for box in BOXES.findall(source(page))]
    assert len(boxes) > 30
    assert len(boxes) == sum(source(page).count("```{predict}") for page in EXECUTABLE)


@pytest.mark.parametrize("name", EXECUTABLE)
def test_no_checker_is_in_sight(name):
    """A checker holds the solution: its cell hides what it was given."""
    unsolved = re.sub(
        r"^````\{solution-start\}[\s\S]*?^````\{solution-end\}", "", source(name), flags=re.M
    )
    for options, code in re.findall(
        r"^```\{code-cell\}[^\n]*\n((?::.*\n)*)([\s\S]*?)^```$", unsolved, re.M
    ):
        if re.search(r"\bcheck_(number|choice|function)\(", code):
            assert "remove-input" in options, code
