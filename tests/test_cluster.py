"""cluster: a study as Ray tasks leaves the records that it leaves without Ray."""

import dataclasses

import pytest
from images import files, write_folder

from contrastive_tutorial import cluster, experiments
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records

TINY = "live+steps=2+batch_size=20+bank=240+menu_bank=240+kmeans_restarts=1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pictures = files(120, top="train/") + files(15, top="test/")
    return write_folder(tmp_path_factory.mktemp("pictures"), pictures)


def plain(record):
    return dataclasses.replace(
        record, train_seconds=0, evaluate_seconds=0, images_per_second=0, path=None
    )


@pytest.fixture(scope="module")
def two_workers():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_two_workers_leave_the_same_records_and_repeat_nothing(folder, tmp_path, two_workers):
    runs = experiments.plan(["B0", "S-P1"], [0], [5], TINY)
    done = list(cluster.study_on_ray(runs, str(folder), tmp_path / "ray", device="cpu"))
    assert sorted(record.cell for record in done) == ["B0", "S-P1"]
    assert list(cluster.study_on_ray(runs, str(folder), tmp_path / "ray", device="cpu")) == []
    one = experiments.run("B0", folder, TINY, 0, 5, tmp_path / "here", "cpu", progress=False)
    (other,) = load_records(tmp_path / "ray", cell="B0")
    # Threads may differ between a task and this process; the settings and the data may not.
    assert other.hyperparameters == one.hyperparameters
    assert other.data_hash == one.data_hash
    assert other.metrics.keys() == one.metrics.keys()
    assert [loss for _, loss in other.loss_curve] == pytest.approx(
        [loss for _, loss in one.loss_curve], rel=1e-4
    )
    assert other.has_arrays()

    # What is missing is done, what is there is left alone.
    other.path.unlink()
    again = list(cluster.study_on_ray(runs, str(folder), tmp_path / "ray", device="cpu"))
    assert [record.cell for record in again] == ["B0"]


def test_bad_input_in_a_task_is_bad_input_here(folder, tmp_path, two_workers):
    runs = experiments.plan(["S-P1"], [0], [7], TINY)
    with pytest.raises(InputError, match="K = 7"):
        list(cluster.study_on_ray(runs, str(folder), tmp_path, device="cpu"))
    assert list(tmp_path.rglob("*.json")) == []


def test_no_budget_starts_nothing(folder, tmp_path, two_workers):
    runs = experiments.plan(["B0"], [0], [5], TINY)
    assert list(cluster.study_on_ray(runs, str(folder), tmp_path, device="cpu", budget=-1)) == []


def test_a_task_returns_the_files_of_its_run(folder, tmp_path):
    wanted = experiments.Run("B0", TINY, 0, 5)
    found, is_new = cluster.work(wanted, str(folder), str(tmp_path), "cpu", True)
    assert is_new
    assert list(found) == ["B0-K5-s0.npz", "B0-K5-s0.json"]
    (record,) = load_records(tmp_path)
    assert record.path.read_bytes() == found["B0-K5-s0.json"]
    assert cluster.work(wanted, str(folder), str(tmp_path), "cpu", True) == (found, False)


def test_without_ray_the_way_out_is_named(monkeypatch, folder, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"contrastive-tutorial\[cluster\]"):
        list(cluster.study_on_ray([], str(folder), tmp_path))
