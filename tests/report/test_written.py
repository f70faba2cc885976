"""written: a folder with every table, verdict and figure, from records alone."""

import dataclasses
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records, result_table
from contrastive_tutorial.report.written import all_figures, shown_k, write_report


def records(cells=("B0", "S-P1", "untrained")):
    return [
        make(cell, seed, evaluation="branch:0" if cell == "S-P1" else "running", metrics={
            "cluster_accuracy": 0.2 + 0.01 * seed, "knn10": 0.4, "linear_probe": 0.4
        }, loss_curve=[] if cell == "untrained" else [(0, 6.9), (10, 5.5)])
        for cell in cells
        for seed in range(2)
    ]  # fmt: skip


def test_a_report_holds_table_verdicts_and_figures(tmp_path):
    written = write_report(records(), tmp_path / "new")
    names = {path.name for path in written}
    assert {"shapes-cpu.md", "shapes-cpu-metrics.svg", "shapes-cpu-effects-knn10.svg"} <= names
    text = (tmp_path / "new" / "shapes-cpu.md").read_text()
    assert "| B0 | 10 | 2 | running | 0.205" in text
    assert "**H1 " in text
    assert "## Verdicts: Amendment A" in text
    assert "**HA1 " in text
    assert "undecided" in text
    assert all(f"](<{name}>)" in text for name in names if name.endswith(".svg"))
    before = {path: path.read_bytes() for path in written}
    write_report(records(), tmp_path / "new")
    assert {path: path.read_bytes() for path in written} == before


def test_a_figure_that_is_no_longer_drawn_does_not_stay(tmp_path, monkeypatch):
    drawn = ["metrics", "leak"]
    monkeypatch.setattr(
        "contrastive_tutorial.report.written.all_figures",
        lambda records, left_out: {name: plt.figure(figsize=(1, 1)) for name in drawn},
    )
    before = set(write_report(records(("B0",)), tmp_path))
    own = tmp_path / "shapes-cpu-mine.svg"
    own.write_text("a reader's")
    drawn.remove("leak")
    after = set(write_report(records(("B0",)), tmp_path))
    assert before - after == {tmp_path / "shapes-cpu-leak.svg"}
    assert set(tmp_path.iterdir()) == after | {own}


def test_figures_that_records_do_not_allow_are_left_out():
    assert "effects-knn10" not in all_figures(records(("B0",)))


def test_records_of_another_k_are_shown_and_what_is_missing_is_said(tmp_path):
    found = [dataclasses.replace(r, num_subsets=5) for r in records()]
    written = write_report(found, tmp_path)
    assert "shapes-cpu-metrics.svg" in {path.name for path in written}
    text = (tmp_path / "shapes-cpu.md").read_text()
    assert "## Figures (K = 5" in text
    assert "- leak: " in text.split("Not drawn")[1]
    mixed = [*found, *records(("S-P1",))]
    assert (shown_k(found), shown_k(mixed)) == (5, 10)
    with pytest.raises(InputError, match="at least one"):
        shown_k([])


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        write_report(records(), tmp_path / "file")


RESULTS = Path(__file__).resolve().parents[2] / "results"
ATTACK = "<img src=x onerror=alert(1)> [a](javascript:alert(2)) `|` $x$ ![b](c)"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The report of the repository's own records: its folder, and what was written."""
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(load_records(RESULTS), folder)


def test_the_repositorys_own_records_make_a_whole_report(shipped):
    folder, written = shipped
    studies = {(r.data, r.preset) for r in load_records(RESULTS)}
    for data, preset in studies:
        text = (folder / f"{data}-{preset}.md").read_text()
        assert "Not drawn" not in text or preset != "norm", text
        figures = re.findall(r"\]\(<(.*?)>\)", text)
        assert figures
        assert {folder / name for name in figures} <= set(written)
    assert folder / "cifar10-jpeg75-norm-norms.svg" in written
    assert folder / "cifar10-jpeg75-cpu-leak.svg" in written
    text = (folder / "cifar10-jpeg75-cpu.md").read_text()
    assert text.count("## Verdicts") == 2
    assert "- **A1 The article's ordering**: contradicted" in text


def test_records_that_lack_a_metric_leave_out_the_figures_that_need_it(tmp_path):
    found = records()
    for record in found:
        if record.cell == "S-P1":
            del record.metrics["linear_probe"]
    text = write_report(found, tmp_path)[-1].read_text()
    assert re.search(r"^- metrics: S-P1-K10-s0: metrics has no", text, re.M)
    assert "shapes-cpu-effects-knn10.svg" in text


def test_text_of_a_record_stays_text(tmp_path):
    found = [
        dataclasses.replace(
            r, data="$x_{$ (1)", preset="[a](b)", device=ATTACK, git_commit=ATTACK,
            package_version=ATTACK, extra={ATTACK: 1.0}, metrics=r.metrics | {ATTACK: 1.0},
        )
        for r in records()
    ]  # fmt: skip
    text = write_report(found, tmp_path)[-1].read_text()
    assert "alert(1)" in text
    assert not re.search(r"(?<!\\)[<\[]img|(?<!\\)\[a\](?!\()|(?<!\\)\]\(java", text)
    for written in tmp_path.glob("*.svg"):
        assert "<img" not in written.read_text()
    for markdown in (False, True):
        assert ATTACK not in result_table(found, markdown=markdown)
