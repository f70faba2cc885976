"""The registry of metrics, against the recorded runs and what the metrics themselves return."""

from pathlib import Path

import pytest

from contrastive_tutorial.metrics.registry import METRICS, metric
from contrastive_tutorial.records import load_records

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture(scope="module")
def recorded():
    return load_records(RESULTS)


def test_every_recorded_metric_is_registered_and_within_its_range(recorded):
    assert {name for record in recorded for name in record.metrics} <= set(METRICS)
    for record in recorded:
        for name, value in record.metrics.items():
            low, high = METRICS[name].low, METRICS[name].high
            assert low is None or low <= value <= high, (record.stem, name)


def test_names_are_told_apart():
    assert len({m.label for m in METRICS.values()}) == len(METRICS)
    assert len({m.short for m in METRICS.values()}) == len(METRICS)


def test_chance_and_share():
    assert METRICS["knn10"].guessed(100) == 0.01
    assert METRICS["policy_probe_z"].guessed(100) == 0.1
    assert METRICS["nmi"].guessed(5) == 0
    assert METRICS["rankme"].guessed(5) is None
    assert METRICS["knn10"].share(0.25) == 0.25
    assert METRICS["ari"].share(1) == 1
    assert METRICS["rankme"].share(37.8) is None
    assert METRICS["loss_final"].share(3) is None


def test_a_number_without_an_entry_is_called_by_its_name():
    assert metric("extra.cross_branch_top1").label == "cross branch top1"
    assert metric("extra.cross_branch_top1").share(0.5) is None
