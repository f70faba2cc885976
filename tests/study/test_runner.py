"""experiments: every cell runs from images to a record, once, and again with the same bits."""

import dataclasses
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from forked import started, two_runs
from tiny import TINY, covering, files_in, run, score_quickly, shapes

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import evaluation_statistics
from contrastive_tutorial.records import load_records
from contrastive_tutorial.study import norms, runner
from contrastive_tutorial.study.cells import CELLS, DEFINITION, PRESETS
from contrastive_tutorial.study.reproduction import reproduce
from contrastive_tutorial.study.request import Request
from contrastive_tutorial.study.runner import parse_budget, plan, study
from contrastive_tutorial.train import load_encoder


@pytest.fixture(scope="module")
def sets():
    return shapes()


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    score_quickly(monkeypatch)


@pytest.fixture(scope="module")
def finished(sets, tmp_path_factory):
    """The folder of one run of B0 with K = 5, without arrays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", TINY)
        score_quickly(patch)
        folder = tmp_path_factory.mktemp("finished")
        run("B0", sets, "tiny", 0, 5, folder, arrays=False)
    return folder


@pytest.fixture
def record(finished, tmp_path):
    """That run, in the folder of a test that will change it."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (found,) = load_records(tmp_path)
    return found


def strip_times(record):
    return dataclasses.replace(
        record, train_seconds=0, evaluate_seconds=0, images_per_second=0, path=None,
        git_commit=None,  # somebody may commit meanwhile
    )  # fmt: skip


@pytest.mark.parametrize("name", covering())
def test_every_kind_of_cell_leaves_a_record(name, sets, tmp_path):
    preset = "tiny+batch_size=50" if CELLS[name].group_size == 50 else "tiny"
    record = run(name, sets, preset, 0, 10, tmp_path, arrays=False)
    (loaded,) = load_records(tmp_path)
    assert loaded == record
    assert record.path == Request(name, preset, results=tmp_path).file("shapes")
    for metric in ("cluster_accuracy", "nmi", "knn200", "knn10", "linear_probe"):
        assert 0 <= record.metrics[metric] <= 1
    if CELLS[name].reference not in ("raw-pixels", "pca"):
        assert {"policy_probe_z", "contrastive_train", "alignment", "rankme"} <= set(record.metrics)
        assert record.evaluation in record.evaluations
    assert len(record.loss_curve) == (0 if CELLS[name].reference else 3)
    assert [path.suffix for path in record.path.parent.glob("[!.]*")] == [".json"]


def test_the_same_run_gives_the_same_numbers(sets, tmp_path):
    one = run("S-P1", sets, "tiny", 3, 5, tmp_path / "a")
    two = run("S-P1", sets, "tiny", 3, 5, tmp_path / "b")
    assert strip_times(one) == strip_times(two)
    other = run("S-P1", sets, "tiny", 4, 5, tmp_path / "a")
    assert other.metrics != one.metrics


def test_a_plain_cell_does_not_depend_on_the_number_of_subsets(sets):
    losses = [
        runner.Experiment("B0", sets, TINY, 0, k).train(progress=False).losses for k in (1, 5)
    ]
    assert torch.equal(*losses)


def test_arrays_are_kept_for_seed_zero_where_asked_for(sets, finished, tmp_path):
    record = run("M-P1", sets, "tiny", 0, 5, tmp_path)
    arrays = record.arrays()
    assert {"labels", "subsets", "features", "features_subset"} <= set(arrays)
    assert arrays["features"].dtype == "float16"
    assert len(arrays["labels"]) == len(arrays["features"]) == 200
    assert set(arrays["subsets"]) == set(range(5))
    assert not Request("M-P1", "tiny", 1).keeps_arrays
    (without,) = load_records(finished)
    assert not without.has_arrays()


def test_a_recorded_run_is_loaded_not_repeated(sets, record, tmp_path):
    stamp = record.path.stat().st_mtime_ns
    assert run("B0", sets, "tiny", 0, 5, tmp_path) == record
    assert record.path.stat().st_mtime_ns == stamp
    run("B0", sets, "tiny", 0, 5, tmp_path, again=True)
    assert record.path.stat().st_mtime_ns > stamp


