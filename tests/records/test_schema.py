"""records: what goes in comes out, and damage is named."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import make

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import (
    Summary,
    find_record,
    find_results,
    load_record,
    load_records,
    record_file,
    schema,
    summarize,
)


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
    ("change", "message"),
    [
        ({"seed": "0"}, "seed: expected int, got str"),
        ({"seed": True}, "seed: expected int, got bool"),
        ({"seed": -1}, "num_subsets and seed"),
        ({"num_subsets": 0}, "num_subsets and seed"),
        ({"cell": "../x"}, "cell: expected letters"),
        ({"cell": ""}, "cell: expected letters"),
        ({"metrics": {"a": float("nan")}}, r"metrics\['a'\]: expected a finite number"),
        ({"metrics": {"a": "1"}}, r"metrics\['a'\]"),
        ({"metrics": {"a": 1e308}}, r"metrics\['a'\]: expected a finite"),  # sums would overflow
        ({"evaluation": "\x1b[2J"}, "evaluation: expected at most 200 printable"),
        ({"device": "a\nb"}, "device: expected at most 200 printable"),
        ({"git_commit": "x" * 201}, "git_commit: expected at most 200 printable"),
        ({"metrics": {"a": 10**400}}, r"metrics\['a'\]"),
        ({"metrics": []}, "metrics: expected dict"),
        ({"evaluations": {"x": {"a": None}}}, "evaluations"),
        ({"loss_curve": [[1, 2, 3]]}, "loss_curve"),
        ({"loss_curve": [[0, None]]}, "loss_curve"),
        ({"loss_curve": [[0, 1.0]] * 201}, "at most 200"),
        ({"loss_curve": "abc"}, "loss_curve"),
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"data_hash": None}, "data_hash: expected str"),
    ],
)
def test_a_damaged_field_is_named_with_its_file(tmp_path, change, message):
    path = make().save(tmp_path)
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        load_records(tmp_path)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"cell": "B0"}', "\xff", "[" * 100_000, "1e999", '"x"']
)
def test_what_is_no_record_at_all(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"bad\.json"):
        load_record(path)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2_000), st.integers(0, 255))
def test_a_flipped_byte_never_gives_a_traceback(tmp_path_factory, position, byte):
    path = tmp_path_factory.mktemp("records") / "x.json"
    content = bytearray(make().to_json().encode())
    content[position % len(content)] = byte
    path.write_bytes(bytes(content))
    message = path.name  # a flip inside a number or a name may well leave a valid record
    try:
        load_record(path)
    except InputError as error:
        message = str(error)
    assert path.name in message


def test_summary_against_a_hand_computation():
    summary = Summary.of([1.0, 2.0, 3.0])
    # sd 1, n 3, t(0.975, 2) = 4.302653
    assert summary.mean == 2.0
    assert summary.interval == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert summary.n == 3
    assert str(Summary.of([0.5])) == "0.500 (n=1)"
    assert str(summary) == "2.000 ± 2.484 (n=3)"
    with pytest.raises(InputError, match="at least one"):
        Summary.of([])


def test_summarize_groups_by_cell_and_subsets():
    records = [make(seed=s, accuracy=0.1 * s) for s in range(3)] + [make("S-P1", accuracy=0.7)]
    found = summarize(records, "cluster_accuracy")
    assert set(found) == {("B0", 10), ("S-P1", 10)}
    assert found["B0", 10].mean == pytest.approx(0.1)
    assert found["S-P1", 10].interval is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make(seed=1, data_hash="f" * 64), "mix data_hash"),
        (make(seed=1, preset="gpu"), "mix preset"),
        (make(seed=1, evaluation="pooled"), "mix evaluation"),
        (make(seed=0), "two records of one seed"),
        (make(seed=1, metrics={"nmi": 0.1}), "no metric 'cluster_accuracy'"),
    ],
)
def test_summarize_never_averages_over_unlike_records(other, message):
    with pytest.raises(InputError, match=message):
        summarize([make(), other], "cluster_accuracy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_among_the_records_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "B0-K10-s0.json")
    with pytest.raises(InputError, match=r"B0-K10-s0\.json: expected a file"):
        load_records(tmp_path)
