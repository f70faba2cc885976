"""reproduction: the same bits from the same machine, and an honest answer from another."""

import dataclasses

import pytest
from forked import run_again, started
from tiny import TINY, run, score_quickly, shapes

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study import reproduction
from contrastive_tutorial.study.cells import PRESETS
from contrastive_tutorial.study.reproduction import compare, reproduce


@pytest.fixture(scope="module")
def sets():
    return shapes()


@pytest.fixture(scope="module", autouse=True)
def _tiny_preset():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", TINY)
        score_quickly(patch)
        yield


@pytest.fixture(scope="module")
def record(sets, tmp_path_factory):
    return run("B0", sets, "tiny", 0, 5, tmp_path_factory.mktemp("results"))


# A reader's rerun is a process of its own. So is this one: what ran before in a process may
# leave other code paths behind (threads, kernels), and last bits with them.
@pytest.mark.slow
def test_a_rerun_on_the_same_machine_is_bit_identical(tmp_path):
    process = started(run_again, tmp_path)
    process.join()
    assert process.exitcode == 0
    (record,) = tmp_path.rglob("*.json")
    assert [p.name for p in record.parent.glob("[!.]*")] == [record.name]


def test_other_data_are_refused(sets, record, monkeypatch):
    other = (sets[0].subset(range(400)), *sets[1:])
    monkeypatch.setattr(reproduction, "load_splits", lambda images: other)
    with pytest.raises(InputError, match="its train images are not those of the record"):
        reproduce(record.path, "elsewhere", progress=False)
    other = (*sets[:2], sets[2].subset(range(150)))
    with pytest.raises(InputError, match="its test images are not those of the record"):
        reproduce(record.path, "elsewhere", progress=False)


def test_what_this_command_does_not_run_is_not_run(sets, record, tmp_path, monkeypatch):
    settings = record.hyperparameters | {"encoder": "Mine()"}
    path = dataclasses.replace(record, hyperparameters=settings).save(tmp_path)
    monkeypatch.setattr(reproduction, "load_splits", lambda images: sets)
    with pytest.raises(InputError, match=r"encoder: expected .*as it was made then"):
        reproduce(path, "shapes", progress=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("test_hash", 5), ("test_hash", {}), ("definition", [2]), ("encoder", 1), ("batch_norm", []),
     ("policies", 5), ("cell", "B0"), ("preset", 3)],
)  # fmt: skip
def test_a_setting_of_another_kind_is_named(record, tmp_path, name, value):
    settings = record.hyperparameters | {name: value}
    path = dataclasses.replace(record, hyperparameters=settings).save(tmp_path)
    with pytest.raises(InputError, match=rf"s0\.json: hyperparameters\['{name}'\]: expected"):
        reproduce(path, "shapes", progress=False)


@pytest.mark.parametrize("threads", ["０", "９" * 20])
def test_threads_in_other_digits_are_none(sets, record, tmp_path, monkeypatch, threads):
    path = dataclasses.replace(record, device=f"cpu ({threads} threads)").save(tmp_path)
    monkeypatch.setattr(reproduction, "load_splits", lambda images: sets)
    monkeypatch.setattr(reproduction, "run", lambda request, sets: (record, True))
    assert reproduce(path, "shapes", progress=False).identical


def test_the_spread_of_the_seeds_decides_elsewhere(record):
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
    settings = record.hyperparameters | {"encoder": "Mine()"}
    foreign = dataclasses.replace(with_accuracy(0.9, 2), hyperparameters=settings)
    assert compare(family[0], with_accuracy(0.41), [*family, foreign]).seeds == 2
    elsewhere = dataclasses.replace(with_accuracy(0.25), device="another CPU (8 threads)")
    assert not compare(family[0], elsewhere, family).same_setting
    assert "processors of one name" not in str(compare(family[0], elsewhere, family))