def test_what_an_interrupted_second_run_has_done_outlives_a_look_at_the_record(sets, tmp_path):
    record = run("pca", sets, "tiny", 0, 5, tmp_path)
    checkpoint = record.path.with_suffix(".checkpoint")
    checkpoint.write_bytes(b"hours of work")
    written = record.path.stat().st_mtime_ns
    for younger, kept in ((1_000_000, True), (-1_000_000, False)):
        os.utime(checkpoint, ns=(written + younger, written + younger))
        assert run("pca", sets, "tiny", 0, 5, tmp_path) == record
        assert checkpoint.exists() == kept


def asked(cells, seeds, folder, k=10, **how):
    how = {"preset": "tiny", "results": folder, "progress": False, **how}
    return plan(cells, seeds, [k], **how)


def test_study_runs_what_is_missing_and_stops_at_the_budget(sets, tmp_path, monkeypatch):
    calls = []
    real = runner.run

    def counted(request, images):
        calls.append(request.cell)
        return real(request, images)

    monkeypatch.setattr(runner, "run", counted)
    cells = ["raw-pixels", "pca"]
    runs = asked(cells, [0, 1], tmp_path)
    done = list(study(runs, sets))
    assert [(r.cell, r.seed) for r in done] == [(c, s) for s in (0, 1) for c in cells]
    assert list(study(runs, sets)) == []
    assert len(calls) == 4
    assert list(study(asked(["B2"], [0], tmp_path), sets, budget=-1.0)) == []
    runs = asked(cells, [0], tmp_path, 5)
    shards = [[record.cell for record in study(runs[i::2], sets)] for i in range(2)]
    assert shards == [["raw-pixels"], ["pca"]]
    assert list(study([], sets)) == []


def test_one_runner_for_both_studies(sets, tmp_path, monkeypatch):
    monkeypatch.setattr(norms.Trial.__init__, "__defaults__", (128, None))
    runs = norms.plan(["bn"], ["shifted"], [64], [0], results=tmp_path, progress=False)
    runs += asked(["pca"], [0], tmp_path)
    assert [(r.cell, r.preset) for r in study(runs, sets)] == [
        ("bn-shifted-b64", "norm"), ("pca", "tiny"),
    ]  # fmt: skip
    assert list(study(runs, sets)) == []


@pytest.mark.parametrize(("cells", "k"), [(["B0"], 0), (["B0", "S-P1"], 7)])
def test_a_plan_that_cannot_be_carried_out_is_refused_at_once(cells, k):
    with pytest.raises(InputError, match=rf"num_subsets.*{k}|K = {k}"):
        plan(cells, [0], [10, k], preset="tiny")


def test_what_another_study_recorded_meanwhile_is_not_counted_twice(sets, tmp_path):
    runs = asked(["raw-pixels", "pca"], [0], tmp_path)
    mine, other = study(runs, sets), study(runs, sets)
    assert next(mine).cell == "raw-pixels"
    assert [record.cell for record in other] == ["pca"]
    assert list(mine) == []


def test_a_record_of_other_images_is_not_taken_for_this_run(sets, record, tmp_path):
    others = (sets[0].subset(range(400)), *sets[1:])
    with pytest.raises(InputError, match="other images named 'shapes'"):
        run("B0", others, "tiny", 0, 5, tmp_path)
    runs = asked(["B0", "S-P1"], [0], tmp_path, 5)
    assert runner.missing(runs, sets[0]) == runs[1:]
    with pytest.raises(InputError, match="other images named 'shapes'"):
        runner.missing(runs, others[0])
    assert load_records(tmp_path) == [record]


def test_a_run_that_another_process_holds_is_left_to_it(sets, tmp_path):
    from filelock import FileLock

    target = Request("pca", "tiny", results=tmp_path).file("shapes")
    (target.parent / ".locks").mkdir(parents=True)
    with FileLock(target.parent / ".locks" / f"{target.name}.lock"):
        assert run("pca", sets, "tiny", 0, 10, tmp_path) is None
    assert run("pca", sets, "tiny", 0, 10, tmp_path) is not None


