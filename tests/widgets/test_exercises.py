"""Checkers judge, never raise, and keep the solution until there is an attempt."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from headless import opened
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import node

import contrastive_tutorial
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.widgets import fragment
from contrastive_tutorial.widgets.exercises import (
    _judge_number,
    check_choice,
    check_function,
    check_number,
)
from contrastive_tutorial.widgets.fields import Field, settle

JUDGE = Path(contrastive_tutorial.__file__).parent / "widgets" / "static" / "exercise.js"


class Broken:
    def __repr__(self):
        raise RuntimeError("no words")

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (None, "your turn"),
        (..., "your turn"),
        (6.907, "correct"),
        (torch.tensor(6.9078), "correct"),
        (np.float32(6.907), "correct"),
        (6.8, "not yet: 6.8 is too small"),
        (6.9, "not yet: 6.9 may be rounded too far: give more decimals"),
        (6.91, "not yet: 6.91 may be rounded too far: give more decimals"),
        (6.911, "not yet: 6.911 is too large"),
        (7, "not yet: 7 is too large"),
        (float("nan"), "not yet: the number is nan"),
        (float("inf"), "not yet: inf is too large"),
        ("6.907", "not yet: a number is asked for, got '6.907'"),
        (True, "not yet: a number is asked for, got True"),
        ([1, 2], "not yet: a number is asked for, got [1, 2]"),
        (np.zeros(3), "not yet: a number is asked for, got array([0., 0., 0.])"),
        (Broken(), "not yet: a number is asked for, got a Broken"),
    ],
)
def test_numbers(value, verdict, capsys):
    check_number("loss floor", value, np.log(1000), tol=1e-2 / 10)
    assert capsys.readouterr().out == f"loss floor: {verdict}\n"


def test_an_infinite_solution_can_be_met(capsys):
    check_number("divergence", float("inf"), float("inf"))
    assert capsys.readouterr().out == "divergence: correct\n"


def double(x):
    return 2 * x


def unwritten(x):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("fn", "verdict"),
    [
        (None, "your turn"),
        (..., "your turn"),
        (lambda x: None, "your turn"),
        (lambda x: ..., "your turn"),
        (unwritten, "your turn"),
        (lambda x: x + x, "correct (2 cases)"),
        (lambda x: 2 * x + 1e-9, "correct (2 cases)"),
        (lambda x: x, "not yet: for input 3 expected 6, got 3"),
        (lambda x: "six", "not yet: for input 3 expected 6, got 'six'"),
        (lambda x: x**2, "not yet: that is the square"),
        (lambda x: [6], "not yet: for input 3 expected shape (), got (1,)"),
        (lambda x: 1 / 0, "not yet: for input 3 it fails with ZeroDivisionError: division by zero"),
        (lambda: 1, "not yet: for input 3 it fails with TypeError: "),
        (lambda x: Broken(), "not yet: for input 3 expected 6, got a Broken"),
        (7, "not yet: a function is asked for, got 7"),
    ],
)
def test_functions(fn, verdict, capsys):
    mistakes = {"that is the square": lambda x: x * x}
    check_function("double", fn, double, [3, -1.5], mistakes=mistakes)
    printed = capsys.readouterr().out
    assert printed.startswith(f"double: {verdict}")
    assert printed.count("\n") == 1


def test_tensors_tuples_and_keywords(capsys):
    def spread(values, scale=1.0):
        return values.mean(), scale * values.std()

    cases = [(torch.arange(4.0),), {"values": torch.ones(3, dtype=torch.float64), "scale": 2.0}]
    check_function("spread", spread, spread, cases)
    check_function("spread", lambda values, scale=1.0: (values.mean(), 0.0), spread, cases)
    check_function("spread", lambda values, scale=1.0: (values.mean(),), spread, cases)
    right, wrong, short = capsys.readouterr().out.splitlines()
    assert right == "spread: correct (2 cases)"
    assert "number 2 of 2 is wrong" in wrong
    assert "2 values are asked for, got 1" in short


def test_a_reader_cannot_spoil_the_cases(capsys):
    def in_place(x):
        x *= 2
        return x

    cases = [(np.ones(3),)]
    check_function("double", in_place, double, cases)
    assert capsys.readouterr().out == "double: correct\n"
    assert cases[0][0].tolist() == [1, 1, 1]


def test_long_inputs_stay_on_one_line(capsys):
    check_function("sum", lambda x: 0.0, lambda x: 1.0, [np.arange(1000).reshape(10, 100)])
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert len(printed) < 200


def test_an_exercise_without_cases_is_the_authors_mistake():
    with pytest.raises(InputError, match="cases: expected at least one"):
        check_function("nothing", double, double, [])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(...),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(answer=anything, solution=anything)
def test_any_answer_gets_one_line(answer, solution):
    check_number("number", answer, 1.0)
    check_function("function", lambda x: answer, lambda x: solution, [0])


# -- what a miss learns -------------------------------------------------------------------------


def test_the_only_case_keeps_its_solution(capsys):
    for got in ([1.0, 2.0], 7.0, "no", np.float64(7), (1, 2), [41, 0.5]):
        for solution in (41.5, "yes", (41.5, 0.5), [41.5, 0.5], torch.tensor([41.5, 3.0])):
            check_function("one", lambda got=got: got, lambda s=solution: s, [()])
            assert "41.5" not in (said := capsys.readouterr().out), said
            assert "not yet" in said
            assert "np." not in said


def test_which_item_is_wrong_and_by_how_much(capsys):
    check_function("pair", lambda: (1, 3), lambda: (1, 2), [()])
    assert "number 2 of 2 is wrong: 3 is too large" in capsys.readouterr().out
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    biased = x / x.std(0, correction=0)
    check_function("normal", lambda v: v / v.std(0), lambda v: v / v.std(0, correction=0), [x])
    said = capsys.readouterr().out
    assert "for input an array of shape (50, 4) 199 of 200 numbers are wrong" in said
    assert "0.9899 times" in said
    assert float((x / x.std(0) / biased).mean()) == pytest.approx(0.9899, abs=1e-4)


def test_known_numbers_get_their_hint(capsys):
    known = {5.0: "that is half of it", 7.0: "the other half"}
    for value in (5, 7.0004, 8):
        check_number("ten", value, 10, mistakes=known)
    half, other, none = capsys.readouterr().out.splitlines()
    assert half.endswith("that is half of it")
    assert other.endswith("the other half")
    assert none.endswith("8 is too small")
    with pytest.raises(InputError, match="mistakes"):
        check_number("ten", ..., 10, mistakes={10.0005: "indistinguishable"})


CHOICES = {"A": "rises", "B": "falls", -1: "neither"}


def test_hyphens_and_capitals_do_not_matter(capsys):
    for value in ("semi-hard", "semihard", "Semi hard", "SEMI_HARD"):
        check_choice("kind", value, "semi-hard", {"hard": "", "semi-hard": ""})
        assert capsys.readouterr().out == "kind: correct\n"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (..., "your turn: A: rises; B: falls; -1: neither"),
        (None, "your turn: A: rises; B: falls; -1: neither"),
        ("b", "correct"),
        ("A", "not yet: it cannot rise"),
        (-1, "not yet: -1 is not it"),
        ("C", "not yet: one of A, B, -1 is asked for, got 'C'"),
        (Broken(), "not yet: one of A, B, -1 is asked for, got a Broken"),
        (np.zeros(3), "not yet: one of A, B, -1 is asked for, got array([0., 0., 0.])"),
    ],
)
def test_choices(value, verdict, capsys):
    check_choice("the loss", value, "B", CHOICES, {"A": "it cannot rise"})
    assert capsys.readouterr().out == f"the loss: {verdict}\n"


def test_a_choice_that_is_not_offered_is_the_authors_mistake():
    with pytest.raises(InputError, match="choice"):
        check_choice("the loss", ..., "D", CHOICES)
    with pytest.raises(InputError, match="choice"):
        check_choice("the loss", ..., "A", CHOICES, {"D": "never"})
    with pytest.raises(InputError, match="letter"):
        settle("the loss", "AB")


# -- the page -----------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """What is displayed while the book is built."""
    displays = []
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_BOOK", "1")
    monkeypatch.setattr("IPython.display.display", lambda what, **_: displays.append(what))
    return displays


def test_the_book_has_a_field_where_there_is_no_answer_yet(shown, capsys):
    check_number("angle", ..., 60, mistakes={90: "that is a right angle"})
    check_choice("loss", None, "B", CHOICES)
    check_number("angle", 60, 60)
    assert capsys.readouterr().out == "angle: correct\n"
    assert [type(each) for each in shown] == [Field, Field]
    assert shown[0]._repr_mimebundle_()["text/plain"] == "angle: your turn"
    assert "right angle" not in shown[0].html, "a hint in the page's source tells the solution"


def test_a_settled_prediction_names_its_box(shown, capsys):
    settle("seeds", "B", "A", because='6 < "7"')
    assert capsys.readouterr().out == ""
    html = shown[0]["text/html"]
    assert 'data-ct-answer="seeds" data-ct-right="B A"' in html
    assert "Answer: B, A (6 &lt; &quot;7&quot;)" in html
    assert shown[0]["text/plain"] == 'Answer: B, A (6 < "7")'


def judged(jobs):
    """What the page's judge says, for each (typed, [expected, tol, mistakes])."""
    script = (
        JUDGE.read_text().replace("export default { render };", "")
        + """
    const jobs = JSON.parse(require("fs").readFileSync(0, "utf8"));
    process.stdout.write(JSON.stringify(jobs.map(([typed, judge]) => judgeText(typed, judge))));
    """
    )
    return node("-e", script, given=jobs)


