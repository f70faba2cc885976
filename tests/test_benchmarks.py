"""benchmarks: RESULTS.md is what the JSON files say, and every shape of figures becomes a table."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import report  # noqa: E402


def test_results_are_written_from_the_files():
    assert (ROOT / "benchmarks" / "RESULTS.md").read_text() == report.document(), (
        "run `python benchmarks/report.py`"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/results").glob("*.json")), ids=str)
def test_every_file_says_where_it_ran(path):
    content = json.loads(path.read_text())
    assert content.get("device") or content.get("machine")
    assert "torch" in content["versions"]
    assert content.get("git_commit") or content.get("commit")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"figures": {"a_b": 1234.5, "c": 0.12345}}, ["| a b | 1,234 |", "| c | 0.123 |"]),
        ({"figures": {"ours": {"ms": 2.0}, "theirs": {"ms": 4.0}}}, ["| ours | 2 |"]),
        ({"rows": [{"n": 1}, {"n": 2, "note": "x"}]}, ["| n | note |", "| 1 |  |", "| 2 | x |"]),
        ({"studies": {"layer": {"bn": {"ratio": 1.0}}}}, ["layer:", "| bn | 1 |"]),
    ],
)
def test_every_shape_of_figures_becomes_a_table(content, expected):
    lines = report.tables(content)
    assert all(line in lines for line in expected), lines