@pytest.mark.slow
def test_kill_9_loses_nothing_and_two_processes_do_each_run_once(tmp_path):
    pair = [started(two_runs, tmp_path / "whole") for _ in range(2)]
    for process in pair:
        process.join()
        assert process.exitcode == 0
    expected = [strip_times(record) for record in load_records(tmp_path / "whole")]
    assert [record.cell for record in expected] == ["B2", "S-P1"]
    killed = started(two_runs, tmp_path / "killed")
    while not list(tmp_path.glob("killed/**/*.checkpoint")) and killed.is_alive():
        time.sleep(0.01)
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL  # and not an end of its own
    for path in (tmp_path / "killed").rglob("*.json"):
        json.loads(path.read_text())
    again = started(two_runs, tmp_path / "killed")
    again.join()
    assert again.exitcode == 0
    assert [strip_times(record) for record in load_records(tmp_path / "killed")] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "B9"}, "unknown cell"),
        ({"preset": "huge"}, "unknown preset"),
        ({"num_subsets": 7}, "K = 7"),
        ({"num_subsets": 0}, "num_subsets"),
        ({"num_subsets": 700}, "num_subsets|K = 700"),
        ({"seed": -1}, "seed"),
        ({"images": "no/such/folder"}, "no/such/folder"),
        ({"device": "cuda:63"}, "not there"),
    ],
)
def test_bad_input_leaves_nothing_behind(arguments, message, sets, tmp_path):
    given = {"cell": "S-P1", "preset": "tiny", "results": tmp_path, "progress": False} | arguments
    images = given.pop("images", sets)
    with pytest.raises(InputError, match=message):
        runner.run(Request(**given), images)
    assert files_in(tmp_path) == []


def test_a_full_disk_leaves_no_record(sets, tmp_path, monkeypatch):
    import errno

    real = os.replace

    def full(source, target):
        if str(target).endswith(".json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(InputError, match="disk is full"):
            run("B0", sets, "tiny", 0, 5, tmp_path, arrays=False)
    assert list(tmp_path.rglob("*.json")) == []
    # the checkpoint is still there: the second try evaluates without training again
    assert [path.suffix for path in files_in(tmp_path)] == [".checkpoint"]
    assert run("B0", sets, "tiny", 0, 5, tmp_path) is not None


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("25m", 1500), ("1.5h", 5400)]
)
def test_budgets(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "5 days", "1e3"])
def test_bad_budgets(text):
    with pytest.raises(InputError, match=r"90s, 25m or 1\.5h"):
        parse_budget(text)


def test_a_record_of_another_definition_is_not_mixed_in(sets, tmp_path):
    record = run("pca", sets, "tiny", 0, 10, tmp_path)
    assert record.hyperparameters["definition"] == DEFINITION
    assert len(record.hyperparameters["policies"]) == 16
    old = json.loads(record.path.read_text())
    del old["hyperparameters"]["definition"]
    record.path.write_text(json.dumps(old))
    with pytest.raises(
        InputError, match=f"definition 1 of the cells .*computes definition {DEFINITION}"
    ):
        run("pca", sets, "tiny", 0, 10, tmp_path)
    with pytest.raises(InputError, match="definition 1 of the cells"):
        runner.missing(asked(["pca"], [0], tmp_path), sets[0])
    with pytest.raises(InputError, match=r"definition 1 .* reproduce it with that commit"):
        reproduce(record.path, sets)
    again = run("pca", sets, "tiny", 0, 10, tmp_path, again=True)
    assert again.metrics == record.metrics


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"preset": "cpu"}, "preset: expected 'tiny', got 'cpu'"),
        ({"data": "cifar10"}, "data: expected 'shapes'"),
        ({"preset/steps": 9}, "preset steps: expected"),
        ({"preset/steps": None}, "preset steps: expected"),
        ({"cell/temperature": 0.3}, "cell temperature: expected"),
        ({"policies": "0" * 16}, r"policies \(hash of the table .*\): expected"),
        ({"encoder": "Mine()"}, "encoder: expected 'that of the preset', got 'Mine"),
        ({"processes": 2, "batch_norm": "local"}, "batch_norm: expected 'sync', got 'local'"),
        ({"test_hash": "0" * 64}, "recorded on other images"),
    ],
)
def test_a_record_in_the_place_of_another_is_refused(sets, record, tmp_path, changes, field):
    content = json.loads(record.path.read_text())
    for name, value in changes.items():
        part, _, inner = name.partition("/")
        if inner:
            content["hyperparameters"][part][inner] = value
        else:
            (content if part in content else content["hyperparameters"])[part] = value
    record.path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=field):
        run("B0", sets, "tiny", 0, 5, tmp_path)
    with pytest.raises(InputError, match=field):
        list(study(asked(["B0"], [0], tmp_path, 5), sets))