def test_the_page_judges_as_the_package_does():
    solutions = [0.0, 0.5, 60.0, 998.0, math.log(999), -32 / 49, math.sqrt(5), 4.5e-5, math.inf]
    jobs, wanted = [], []
    for expected in solutions:
        for tol in (1e-2, 1e-3, 6e-4, 1e-5):
            mistakes = [(expected + 3 * tol, "a little more"), (-expected - 1, "the wrong sign")]
            base = expected if math.isfinite(expected) else 1e9
            near = [base + k * tol for k in (-4, -1.001, -1, -0.5, 0, 0.999, 1, 3, 3.9, 50)]
            rounded = [round(base, digits) for digits in range(7)]
            others = [-base - 1, -base, 0.0, 1e300, -math.inf, math.inf, math.nan]
            for number in [*near, *rounded, *others]:
                text = f"{number:.6g}"
                sealed = [[w if math.isfinite(w) else str(w), hint] for w, hint in mistakes]
                solution = expected if math.isfinite(expected) else str(expected)
                jobs.append([text, [solution, tol, sealed]])
                wanted.append(_judge_number(float(text), expected, tol, mistakes))
    assert len(set(wanted)) > 50
    for job, page, package in zip(jobs, judged(jobs), wanted, strict=True):
        assert page == package, job


