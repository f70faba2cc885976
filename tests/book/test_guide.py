"""The field guide: every row is complete and true of what was recorded, and the page shows it.

With CONTRASTIVE_TUTORIAL_GUIDE=1 the rows are run on the installed libraries; `make test-latest`
does so. A library that changed is news for the page, no fault of this repository, so `make test`
leaves those tests out.
"""

import dataclasses
import doctest
import importlib
import os
import re
from pathlib import Path

import guide
import pytest
from bs4 import BeautifulSoup
from guide import page, run
from headless import needs_chromium, opened

BOOK = Path(__file__).resolve().parents[2] / "book"
ROWS = list(guide.ROWS.values())
by_key = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(run, "installed", lambda row: None)


def cells(row, done):
    return BeautifulSoup(page.html_of(row, done), "html.parser")


@by_key
def test_a_row_is_complete_and_true_of_its_record(row):
    kept = guide.recorded()[row.key]
    assert row.holds(kept["seen"])
    assert set(kept["versions"]) == set(row.libraries)
    texts = [row.ask, row.expect, row.happens.format(**kept["seen"]), row.cost, row.instead]
    assert all(len(text.split()) >= 2 or text[-1] in "." for text in texts)
    assert all(text.endswith((".", "?")) for text in texts[1:])
    assert row.table in guide.TABLES


def test_an_unknown_name_gets_the_names_that_there_are(capsys):
    assert run.main(guide.ROWS, ["--help"]) == 2
    assert next(iter(guide.ROWS)) in capsys.readouterr().err


def test_the_record_has_no_other_rows():
    assert list(guide.recorded()) == list(guide.ROWS)


@by_key
def test_links_lead_to_functions_and_pages(row):
    for name in re.findall(r"\[\[(.+?)\]\]", row.instead + row.happens + row.cost):
        room, _, function = name.rpartition(".")
        assert hasattr(importlib.import_module(f"contrastive_tutorial.{room}"), function), name
    for target in re.findall(r"\]\(([^)]+)\.html\)", row.instead):
        assert (BOOK / f"{target}.md").is_file()


def test_the_page_shows_every_table_and_asks_for_split_bn_first():
    source = (BOOK / "field-guide.md").read_text(encoding="utf-8")
    assert re.findall(r'guide\.table\("(\w+)"\)', source) == list(guide.TABLES)
    assert [row.table for row in ROWS] == sorted(
        (row.table for row in ROWS), key=list(guide.TABLES).index
    )
    assert len(ROWS) >= 40
    assert ["timm" in row.libraries for row in ROWS[:2]] == [True, False]
    assert "lightly" in ROWS[1].libraries


def test_examples_in_the_page_module():
    found = doctest.testmod(page)
    assert found.attempted > 0 == found.failed