def test_what_an_older_record_does_not_say_is_not_held_against_it(sets, record, tmp_path):
    content = json.loads(record.path.read_text())
    del content["hyperparameters"]["test_hash"], content["hyperparameters"]["policies"]
    del content["hyperparameters"]["preset"]["measured"]
    content["hyperparameters"]["cell"]["summary"] = "In other words."
    record.path.write_text(json.dumps(content))
    assert run("B0", sets, "tiny", 0, 5, tmp_path).metrics == record.metrics


def test_a_killed_runs_finished_checkpoint_goes_and_never_passes_for_a_new_run(
    sets, tmp_path, monkeypatch
):
    """Killed between the record and the end of its checkpoint."""
    finished = {}
    unlink = Path.unlink

    def keep(path, missing_ok=False):
        if path.suffix == ".checkpoint" and path.exists():
            finished[path] = path.read_bytes()
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", keep)
        record = run("B0", sets, "tiny", 0, 5, tmp_path)
    ((checkpoint, content),) = finished.items()
    before = record.path.stat().st_mtime_ns - 1_000

    def left():
        checkpoint.write_bytes(content)
        os.utime(checkpoint, ns=(before, before))

    steps = []
    loss = runner.Experiment.loss
    monkeypatch.setattr(
        runner.Experiment,
        "loss",
        lambda self, step, g: (steps.append(step), loss(self, step, g))[1],
    )
    left()
    assert run("B0", sets, "tiny", 0, 5, tmp_path) == record
    assert not checkpoint.exists()
    assert steps == []
    left()
    again = run("B0", sets, "tiny", 0, 5, tmp_path, again=True)
    assert strip_times(again) == strip_times(record)
    assert len(steps) == TINY.steps


def test_weights_are_kept_on_request_and_go_with_the_next_run(sets, tmp_path):
    record = run("S-P1", sets, "tiny", 0, 5, tmp_path, keep_weights=True)
    file = record.path.with_suffix(".safetensors")
    encoder = load_encoder(file)
    with evaluation_statistics(encoder, record.evaluation) as forward:
        h = forward(sets[2].images[:4].float() / 255)
    assert h.shape == (4, 128)
    fresh = run("S-P1", sets, "tiny", 0, 5, tmp_path, again=True, arrays=False)
    assert [path.name for path in files_in(tmp_path)] == [fresh.path.name]


def test_collapsed_features_are_named(sets, tmp_path):
    grey = [replace(part, images=torch.full_like(part.images, 128)) for part in sets]
    with pytest.warns(UserWarning, match="collapsed: all test images have the same features"):
        record = run("untrained", grey, "tiny", 0, 5, tmp_path)
    assert record.extra["collapsed"] == 1.0


def test_images_without_labels_are_trained_and_scored_by_what_needs_none(sets, tmp_path):
    bare = [
        replace(p, labels=torch.zeros_like(p.labels), class_names=("unlabelled",)) for p in sets
    ]
    record = run("S-P1", bare, "tiny", 0, 5, tmp_path)
    assert {"alignment", "uniformity", "rankme", "policy_probe_z", "loss_final"} <= set(
        record.metrics
    )
    assert not {"cluster_accuracy", "nmi", "knn10", "linear_probe"} & set(record.metrics)
    assert record.evaluations == {}
    with pytest.raises(InputError, match="has no labels"):
        run("pca", bare, "tiny", 0, 5, tmp_path)


def test_fewer_than_200_images_have_a_score(sets, tmp_path):
    few = (sets[0].subset(range(120)), *sets[1:])
    record = run("B0", few, replace(TINY, batch_size=20), 0, 5, tmp_path)
    assert "knn200" not in record.metrics
    assert "knn10" in record.metrics


def test_own_branch_probe_exists_where_every_policy_has_a_branch(sets):
    expected = (("M-P1", 5, False), ("S-P0", 10, False), ("M-P1", 10, True), ("B0", 5, True))
    for cell, k, there in expected:
        extra = runner.Experiment(cell, sets, TINY, 1, k).evaluate().extra
        assert ("policy_probe_z_own_branch" in extra) == there, (cell, k)


def test_a_cell_that_shuffles_views_takes_one_pass_and_is_told_before_any_run():
    with pytest.raises(InputError, match="passes"):
        runner.plan(["B0", "ghost-shuffle-5"], [0], [5], preset="tiny+passes=2")
