"""records: what goes in comes out, and damage is named."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import (
    find_record,
    find_results,
    load_record,
    load_records,
    record_file,
    schema,
)

ATTACK = "<img src=x onerror=alert(1)>"
DEEP = json.loads("[" * 500 + "]" * 500)


def test_one_record_is_found_whatever_its_data(tmp_path):
    path = make().save(tmp_path)
    assert find_record(tmp_path, "cpu", "B0", 10, 0) == path
    with pytest.raises(InputError, match="no record cpu/B0-K10-s1"):
        find_record(tmp_path, "cpu", "B0", 10, 1)
    make(data="other").save(tmp_path)
    with pytest.raises(InputError, match="2 data sets"):
        find_record(tmp_path, "cpu", "B0", 10, 0)
    assert find_record(tmp_path / "shapes", "cpu", "B0", 10, 0) == path
    for cell in ("*", "B?", "[AB]0", "/B0", ""):  # names, not patterns or paths
        with pytest.raises(InputError, match="no record"):
            find_record(tmp_path / "shapes", "cpu", cell, 10, 0)
    with pytest.raises(InputError, match="no such folder of records"):
        find_record(tmp_path / "nowhere", "cpu", "B0", 10, 0)
    with pytest.raises(InputError, match="num_subsets: expected 1 or more, got -1"):
        find_record(tmp_path, "cpu", "B0", -1, 0)
    with pytest.raises(InputError, match="seed: expected 0 or more, got -1"):
        find_record(tmp_path, "cpu", "B0", 10, -1)


def test_the_recorded_runs_of_the_source_tree_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_RESULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_results() == Path(schema.__file__).resolve().parents[2] / "results"


def test_round_trip(tmp_path):
    record = make(git_commit="abc", extra={"x": 1.0}, evaluations={"pooled": {"knn200": 0.5}})
    path = record.save(tmp_path, {"labels": np.arange(3)})
    assert path == record_file(tmp_path, "shapes", "cpu", "B0", 10, 0)
    assert path.name == "B0-K10-s0.json"
    loaded = load_record(path)
    assert loaded == record
    assert loaded.path == path
    np.testing.assert_array_equal(loaded.arrays()["labels"], np.arange(3))
    assert loaded.has_arrays()
    assert load_records(tmp_path) == load_records(path) == [record]


def test_embeddings_beside_the_record_join_its_arrays(tmp_path):
    path = make().save(tmp_path, {"labels": np.arange(2)})
    np.savez(path.with_suffix(".umap.npz"), embedding=np.zeros((2, 2)))
    assert set(load_record(path).arrays()) == {"labels", "embedding"}


def test_arrays_that_were_not_recorded(tmp_path):
    with pytest.raises(InputError, match="not loaded from a file"):
        make().arrays()
    with pytest.raises(InputError, match="--arrays"):
        load_record(make().save(tmp_path)).arrays()


def test_selection(tmp_path):
    for cell in ("B0", "S-P1"):
        for seed in (0, 1):
            make(cell, seed).save(tmp_path)
    assert len(load_records(tmp_path)) == 4
    assert [r.seed for r in load_records(tmp_path, cell="B0")] == [0, 1]
    assert len(load_records(tmp_path, cell=("B0", "S-P1"), seed=0)) == 2
    with pytest.raises(InputError, match="not a field"):
        load_records(tmp_path, colour="red")
    with pytest.raises(InputError, match="no such folder"):
        load_records(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": "0"}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": -1}, "seed"),
        ({"num_subsets": 0}, "num_subsets"),
        ({"cell": "../x"}, "cell"),
        ({"cell": ""}, "cell"),
        ({"cell": "a/b"}, "cell"),
        ({"data": ".hidden"}, "data"),
        ({"data": "<b>"}, "data"),
        ({"preset": "cpu\n"}, "preset"),
        ({"metrics": {"a": float("nan")}}, r"metrics\['a'\]"),
        ({"metrics": {"a": "1"}}, r"metrics\['a'\]"),
        ({"metrics": {"a": True}}, r"metrics\['a'\]"),
        ({"metrics": {"a": 1e308}}, r"metrics\['a'\]"),  # sums would overflow
        ({"metrics": {"a": 10**400}}, r"metrics\['a'\]"),
        ({"metrics": {"a\x1b": 1}}, "metrics: a name"),
        ({"metrics": []}, "metrics"),
        ({"extra": {"a": None}}, r"extra\['a'\]"),
        ({"evaluation": "\x1b[2J"}, "evaluation"),
        ({"evaluation": "<b>"}, "evaluation"),
        ({"evaluations": {"x": {"a": None}}}, r"evaluations\['x'\]\['a'\]"),
        ({"evaluations": {"x": 1}}, r"evaluations\['x'\]"),
        ({"evaluations": {"branch:best": {}}}, "evaluations: a name"),
        ({"device": "a\nb"}, "device"),
        ({"device": "AMD (0 threads)"}, "device"),
        ({"device": "AMD (100000 threads)"}, "device"),
        ({"device": f"AMD ({'9' * 20} threads)"}, "device"),
        ({"versions": {"torch": 2}}, r"versions\['torch'\]"),
        ({"versions": {"torch": "a\nb"}}, r"versions\['torch'\]"),
        ({"versions": ["2"]}, "versions"),
        ({"git_commit": "x" * 201}, "git_commit"),
        ({"train_seconds": "1"}, "train_seconds"),
        ({"hyperparameters": []}, "hyperparameters"),
        ({"hyperparameters": {"lr": float("nan")}}, r"hyperparameters\['lr'\]: .*finite"),
        ({"hyperparameters": {"a": DEEP}}, r"hyperparameters\['a'\]: expected at most 20 levels"),
        ({"hyperparameters": {"a": [{"b": "\ud800"}]}}, r"hyperparameters\['a'\]: .*surrogate"),
        ({"hyperparameters": {"a": {"\ud800": 1}}}, r"hyperparameters\['a'\]: a name: .*surrogate"),
        ({"hyperparameters": {"\ud800": 1}}, "hyperparameters: a name"),
        ({"cell": "\ud800"}, "cell"),
        ({"data": "\ud800"}, "data"),
        ({"device": "\ud800"}, "device"),
        ({"class_names": ["\ud800"]}, "class_names"),
        ({"metrics": {"\ud800": 1}}, "metrics: a name"),
        ({"loss_curve": [[1, 2, 3]]}, "loss_curve"),
        ({"loss_curve": [[0, None]]}, "loss_curve"),
        ({"loss_curve": [[0, 1.0]] * 201}, "loss_curve"),
        ({"loss_curve": "abc"}, "loss_curve"),
        ({"knn_curve": [[1, 2]]}, "knn_curve"),
        ({"class_names": "cat"}, "class_names"),
        ({"class_names": ["cat", 1]}, "class_names"),
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"data_hash": None}, "data_hash"),
    ],
)
def test_a_damaged_field_is_named_with_its_file(tmp_path, change, field):
    path = make().save(tmp_path)
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"{path.name}: {field}") as caught:
        load_records(tmp_path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", [{1}, b"x", [10**5_000], {"a": {1: 2}}, float("inf")])
def test_what_a_file_could_not_hold_is_refused_before_it_is_written(value):
    with pytest.raises(InputError, match=r"record: hyperparameters\['a'\]"):
        make(hyperparameters={"a": value})


def test_a_number_too_long_to_be_shown_is_refused_all_the_same():
    with pytest.raises(InputError, match=r"metrics\['a'\]: expected a finite number, got int"):
        make(metrics={"a": 10**5_000})


@pytest.mark.parametrize(
    ("device", "threads"),
    [("AMD (4 threads)", 4), ("x (1 thread)", 1), ("NVIDIA H200", None), ("cpu (０ threads)", None),
     (f"cpu ({'９' * 20} threads)", None), ("x (4 thread) (99999 threads)", 4)],
)  # fmt: skip
def test_the_threads_that_a_device_names(device, threads):
    assert make(device=device).threads == threads


@pytest.mark.parametrize(
    "name", ["图片 (1)", "archive (1)", "Ærø, été", "a'b", "résumé+lr=1", "ねこ"]
)
def test_names_in_any_script_are_kept_whole(tmp_path, name):
    path = make(data=name, class_names=[name, ATTACK]).save(tmp_path)
    assert path == tmp_path / name / "cpu" / "B0-K10-s0.json"
    (record,) = load_records(tmp_path)
    assert (record.data, record.class_names) == (name, [name, ATTACK])
    assert "class_names" not in json.loads(make().to_json())


def test_hidden_files_and_folders_are_nobodys_records(tmp_path):
    path = make().save(tmp_path)
    for hidden in (".ipynb_checkpoints/B0-K10-s0-checkpoint.json", ".vscode/settings.json"):
        for folder in (tmp_path, path.parent):
            (folder / hidden).parent.mkdir(exist_ok=True)
            (folder / hidden).write_text(path.read_text())
    assert len(load_records(tmp_path)) == 1
    assert find_record(tmp_path, "cpu", "B0", 10, 0) == path
    inside = tmp_path / ".hidden" / "results"
    make().save(inside)
    assert len(load_records(inside)) == 1  # asked for by name


def test_a_record_in_anothers_place_is_refused(tmp_path):
    path = make().save(tmp_path)
    other = path.with_name("B0-K10-s7.json")
    path.rename(other)
    with pytest.raises(InputError, match=r"B0-K10-s7\.json: cell, num_subsets, seed"):
        load_record(other)
    for field, folder in (("preset", "shapes/gpu"), ("data", "cifar10/cpu")):
        place = tmp_path / field / folder
        place.mkdir(parents=True)
        (place / path.name).write_text(make().to_json())
        with pytest.raises(InputError, match=rf"B0-K10-s0\.json: {field}"):
            load_records(tmp_path / field)


def test_nothing_of_an_older_run_stays_beside_a_new_record(tmp_path):
    arrays = {"labels": np.arange(3)}
    record = load_record(make().save(tmp_path, arrays))
    record.save_embedding({"embedding": np.zeros((3, 2))})
    assert set(record.arrays()) == {"labels", "embedding"}
    assert set(load_record(make(accuracy=0.3).save(tmp_path, arrays)).arrays()) == {"labels"}
    record.save_embedding({"embedding": np.zeros((3, 2))})
    assert not load_record(make(accuracy=0.4).save(tmp_path)).has_arrays()
    assert [path.suffix for path in record.path.parent.iterdir()] == [".json"]


@pytest.mark.parametrize("suffix", [".npz", ".umap.npz"])
def test_arrays_of_another_run_are_refused(tmp_path, suffix):
    ours, theirs = (
        load_record(make(accuracy=a).save(tmp_path / str(a), {"labels": np.arange(3)}))
        for a in (0.2, 0.3)
    )
    theirs.save_embedding({"embedding": np.zeros((3, 2))})
    ours.path.with_suffix(suffix).write_bytes(theirs.path.with_suffix(suffix).read_bytes())
    with pytest.raises(InputError, match=rf"{suffix}: belongs to another run"):
        ours.arrays()


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"cell": "B0"}', "\xff", "[" * 100_000, "1e999", '"x"']
)
def test_what_is_no_record_at_all(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"bad\.json"):
        load_record(path)


@pytest.mark.parametrize(("old", "key"), [('"seed": 0', "seed"), ('"lr": 1', "lr")])
def test_a_key_that_is_there_twice_is_named(tmp_path, old, key):
    path = make(hyperparameters={"lr": 1}).save(tmp_path)
    path.write_text(path.read_text().replace(old, f"{old}, {old}"))
    with pytest.raises(InputError, match=rf"B0-K10-s0\.json: '{key}' is there twice.*remove one"):
        load_record(path)


def test_a_mark_of_the_encoding_is_no_damage(tmp_path):
    path = make().save(tmp_path)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert load_records(tmp_path) == [make()]


def test_a_link_that_leads_nowhere_is_called_so(tmp_path):
    path = make().save(tmp_path)
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "gone.json")
    (tmp_path / "results").symlink_to(tmp_path / "gone")
    for place in (tmp_path, path, tmp_path / "results"):
        with pytest.raises(InputError, match=r"is a link whose target .*gone(\.json)? is gone"):
            load_records(place)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_the_records_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "B0-K10-s0.json")
    with pytest.raises(InputError, match=r"B0-K10-s0\.json: expected a file"):
        load_records(tmp_path)
