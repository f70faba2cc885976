"""reporting: a folder with every table, verdict and figure, from records alone."""

import dataclasses

import pytest
from recorded import make

from contrastive_tutorial.cli import commands
from contrastive_tutorial.errors import InputError
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
    written = write_report(records(), tmp_path / "new", commands.table)
    names = {path.name for path in written}
    assert {"shapes-cpu.md", "shapes-cpu-metrics.svg", "shapes-cpu-effects-knn10.svg"} <= names
    text = (tmp_path / "new" / "shapes-cpu.md").read_text()
    assert "| B0 | 10 | 2 | running | 0.205" in text
    assert "**H1 " in text
    assert "undecided" in text
    assert all(f"]({name})" in text for name in names if name.endswith(".svg"))
    before = {path: path.read_bytes() for path in written}
    write_report(records(), tmp_path / "new", commands.table)
    assert {path: path.read_bytes() for path in written} == before


def test_figures_that_records_do_not_allow_are_left_out():
    assert "effects-knn10" not in all_figures(records(("B0",)))


def test_records_of_another_k_are_shown_and_what_is_missing_is_said(tmp_path):
    found = [dataclasses.replace(r, num_subsets=5) for r in records()]
    written = write_report(found, tmp_path, commands.table)
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
        write_report(records(), tmp_path / "file", commands.table)
