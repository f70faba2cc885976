"""The board of registered cells: what stands where, and that its numbers are the verdicts'."""

import re

import pytest
from headless import opened
from pages import ROOT
from recorded import make_record
from scripts import state

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.study import CELLS
from contrastive_tutorial.verdicts import contrast
from contrastive_tutorial.widgets import Board
from contrastive_tutorial.widgets.board import negatives_of, registered_cells

RESULTS = ROOT / "results"


def study(seeds=range(3), **means):
    return [
        make_record(cell.replace("_", "-"), seed, {"knn10": mean + 0.01 * seed**2})
        for cell, mean in ({"B0": 0.4, "S_P1": 0.3, "W_bn": 0.31} | means).items()
        for seed in seeds
    ]


def test_every_cell_that_differs_in_the_three_factors_alone_has_a_place():
    cells = registered_cells(["hypotheses", "amendment-a"])
    assert {"B0", "S-P1", "M-P0", "X-bn", "GN-P1", "S-P1j", "M-bn-c", "B0-few"} <= set(cells)
    assert not {"B1", "B0-dot", "B0-ema", "ghost-same-5", "untrained", "pca"} & set(cells)
    assert {"same-bn-cross", "ten-dsbn-cross"} <= set(registered_cells(["second-study"]))
    places = [(CELLS[c].policy, CELLS[c].norm, negatives_of(CELLS[c])) for c in cells]
    assert len(set(places)) == len(places)


def test_every_difference_is_the_paired_one_of_the_verdicts():
    records = load_records(RESULTS, data="cifar10-jpeg75", preset="cpu", num_subsets=10)
    board = Board(records)
    pairs = state(board)["content"]["pairs"]
    assert len(pairs) == len(board.cells) * (len(board.cells) - 1) / 2
    recorded = {name: pair for name, pair in pairs.items() if "mean" in pair}
    assert len(recorded) > 100
    for name in sorted(recorded)[::7]:
        left, right = name.split("|")
        pair = recorded[name]
        known = contrast(records, left, right, "knn10", min_seeds=2)
        assert list(known.seeds) == pair["seeds"]
        assert pair["deltas"] == pytest.approx(known.deltas, abs=1e-6)
        expected = (known.mean, known.interval.low, known.interval.high)
        assert (pair["mean"], pair["low"], pair["high"]) == pytest.approx(expected, abs=1e-6)
    above = {tile["name"]: tile for tile in state(board)["content"]["tiles"]}
    known = contrast(records, "M-P0", "B0", "knn10")
    assert above["M-P0"]["above"] == pytest.approx(known.mean, abs=1e-6)
    assert (above["M-P0"]["n"], above["B0"]["above"]) == (known.n, 0)
    assert f"M-P0 {known.mean:+.3f}, n = {known.n}" in board.summary


def test_what_is_not_recorded_says_so():
    board = Board([*study(), make_record("M-P1", 0, {"knn10": 0.2})])
    tiles = {tile["name"]: tile for tile in state(board)["content"]["tiles"]}
    assert (tiles["S-P1"]["above"], tiles["S-P1"]["n"]) == (pytest.approx(-0.1), 3)
    assert (tiles["GN"]["above"], tiles["GN"]["words"]) == (None, "no record yet")
    pairs = state(board)["content"]["pairs"]
    assert "GN" in pairs["B0|GN"]["reason"]
    assert "too few seeds: 1 paired" in pairs["B0|M-P1"]["reason"]
    assert "no records" in Board([]).summary


def test_records_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="mix preset: cpu, gpu"):
        Board([*study(), make_record("GN", 0, {"knn10": 0.2}, preset="gpu")])


def test_a_page_without_scripts_has_a_table_and_no_markup_of_a_record():
    records = [make_record(r.cell, r.seed, r.metrics, data="my &amp; data") for r in study()]
    html = Board(records).html
    still = re.search(r"<noscript>(.*?)</noscript>", html, re.DOTALL)[1]
    assert "S-P1 (own subset): -0.100, n = 3" in still
    assert "my &amp;amp; data" in still


# ---- alive ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return Board(study(M_P0=0.42)).save_html(tmp_path_factory.mktemp("board") / "board.html")


@pytest.mark.browser
def test_two_cells_are_chosen_and_compared(page):
    with opened(page, viewport={"width": 800, "height": 900}) as tab:
        pair = tab.locator(".pair")
        assert "A − B: S-P1 − W-bn" in pair.inner_text()
        assert "Mean −0.010, 95% interval −0.010 to −0.010, n = 3 paired seeds" in pair.inner_text()
        assert (
            "They differ in one factor: normalisation (own statistics; one BN)" in pair.inner_text()
        )
        assert "Evaluation statistics: branch:0; running." in pair.inner_text()
        assert pair.locator("circle").count() == 3
        tab.get_by_role("button", name="M-P0").click()  # the older of the two gives way
        assert "A − B: W-bn − M-P0" in pair.inner_text()
        tab.get_by_role("button", name="W-bn", exact=False).first.click()
        assert "Choose a second cell" in pair.inner_text()
        tab.get_by_role("button", name=re.compile("^A?B0 ?neg|^B0 *negatives: all")).first.click()
        assert "A − B: M-P0 − B0" in pair.inner_text()
        assert "Mean +0.020" in pair.inner_text()
        assert "two factors" in pair.inner_text()
        tab.get_by_role("button", name="Swap").click()
        assert "A − B: B0 − M-P0" in pair.inner_text()
        assert "Mean −0.020" in pair.inner_text()
        tab.get_by_role("button", name=re.compile("^GN *negatives")).click()
        assert "No difference yet: GN" in pair.inner_text()
        assert tab.locator(".tile[aria-pressed=true]").count() == 2


@pytest.mark.browser
def test_the_keyboard_chooses_and_narrow_dark_pages_hold(page):
    phone = {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}
    with opened(page, **phone) as tab:
        assert tab.locator(".board").get_attribute("data-theme") == "dark"
        tab.locator(".tile", has_text="M-P0").focus()
        tab.keyboard.press("Enter")
        tab.locator("[role=status]", has_text="W-bn − M-P0").wait_for(state="attached")
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.evaluate(overflow) <= 0
        for tile in tab.locator(".tile").all():
            box = tile.bounding_box()
            assert box["x"] + box["width"] <= 390