def test_a_missing_library_leaves_the_recorded_row_with_its_version(nothing_installed):
    for name in guide.TABLES:
        shown = BeautifulSoup(page.table(name).html, "html.parser")
        for element in shown.select("tbody tr"):
            row, kept = guide.ROWS[element["id"]], guide.recorded()[element["id"]]
            words = element.select_one(".guide-run").get_text()
            assert words.startswith("Recorded")
            assert all(f"{k} {v}" in words for k, v in kept["versions"].items())
            assert element["data-libraries"].split() == list(row.libraries)
            assert [td["data-label"] for td in element.select("td")] == list(page.COLUMNS)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """All tables and the filter in one file, every row as recorded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "installed", lambda row: None)
        parts = [page.controls().html, *(page.table(name).html for name in guide.TABLES)]
    path = tmp_path_factory.mktemp("guide") / "guide.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Guide</title>'
    path.write_text(f"{head}<main>{''.join(parts)}</main></html>", encoding="utf-8")
    return path


@needs_chromium
@pytest.mark.browser
def test_the_filter_is_worked_by_keyboard(saved):
    with opened(saved) as browser:
        assert browser.inner_text("#guide-count") == f"{len(ROWS)} of {len(ROWS)} rows"
        browser.keyboard.press("Tab")
        browser.keyboard.type("which statistics split")
        assert browser.locator("table.guide tbody tr:visible").first.get_attribute("id") == (
            ROWS[0].key
        )
        browser.keyboard.press("Control+A")
        browser.keyboard.press("Delete")
        browser.keyboard.press("Tab")
        browser.keyboard.type("kornia")
        kornia = sum("kornia" in row.libraries for row in ROWS)
        assert browser.locator("table.guide tbody tr:visible").count() == kornia
        assert browser.inner_text("#guide-count") == f"{kornia} of {len(ROWS)} rows"


@needs_chromium
@pytest.mark.browser
def test_without_javascript_every_row_is_there_and_no_control(saved):
    with opened(saved, java_script_enabled=False) as browser:
        assert browser.locator("table.guide tbody tr:visible").count() == len(ROWS)
        assert not browser.locator(".guide-filter").is_visible()


@needs_chromium
@pytest.mark.browser
def test_a_row_is_a_card_on_a_phone(saved):
    with opened(saved, viewport={"width": 390, "height": 844}) as browser:
        width = browser.evaluate("document.documentElement.scrollWidth")
        places = [cell.bounding_box() for cell in browser.locator(f"#{ROWS[0].key} > *").all()]
        labels = browser.evaluate(
            "(id) => [...document.getElementById(id).querySelectorAll('td')]"
            ".map((cell) => getComputedStyle(cell, '::before').content)",
            ROWS[0].key,
        )
    assert width <= 390
    assert [box["x"] for box in places] == [places[0]["x"]] * 5
    assert [box["y"] for box in places] == sorted(box["y"] for box in places)
    assert labels == [f'"{column}"' for column in page.COLUMNS]


def one_row(monkeypatch, observe):
    row = dataclasses.replace(ROWS[0], observe=observe, slow=False)
    monkeypatch.setattr(run, "installed", lambda row: {"timm": "99.0"})
    return row, run.outcome(row)


def test_a_row_that_is_run_shows_what_it_saw_now(monkeypatch):
    row, done = one_row(monkeypatch, lambda: {"used": 0.25, "mean_of_both": 6.125})
    assert (done.live, done.changed) == (True, "")
    words = cells(row, done).get_text()
    assert "0.25" in words
    assert "6.12" in words
    assert "timm 99.0" in words
    assert "Recorded" not in words


def fails():
    raise RuntimeError("no such layer\nmore")


@pytest.mark.parametrize(
    ("observe", "now"),
    [
        (lambda: {"used": 5.0, "mean_of_both": 5.0}, "now used = 5, mean_of_both = 5"),
        (fails, "now RuntimeError: no such layer"),
    ],
    ids=["another value", "an error"],
)
def test_a_row_that_is_no_longer_true_says_what_it_is_now(monkeypatch, observe, now):
    row, done = one_row(monkeypatch, observe)
    assert done.changed == now
    words = cells(row, done).select_one(".guide-run").get_text()
    assert now in words
    assert "timm 99.0" in words
    assert f"timm {guide.recorded()[row.key]['versions']['timm']}" in words


def test_a_row_prints_nothing_and_restores_the_streams(capfd):
    def loud():
        print("out")
        os.write(2, b"from C\n")
        importlib.import_module("warnings").warn("careful", stacklevel=1)
        return {}

    run.observe(dataclasses.replace(ROWS[0], observe=loud))
    assert capfd.readouterr() == ("", "")
    os.write(2, b"back")
    assert capfd.readouterr().err == "back"


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="cosine-schedule-rises"):
        guide.row.row(
            "norm", "?", libraries="", expect="", happens="", cost="", instead="", holds=bool
        )(guide.machinery.cosine_schedule_rises)


@pytest.mark.guide
@pytest.mark.skipif(
    not os.environ.get("CONTRASTIVE_TUTORIAL_GUIDE"),
    reason="CONTRASTIVE_TUTORIAL_GUIDE=1 runs the rows on the installed libraries",
)
@by_key
def test_a_row_is_still_true(row):
    if run.installed(row) is None:
        pytest.skip(f"needs {', '.join(row.libraries)}: pip install -e '.[guide]'")
    done = run.outcome(row, slow=True)
    assert not done.changed, (
        f"{page.sentence(row, done)}\nThis is no longer so with {done.versions}: {done.changed}.\n"
        "Mend the row's words and run `python -m guide --record` in the folder book."
    )
