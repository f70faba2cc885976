"""reproduction: the same bits from the same machine, and an honest answer from another."""

import dataclasses

import pytest
import torch
from tiny import run

from contrastive_tutorial import data
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study import reproduction
from contrastive_tutorial.study.cells import PRESETS, Preset
from contrastive_tutorial.study.reproduction import compare, reproduce

TINY = Preset(
    "tiny", "two_conv_strided", steps=3, batch_size=40, bank=300, kmeans_restarts=1, menu_bank=300
)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    sizes = {"train": 600, "val": 60, "test": 200}
    sets = tuple(data.load("shapes", split, num_images=n) for split, n in sizes.items())
    monkeypatch.setattr(reproduction, "load_splits", lambda images: sets)
    return sets


def test_a_rerun_on_the_same_machine_is_bit_identical(small, tmp_path):
    record = run("S-P1", small, "tiny", 1, 5, tmp_path)
    before = torch.get_num_threads()
    again = reproduce(record.path, "shapes", progress=False)
    assert torch.get_num_threads() == before
    assert again.identical
    assert again.same_setting
    assert again.holds
    assert "bit-identical" in str(again)
    assert [p.name for p in record.path.parent.glob("[!.]*")] == [record.path.name]


def test_other_data_are_refused(small, tmp_path, monkeypatch):
    record = run("B0", small, "tiny", 0, 5, tmp_path)
    other = tuple(data.load("shapes", s, num_images=n) for s, n in
                  {"train": 400, "val": 60, "test": 200}.items())  # fmt: skip
    monkeypatch.setattr(reproduction, "load_splits", lambda images: other)
    with pytest.raises(InputError, match="not those of the record"):
        reproduce(record.path, "elsewhere", progress=False)


def test_the_spread_of_the_seeds_decides_elsewhere(small, tmp_path):
    record = run("B0", small, "tiny", 0, 5, tmp_path)

    def with_accuracy(value, seed=0):
        return dataclasses.replace(
            record, seed=seed, metrics={**record.metrics, "cluster_accuracy": value}
        )

    family = [with_accuracy(0.2), with_accuracy(0.3, 1)]
    near = compare(family[0], with_accuracy(0.39), family)
    assert not near.identical
    assert near.holds
    assert near.seeds == 2
    assert near.same_setting
    assert "processors of one name can differ" in str(near)
    far = compare(family[0], with_accuracy(0.41), family)
    assert not far.holds
    assert "OUTSIDE [0.1000, 0.4000] of 2 seeds" in str(far)
    alone = compare(family[0], with_accuracy(0.9), family[:1])
    assert alone.differences[0].within is None
    assert "too few recorded seeds" in str(alone)
    elsewhere = dataclasses.replace(with_accuracy(0.25), device="another CPU (8 threads)")
    assert not compare(family[0], elsewhere, family).same_setting
    assert "processors of one name" not in str(compare(family[0], elsewhere, family))
