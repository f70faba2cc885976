"""benchmarks: RESULTS.md is what the JSON files say, and every shape of figures becomes a table."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from contrastive_tutorial.data import load_splits

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import calibration  # noqa: E402
import report  # noqa: E402
import startup  # noqa: E402
import time_to_knn  # noqa: E402


def test_results_are_written_from_the_files():
    assert (ROOT / "benchmarks" / "RESULTS.md").read_text() == report.document(), (
        "run `python benchmarks/report.py`"
    )


BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=[path.stem for path in BENCHMARKS])
def test_a_benchmark_imports_names_that_exist(path):
    statements = [path.read_text()] if path.stem != "startup" else list(startup.ROWS.values())
    older = {"contrastive_tutorial.experiment"} if path.stem == "revisions" else set()
    for node in ast.walk(ast.parse("\n".join(statements))):
        if not isinstance(node, ast.ImportFrom) or (node.module or "") in older:
            continue
        if (node.module or "").split(".")[0] == "contrastive_tutorial":
            room = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(room, name.name) or importlib.import_module(
                    f"{node.module}.{name.name}"
                )


def test_a_candidate_of_the_calibration_is_scored_on_validation_images():
    images = load_splits("shapes", torch.device("cpu"))
    with pytest.warns(UserWarning, match="too good"):  # it is the same set twice, as it says
        ready = calibration.experiment("strided, t = 0.2", images, 0, 16)
    assert torch.equal(ready.test_set.images, images[1].images)


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


def with_curve(seed, curve, train=100.0):
    return SimpleNamespace(
        device="GPU", data="d", preset="p", cell="B0", seed=seed, knn_curve=curve,
        train_seconds=train, evaluate_seconds=10.0, images_per_second=5.0,
    )  # fmt: skip


def test_time_to_an_accuracy_is_a_mean_only_where_every_seed_got_there():
    records = [
        with_curve(0, [(10, 1.0, 0.5), (20, 2.0, 0.88), (30, 3.0, 0.91), (40, 4.0, 0.89)]),
        with_curve(1, [(10, 1.0, 0.5), (20, 2.0, 0.60), (30, 4.0, 0.88), (40, 5.0, 0.89)], 200.0),
        with_curve(2, []),
    ]
    (row,) = time_to_knn.rows(records, [0.88, 0.9, 0.95])
    assert row["seeds"] == 2
    assert row["seconds_to_0.88"] == 3.0  # of 2 and 4
    assert row["seconds_to_0.9"] == "1 of 2 seeds"
    assert row["seconds_to_0.95"] == "0 of 2 seeds"
    assert row["best_knn"] == pytest.approx(0.90)
    assert (row["train_seconds"], row["train_and_evaluate_seconds"]) == (150.0, 160.0)


@pytest.mark.slow
def test_the_memory_of_a_step_is_measured(tmp_path):
    """In small: the peak holds what is needed, and the estimate covers the peak."""
    script, file = ROOT / "benchmarks" / "memory.py", tmp_path / "memory.json"
    subprocess.run(
        [sys.executable, script, "--steps", "cpu:100", "--device", "cpu", "--json", file],
        check=True, capture_output=True,
    )  # fmt: skip
    (row,) = json.loads(file.read_text())["figures"].values()
    assert 1 <= row["peak_over_needed"] <= 1.2
    assert row["estimate_over_peak"] >= 1
