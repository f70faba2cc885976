"""Rows that open: every verdict once, its numbers those of the rules, nothing of a file markup."""

import html
import re
from dataclasses import replace

import pytest
from recorded import make_record

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.report import Rows, rows
from contrastive_tutorial.report.rows import _drawing, _spans
from contrastive_tutorial.verdicts import Condition, decide, load_hypotheses

CELLS = {"B0": 0.44, "S-P1": 0.36, "B0-shared": 0.34, "S-P1j": 0.441}
RECORDS = [
    make_record(cell, seed, {"knn10": mean + 0.001 * seed * (-1) ** seed},
                evaluation="pooled" if cell == "S-P1j" else
                "branch:0" if cell == "S-P1" else "running")
    for cell, mean in CELLS.items()
    for seed in range(8)
]  # fmt: skip


def opened(rows, name):
    """The HTML of one row."""
    (found,) = re.findall(rf"<details[^>]*><summary><b>{name}</b>.*?</details>", rows.html)
    return found


def test_every_hypothesis_of_a_study_has_one_row_with_its_verdict():
    rows = Rows(RECORDS, "amendment-a")
    registry = load_hypotheses("amendment-a")
    assert rows.html.count("<details") == len(registry)
    for hypothesis in registry:
        verdict = decide(hypothesis, RECORDS)
        assert rows.verdicts[hypothesis.id] == verdict
        row = opened(rows, hypothesis.id)
        assert f"<em>{verdict.outcome}</em>" in row
        assert html.escape(hypothesis.statement) in row
        assert row.count("<li>") == len(hypothesis.parts)
        for part in verdict.parts:
            assert f"<b>{html.escape(part.name)}: {part.outcome}.</b>" in row
    assert rows.verdicts["HA6"].outcome == "supported"
    assert rows.verdicts["HA2"].outcome == "undecided"


def test_an_open_row_says_numbers_seeds_and_bounds():
    rows = Rows(RECORDS, "amendment-a", {"HA1": "Colours cost."})
    row = opened(rows, "HA1")
    found = decide(load_hypotheses("amendment-a")["HA1"], RECORDS).parts[0]
    interval = f"[{found.interval.low:+.3f}, {found.interval.high:+.3f}]"
    assert f"B0-shared − B0: {found.mean:+.3f} {interval} (95%), n = 8" in row
    assert "holds if below -0.05, fails if above -0.05" in row
    assert "<b>What came out.</b> Colours cost." in row
    assert row.count("<circle") == 16
    assert "too few runs yet" in opened(rows, "HA3")
    assert "<svg" not in opened(rows, "HA3")
    assert f"HA1  {load_hypotheses('amendment-a')['HA1'].title}: " in rows.text
    assert repr(rows) == rows.text == rows._repr_mimebundle_()["text/plain"]


def test_the_drawing_puts_the_interval_on_the_stretch_that_decided():
    hypothesis = load_hypotheses("amendment-a")["HA6"]
    part = decide(hypothesis, RECORDS).parts[1]  # above 0.05
    svg = _drawing(hypothesis.parts[1], part)
    low, high = map(float, re.search(r'd="M([\d.]+) 30H([\d.]+)', svg).groups())
    stretches = [
        (float(x), float(x) + float(width), colour)
        for x, width, colour in re.findall(
            r'<rect x="([\d.]+)" y="2" width="([\d.]+)".*?fill="(.*?)"', svg
        )
    ]
    (supports, contradicts) = stretches
    assert part.outcome == "supported"
    assert supports[0] <= low <= high <= supports[1]
    assert supports[2] != contradicts[2]
    assert contradicts[:2] == (0, supports[0])


@pytest.mark.parametrize(
    ("relation", "bounds", "expected"),
    [
        ("above", (0, 0), [(0, 1)]),
        ("below", (0, 0), [(-1, 0)]),
        ("inside", (-0.5, 0.5), [(-0.5, 0.5)]),
        ("outside", (-0.5, 0.5), [(-1, -0.5), (0.5, 1)]),
        ("every at_least", (0, 0), [(0, 1)]),
        ("some below", (0, 0), [(-1, 0)]),
    ],
)
def test_where_a_condition_lies_on_the_axis(relation, bounds, expected):
    assert _spans(Condition(relation, *bounds), -1, 1) == expected


def test_a_gate_that_is_open_is_said_and_the_balance_counts_our_own():
    rows = Rows([], "second-study")
    assert "No part counts yet: the gate is open" in opened(rows, "HB1")
    ours = [name for name in rows.verdicts if name.startswith("H")]
    assert len(ours) < len(rows.verdicts)
    assert rows.balance == f"0 supported, 0 contradicted, {len(ours)} undecided"


def test_words_of_no_hypothesis_are_refused_and_markup_in_them_is_text():
    with pytest.raises(InputError, match="no hypothesis 'HZ9'"):
        Rows([], words={"HZ9": "?"})
    rows = Rows([], words={"H1": "<script>alert(1)</script>"})
    assert "<script" not in rows.html
    assert "&lt;script&gt;" in rows.html


def test_markup_in_a_file_of_hypotheses_is_text(monkeypatch):
    attack = "<img src=x onerror=a()>"
    registry = load_hypotheses("amendment-a")
    marked = [
        replace(h, title=h.title + attack, parts=[replace(p, name=attack) for p in h.parts])
        for h in registry
    ]
    monkeypatch.setattr(rows, "load_hypotheses", lambda _: replace(registry, hypotheses=marked))
    shown = Rows(RECORDS, "amendment-a").html
    assert "<img" not in shown
    assert html.escape(attack) in shown
