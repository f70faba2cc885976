"""What the pages of the book show of records that somebody else made."""

import json
import subprocess
import sys

import hostile
import pandas as pd
import pytest

from contrastive_tutorial.report.tables import page_table
from contrastive_tutorial.widgets import interact


def test_the_search_finds_markup_that_would_run():
    table = pd.DataFrame({hostile.ATTACK: {hostile.ATTACK: hostile.ATTACK}})
    assert hostile.runs(table.style.to_html()) == ["img", "script"] * 3
    assert hostile.runs(table.to_html()) == hostile.runs(page_table(table).to_html()) == []
    bad = interact(lambda k: table.style, k=[1], name="bad", static=True)
    assert hostile.runs(bad.html) == ["img", "script"] * 3
    assert hostile.runs(interact(lambda k: table, k=[1], name="good", static=True).html) == []


def test_cells_that_read_records_are_found():
    assert {"09-three-experiments.md", "10-verdicts.md", "recorded-results.md"} <= {
        page.name for page in hostile.PAGES
    }
    for page in hostile.PAGES:
        found = hostile.cells(page)
        assert any("find_results()" in source for source in found), page.name
        assert not any(".train(" in source for source in found), page.name


@pytest.mark.slow
def test_no_page_makes_markup_of_a_record(tmp_path):
    hostile.poison(hostile.ROOT / "results", tmp_path / "results")
    done = subprocess.run(
        [sys.executable, hostile.__file__, str(tmp_path / "results"), *map(str, hostile.PAGES)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    shown = json.loads(done.stdout.splitlines()[-1])
    assert sum(map(len, shown.values())) > 3 * len(shown)  # a page may print a sentence alone
    for page, outputs in shown.items():
        assert [hostile.runs(markup) for markup in outputs] == [[]] * len(outputs), page
    everything = "".join(shown[str(hostile.ROOT / "book" / "recorded-results.md")])
    assert hostile.MARK in everything  # it did come through, as text
