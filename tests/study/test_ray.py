"""cluster: a study as Ray tasks leaves the records that it leaves without Ray."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import pytest
from images import files, write_folder
from tiny import run

from contrastive_tutorial import cli
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.study import ray, runner
from contrastive_tutorial.study.request import Request

TINY = "live+steps=2+batch_size=20+bank=240+menu_bank=240+kmeans_restarts=1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pictures = files(120, top="train/") + files(15, top="test/")
    return write_folder(tmp_path_factory.mktemp("pictures"), pictures)


@pytest.fixture(scope="module")
def two_workers():
    """A local Ray with two workers, gone afterwards with all it left."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as own:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # 15 otherwise: a busy machine would starve them
        # Workers import what this process imports, also where the package is not installed.
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        # A folder with a short name: Ray's sockets lie in it.
        ray.init(
            "local", num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False,
            object_store_memory=80 * 1024**2, _temp_dir=own,
        )  # fmt: skip
        yield ray
        ray.shutdown()


def test_a_task_reads_what_the_driver_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cifar10").mkdir()  # of the reader's own: the name means the known set all the same
    for given, sent in (
        ("cifar10", "cifar10"),
        ("./cifar10", str(tmp_path / "cifar10")),
        (tmp_path / "cifar10", str(tmp_path / "cifar10")),
        ("nowhere", "nowhere"),
    ):
        assert ray._everywhere(given) == sent


def asked(results, cells=("B0",)):
    return runner.plan(cells, [0], [5], preset=TINY, results=results, device="cpu", progress=False)


def on_ray(requests, folder):
    return runner.study(requests, folder, workers=ray.cluster(folder, device="cpu"))


@pytest.mark.slow
def test_two_workers_leave_the_same_records_and_repeat_nothing(
    folder, tmp_path, two_workers, monkeypatch
):
    meeting, real = tmp_path / "meeting", ray.work
    meeting.mkdir()

    def work(request, images):
        """The task, once two of them run at the same moment."""
        (meeting / request.cell).touch()
        until = time.monotonic() + 60
        while len(list(meeting.iterdir())) < 2:
            assert time.monotonic() < until, "the tasks run one after the other"
            time.sleep(0.02)
        return real(request, images)

    monkeypatch.setattr(ray, "work", work)
    runs = asked(tmp_path / "ray", ["B0", "S-P1"])
    done = list(on_ray(runs, folder))
    assert sorted(record.cell for record in done) == ["B0", "S-P1"]
    assert list(on_ray(runs, folder)) == []
    one = run("B0", folder, TINY, 0, 5, tmp_path / "here", "cpu")
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
    again = list(on_ray(runs, folder))
    assert [record.cell for record in again] == ["B0"]


@pytest.mark.slow
@pytest.mark.thorough  # test_runner.py kills a study without Ray
def test_the_driver_is_killed_and_the_same_command_continues(folder, tmp_path, two_workers, capsys):
    preset = TINY.replace("steps=2", "steps=30+checkpoint_every=1")
    asked = [
        "study", "--cells", "B0", "S-P1", "--subsets", "5", "--seeds", "0", "--preset", preset,
        "--data", str(folder), "--results", str(tmp_path / "ray"), "--device", "cpu",
        "--no-arrays", "--ray", two_workers.get_runtime_context().gcs_address,
    ]  # fmt: skip
    driver = subprocess.Popen(
        [sys.executable, "-m", "contrastive_tutorial", *asked],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not list(tmp_path.rglob("*.checkpoint")) and driver.poll() is None:
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    recorded = {path.stem for path in tmp_path.rglob("*.json")}
    begun = {path.stem for path in tmp_path.rglob("*.checkpoint")} - recorded
    assert begun, "killed too late to tell"

    # A task that Ray has not ended yet keeps its run: then the command says so, and goes again.
    until = time.monotonic() + 60
    while True:
        assert cli.main(asked) == 0
        if capsys.readouterr().out.endswith("0 runs left\n"):
            break
        assert time.monotonic() < until
        time.sleep(0.5)
    assert len(load_records(tmp_path / "ray")) == 2
    assert list(tmp_path.rglob("*.checkpoint")) == []
    # Those that were begun ended as if nobody had been killed.
    stem = min(begun)
    (found,) = [r for r in load_records(tmp_path / "ray") if r.path.stem == stem]
    alone = run(found.cell, folder, preset, 0, 5, tmp_path / "here", "cpu", arrays=False)
    assert [loss for _, loss in found.loss_curve] == pytest.approx(
        [loss for _, loss in alone.loss_curve], rel=1e-3
    )


@pytest.mark.slow
def test_a_task_without_a_shared_folder_sends_its_files(folder, tmp_path, two_workers, monkeypatch):
    real = ray.work

    def work(request, images):
        return real(replace(request, results=request.results + "-elsewhere"), images)

    monkeypatch.setattr(ray, "work", work)
    (record,) = on_ray(asked(tmp_path / "here"), folder)
    assert record.path.is_relative_to(tmp_path / "here")
    assert record.has_arrays()


@pytest.mark.slow
def test_bad_input_in_a_task_is_bad_input_here(folder, tmp_path, two_workers):
    runs = [Request("S-P1", TINY, 0, 7, tmp_path, "cpu")]  # a plan would refuse it
    with pytest.raises(InputError, match="K = 7"):
        list(on_ray(runs, folder))
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.slow
def test_a_run_whose_process_goes_away_is_named(folder, tmp_path, two_workers, monkeypatch):
    def work(*_):
        os._exit(1)

    monkeypatch.setattr(ray, "work", work)
    monkeypatch.setattr(ray, "_RETRIES", 0)
    with pytest.raises(InputError, match=r"B0 K=5 seed 0 was lost 1 times .*the same command"):
        list(on_ray(asked(tmp_path), folder))


def test_a_task_returns_the_files_of_its_run(folder, tmp_path):
    (request,) = asked(tmp_path)
    name, found, is_new = ray.work(request, str(folder))
    assert is_new
    assert (name, list(found)) == (folder.name, [".npz", ".json"])
    (record,) = load_records(tmp_path)
    assert record.path.read_bytes() == found[".json"]
    assert ray.work(request, str(folder)) == (name, found, False)


@pytest.mark.parametrize("address", ["nobody", "127.0.0.1:1", "auto"])
def test_a_cluster_that_is_not_there(folder, tmp_path, monkeypatch, capsys, address):
    ray = pytest.importorskip("ray")
    running = ray.is_initialized()  # by the tests above: an old Ray looks at that first
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address == "auto" or (running and address == "nobody"):  # whatever runs on this machine

        def nobody(*_, **__):
            raise ConnectionError("Could not find any running Ray instance.")

        monkeypatch.setattr(ray, "init", nobody)
    asked = ["study", "--cells", "B0", "--seeds", "0", "--preset", TINY, "--data", str(folder)]
    assert cli.main([*asked, "--results", str(tmp_path), "--ray", address]) == 2
    error = capsys.readouterr().err
    assert f"ray: no cluster at '{address}'" in error
    assert error.count("\n") == 1


def test_without_ray_the_way_out_is_named(monkeypatch, folder, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"contrastive-tutorial\[cluster\]"):
        list(on_ray(asked(tmp_path), folder))
