"""written: a folder with every table, verdict and figure, from records alone."""

import dataclasses
import re

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from pages import ROOT
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records, result_table
from contrastive_tutorial.report import figures, study_figures, written
from contrastive_tutorial.report.written import shown_k, write_report


def records(cells=("B0", "S-P1", "untrained")):
    return [
        make(cell, seed, evaluation="branch:0" if cell == "S-P1" else "running", metrics={
            "cluster_accuracy": 0.2 + 0.01 * seed, "knn10": 0.4, "linear_probe": 0.4
        }, loss_curve=[] if cell == "untrained" else [(0, 6.9), (10, 5.5)])
        for cell in cells
        for seed in range(2)
    ]  # fmt: skip


@pytest.fixture
def blank(monkeypatch):
    """All drawings but the first empty: most tests ask what a report says, and drawing is slow."""
    for module, name in (
        (figures, "loss_curves"), (figures, "metric_by_subsets"), (study_figures, "forest")
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *_: plt.figure(figsize=(1, 1)))


@pytest.mark.usefixtures("blank")
def test_a_report_holds_table_verdicts_and_figures(tmp_path):
    paths = write_report(records(), tmp_path / "new")
    names = {path.name for path in paths}
    assert {"shapes-cpu.md", "shapes-cpu-metrics.svg", "shapes-cpu-effects-knn10.svg"} <= names
    text = (tmp_path / "new" / "shapes-cpu.md").read_text()
    assert "| B0 | 10 | 2 | running | 0.205" in text
    assert "**H1 " in text
    assert "## Verdicts: Amendment A" in text
    assert "**HA1 " in text
    assert "undecided" in text
    assert all(f"](<{name}>)" in text for name in names if name.endswith(".svg"))
    before = {path: path.read_bytes() for path in paths}
    write_report(records(), tmp_path / "new")
    assert {path: path.read_bytes() for path in paths} == before


def test_a_figure_that_is_no_longer_drawn_does_not_stay(tmp_path, monkeypatch):
    drawn = ["metrics", "leak"]
    monkeypatch.setattr(
        written, "all_figures", lambda *_: {name: plt.figure(figsize=(1, 1)) for name in drawn}
    )
    before = set(write_report(records(("B0",)), tmp_path))
    own = tmp_path / "shapes-cpu-mine.svg"
    own.write_text("a reader's")
    drawn.remove("leak")
    after = set(write_report(records(("B0",)), tmp_path))
    assert before - after == {tmp_path / "shapes-cpu-leak.svg"}
    assert set(tmp_path.iterdir()) == after | {own}


@pytest.mark.usefixtures("blank")
def test_records_of_another_k_are_shown_and_what_is_missing_is_said(tmp_path):
    found = [dataclasses.replace(r, num_subsets=5) for r in records()]
    assert tmp_path / "shapes-cpu-metrics.svg" in write_report(found, tmp_path)
    text = (tmp_path / "shapes-cpu.md").read_text()
    assert "## Figures (K = 5" in text
    assert "- leak: " in text.split("Not drawn")[1]
    mixed = [*found, *records(("S-P1",))]
    assert (shown_k(found), shown_k(mixed)) == (5, 10)
    with pytest.raises(InputError, match="at least one"):
        shown_k([])


@pytest.mark.usefixtures("blank")
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        write_report(records(), tmp_path / "file")


ATTACK = "<img src=x onerror=alert(1)> [a](javascript:alert(2)) `|` $x$ ![b](c)"


@pytest.mark.slow
def test_the_repositorys_own_records_make_a_whole_report(tmp_path, monkeypatch):
    """Every figure is made; what takes ten seconds is to draw them all."""
    monkeypatch.setattr(Figure, "savefig", lambda _, file, **__: file.write(b"<svg/>"))
    records = load_records(ROOT / "results")
    paths = write_report(records, tmp_path)
    for data, preset in {(r.data, r.preset) for r in records}:
        text = (tmp_path / f"{data}-{preset}.md").read_text()
        assert "Not drawn" not in text or preset != "norm", text
        shown = re.findall(r"\]\(<(.*?)>\)", text)
        assert shown
        assert {tmp_path / name for name in shown} <= set(paths)
    for figure in ("norm-norms", "cpu-leak"):
        assert tmp_path / f"cifar10-jpeg75-{figure}.svg" in paths
    text = (tmp_path / "cifar10-jpeg75-cpu.md").read_text()
    assert text.count("## Verdicts") == 2
    assert "- **A1 The article's ordering**: contradicted" in text


@pytest.mark.usefixtures("blank")
def test_records_that_lack_a_metric_leave_out_the_figures_that_need_it(tmp_path):
    found = records()
    for record in found:
        if record.cell == "S-P1":
            del record.metrics["linear_probe"]
    text = write_report(found, tmp_path)[-1].read_text()
    assert re.search(r"^- metrics: S-P1-K10-s0: metrics has no", text, re.M)
    assert "shapes-cpu-effects-knn10.svg" in text


def test_text_of_a_record_stays_text(tmp_path, monkeypatch):
    monkeypatch.setattr(written, "HEADLINE", ("cluster_accuracy", "knn10"))
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
    for drawing in tmp_path.glob("*.svg"):
        assert "<img" not in drawing.read_text()
    for markdown in (False, True):
        assert ATTACK not in result_table(found, markdown=markdown)