TYPED = {
    "type a number first": ["", "   "], "write a point": ["1,5", "1,024"],
    "a number is asked for": ["abc", "0x10", "1 2", "--1", "1e", ".", "<b>"],
    "1/3 is a fraction": ["1/3"], "write 5% as 0.05": ["5 %"], "the number is nan": ["nan"],
    "larger than any number": ["1e400", "9" * 5000], "-0.25 is too small": ["\u22120.25"],
    "is too large": ["\u221e"], "is too small": ["-inf"], "correct": ["  60.0 ", "6e1", "+60."],
}  # fmt: skip


def test_what_is_typed_gets_one_clear_line():
    cases = [(typed, says) for says, several in TYPED.items() for typed in several]
    lines = judged([[typed, [60.0, 1e-3, []]] for typed, _ in cases])
    for (typed, says), line in zip(cases, lines, strict=True):
        assert says in line, typed
        assert len(line) < 120
        assert "\n" not in line


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_field_in_a_browser(tmp_path, scheme, shown):
    check_number("angle", ..., 60, mistakes={90: "<i>a right angle</i>"})
    check_choice("loss", ..., "B", CHOICES)
    path = tmp_path / "field.html"
    path.write_text(fragment.page("\n".join(each.html for each in shown), "fields"))
    with opened(path, color_scheme=scheme, viewport={"width": 390, "height": 800}) as page:
        number = page.get_by_label("angle")
        number.fill("90")
        number.press("Enter")
        assert page.get_by_role("status").first.inner_text().endswith("<i>a right angle</i>")
        for _ in range(2):
            page.get_by_role("button", name="Check").first.press("Enter")
        assert "solution" in page.get_by_role("status").first.inner_text()
        number.fill("60")
        page.get_by_role("button", name="Check").first.click()
        assert page.get_by_role("status").first.inner_text().endswith("angle: correct")
        page.get_by_role("button", name="Check").nth(1).click()
        assert "choose one first" in page.get_by_role("status").nth(1).inner_text()
        page.get_by_label("falls").check()
        page.get_by_label("falls").press("Enter")
        assert page.get_by_role("status").nth(1).inner_text().endswith("loss: correct")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
