"""cli: every command works, and bad input is one line and exit status 2."""

import errno
import os
import re
import subprocess
import sys
from dataclasses import replace

import images
import pytest
from recorded import make
from tiny import TINY

from contrastive_tutorial import cli, study
from contrastive_tutorial.cli import commands
from contrastive_tutorial.errors import InputError, MissingExtraError
from contrastive_tutorial.records import find_results, load_records
from contrastive_tutorial.study.cells import CELLS, PRESETS
from contrastive_tutorial.verdicts import load_hypotheses


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    sizes = {"train": 600, "val": 60, "test": 200}
    monkeypatch.setattr("contrastive_tutorial.data.shapes.SIZES", sizes)
    monkeypatch.setitem(PRESETS, "tiny", TINY)


def call(*arguments, folder=None):
    options = ["--results", str(folder)] if folder else []
    return cli.main([*map(str, arguments), *options])


def test_study_then_report(tmp_path, capsys):
    command = ["study", "--cells", "S-P1", "--seeds", "0-1", "--preset", "tiny"]
    assert call(*command, "--dry-run", folder=tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 runs, 2 of them not recorded yet", "S-P1 K=10 seed 0", "S-P1 K=10 seed 1",
    ]  # fmt: skip
    assert call(*command, "--quiet", "--no-arrays", "--budget", "10m", folder=tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 runs left"
    assert call("report", "--markdown", folder=tmp_path) == 0
    report = capsys.readouterr().out
    assert report.count("| S-P1 | 10 | 2 | branch:0 |") == 1


def test_norms_then_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(study.Trial.__init__, "__defaults__", (128, None))
    command = ["norms", "--norms", "bn", "split", "--conditions", "shifted", "--batch-sizes", "64"]
    command += ["--seeds", "0"]
    assert call(*command, "--dry-run", folder=tmp_path) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "2 runs, 2 of them not recorded yet",
        "bn-shifted-b64 K=4 seed 0",
        "split-shifted-b64 K=4 seed 0",
    ]  # fmt: skip
    assert call(*command, "--quiet", "--budget", "10m", folder=tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 runs left"
    assert call("report", folder=tmp_path) == 0
    report = capsys.readouterr().out
    assert "shapes, preset norm" in report
    assert "test acc." in report
    assert "cluster acc." not in report


def test_report_orders_cells_and_shows_intervals(tmp_path, capsys):
    for seed, accuracy in enumerate((0.1, 0.2, 0.3)):
        make("S-P1", seed, accuracy=accuracy).save(tmp_path)
        make("B0", seed, accuracy=accuracy).save(tmp_path)
    assert call("report", folder=tmp_path) == 0
    table, _, verdicts = capsys.readouterr().out.partition("The first study")
    assert "nothing is decided: S-P1: headline metrics were recorded under 'running'" in verdicts
    lines = [line for line in table.splitlines() if " 10 " in line]
    assert [line.split()[0] for line in lines] == ["B0", "S-P1"]
    # t(0.975, 2) * 0.1 / sqrt(3) = 0.248
    assert "0.200 ± 0.248" in lines[0]


def test_report_lists_what_is_recorded_if_nothing_matches(tmp_path, capsys):
    make().save(tmp_path)
    make(preset="gpu", data="other").save(tmp_path)
    for options, words in (
        (["--preset", "nope"], "no records match preset 'nope'; recorded are cpu, gpu"),
        (["--data", "nope"], "no records match data 'nope'; recorded are other, shapes"),
        (["--data", "other", "--preset", "cpu"], "match preset 'cpu'; recorded are gpu"),
    ):
        assert call("report", *options, folder=tmp_path) == 2
        assert capsys.readouterr().err.endswith(f"{words}\n")


def test_report_prints_the_verdicts_of_the_studies_whose_preset_is_there(capsys):
    assert call("report", "--preset", "cpu-long", folder=find_results()) == 0
    second = capsys.readouterr().out
    for hypothesis in load_hypotheses("second-study"):
        assert f"- {hypothesis.id} {hypothesis.title}: " in second
    assert "- Gate: passed" in second
    assert "\\" not in second  # Markdown escapes are for Markdown
    assert "- H1 " not in second
    assert call("report", "--preset", "cpu", "--markdown", folder=find_results()) == 0
    first = capsys.readouterr().out
    assert "**H16 " in first
    assert "**HA6 " in first
    assert "**HB1 " not in first


def test_report_names_hypotheses_that_wait_for_all_their_runs_in_one_line(tmp_path, capsys):
    make("B0", 0).save(tmp_path)
    assert call("report", folder=tmp_path) == 0
    waiting = [line for line in capsys.readouterr().out.splitlines() if "waiting" in line]
    for line, registered in zip(waiting, ("hypotheses", "amendment-a"), strict=True):
        named = line.partition(": ")[2].split(", ")
        assert named == [hypothesis.id for hypothesis in load_hypotheses(registered)]


def test_doctor_reports_and_succeeds_whatever_is_missing(tmp_path, capsys):
    assert call("doctor", "--dev", folder=tmp_path / "nowhere") == 0
    out = capsys.readouterr().out
    for topic in ("package", "device", "data", "book", "tests"):
        assert f"\n{topic}\n" in f"\n{out}"
    assert "0 recorded runs" in out
    assert not (tmp_path / "nowhere").exists()


def test_cells_lists_every_cell_and_preset(capsys):
    call("cells")
    out = capsys.readouterr().out
    for name in [*CELLS, *PRESETS]:
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "B9"], "unknown cell 'B9'"),
        (["run", "s-p1"], "did you mean 'S-P1'?"),
        (["run", "B0", "--preset", "cpuu"], "did you mean 'cpu'?"),
        (["run", "B0", "--preset", "huge"], "unknown preset 'huge'"),
        (["run", "S-P1", "--preset", "tiny", "--subsets", "7"], "K = 7"),
        (["run", "S-P1", "--preset", "tiny", "--subsets", "100000"], "num_subsets|K ="),
        (["run", "B0", "--data", "no/such/place"], "no/such/place"),
        (["run", "B0", "--preset", "tiny", "--device", "cuda:99"], "not there"),
        (["run", "B0", "--preset", "tiny", "--seed", "-1"], "seed"),
        (["study", "--cells", "B9"], "unknown cell"),
        (["study", "--seeds", "x"], "expected numbers"),
        (["study", "--seeds", "5-2"], "rising range"),
        (["study", "--seeds", "9" * 5_000], "expected numbers"),
        (["study", "--shard", f"0/{'9' * 5_000}"], "--shard: expected I/N"),
        (["reproduce", "B0", "--subsets", "-1"], "num_subsets: expected 1 or more, got -1"),
        (["reproduce", "B0", "--seed", "-1"], "seed: expected 0 or more, got -1"),
        (["study", "--budget", "soon"], "budget"),
        (["study", "--shard", "2/2"], "--shard"),
        (["norms", "--norms", "layer"], "norm: expected one of bn"),
        (["norms", "--conditions", "odd"], "condition: expected one of"),
        (["norms", "--batch-sizes", "6"], "batch_size: expected a multiple of the 4 subsets"),
        (["norms", "--batch-sizes", "4096"], "one batch of 4096, got 200"),
        (["study", "--cells", ""], "cells: expected a value"),
        (["study", "--cells", "B0", ","], "cells: expected a value, got ','"),
        (["study", "--budget", ""], "budget: expected a value"),
        (["study", "--preset", "tiny", "--seeds", "0,5000000000"], "seed: expected 0 to"),
        (["norms", "--conditions", " "], "conditions: expected a value"),
        (["report", "--data", ""], "data: expected a value"),
        (["report"], "no records match"),
        (["embed"], "no recorded features"),
        (["data", "no/such/place"], "no/such/place"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, tmp_path, capsys):
    folder = tmp_path if arguments[0] != "data" else None
    assert call(*arguments, folder=folder) == 2
    captured = capsys.readouterr()
    assert re.search(message, captured.err)
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("contrastive-tutorial: ")
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in left if path.parent.name != ".locks"] == []


def test_a_damaged_record_is_named(tmp_path, capsys):
    path = make().save(tmp_path)
    path.write_text("{")
    assert call("report", folder=tmp_path) == 2
    assert path.name in capsys.readouterr().err
    assert call("report", folder=tmp_path / "nowhere") == 2


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "the same command continues"),
        (MemoryError(), 2, "out of memory"),
        (RuntimeError("CUDA error: out of memory"), 2, "out of memory"),
        (OSError(errno.EMFILE, "Too many open files", "late.py"), 2, "Too many open files.*ulimit"),
        (MissingExtraError("pip install 'contrastive-tutorial[study]'"), 2, "tutorial.study"),
        (ZeroDivisionError(), None, ""),  # a defect keeps its traceback
        (RuntimeError(), None, ""),
        (FileNotFoundError(2, "x", "y"), None, ""),
    ],
)
def test_what_goes_wrong_has_its_own_words(error, status, words, monkeypatch, capsys):
    def command(_options):
        raise error

    monkeypatch.setitem(commands._COMMANDS, "cells", command)
    if status is None:
        with pytest.raises(type(error)):
            call("cells")
        return
    assert call("cells") == status
    (line,) = capsys.readouterr().err.split("\n", status == 130)[-1].splitlines()
    assert re.search(words, line)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_one_line():
    command = [sys.executable, "-m", "contrastive_tutorial", "cells"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "contrastive-tutorial: the output cannot be written (No space left on device)\n"
    )


@pytest.mark.parametrize(("arguments", "status"), [(["cells"], 0), (["run", "nope"], 2)])
def test_a_program_without_any_output_still_works(monkeypatch, arguments, status):
    """As cron jobs and programs without a terminal start it: Python then has None for a stream."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(arguments) == status


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m contrastive_tutorial cells; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.stderr == "0\n"


def test_reproduce_compares_and_sets_the_exit_status(tmp_path, capsys, monkeypatch):
    from contrastive_tutorial.study import reproduction

    for seed, accuracy in ((0, 0.2), (1, 0.3)):
        make(seed=seed, accuracy=accuracy).save(tmp_path)

    def rerun(path, images, device, progress):
        family = reproduction.load_records(path.parent)
        found = make(seed=0, accuracy=outcomes.pop(0))
        return reproduction.compare(reproduction.load_record(path), found, family)

    monkeypatch.setattr(study, "reproduce", rerun)
    command = ["reproduce", "B0", "--results", str(tmp_path), "--data", "x"]
    outcomes = [0.2, 0.25, 0.9]
    assert [cli.main(command) for _ in range(3)] == [0, 0, 1]
    assert "OUTSIDE" in capsys.readouterr().out
    assert cli.main([*command, "--seed", "7"]) == 2
    assert "no record" in capsys.readouterr().err


def test_numbers():
    assert commands._numbers(["0-2,5", "1"]) == [0, 1, 2, 5]
    for text in ("", "a", "1-", "-1", "0-99999999999"):
        with pytest.raises(InputError):
            commands._numbers([text])


@pytest.mark.parametrize(
    ("command", "parts"),
    [([], list(commands._COMMANDS)), *([[name], ["--results"]] for name in ("run", "report"))],
)
def test_help_is_complete(command, parts, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([*command, "--help"])
    text = capsys.readouterr().out
    assert [part for part in parts if part not in text] == []


def test_a_list_takes_commas_spaces_or_both(tmp_path, capsys):
    lists = (["B0,S-P1", "M-P1"], ["B0", "S-P1", "M-P1"], ["B0, S-P1,M-P1"],
             ["B0", "--cells", "S-P1", "--cells", "M-P1"])  # fmt: skip
    for cells in lists:
        command = ["study", "--cells", *cells, "--seeds", "0", "--preset", "tiny", "--dry-run"]
        assert cli.main([*command, "--subsets", "5", "--results", str(tmp_path)]) == 0
        assert re.findall(r"^([\w-]+) K=5 seed 0$", capsys.readouterr().out, re.M) == [
            "B0", "S-P1", "M-P1",
        ]  # fmt: skip


def test_a_share_of_a_study_counts_and_lists_its_own_runs(tmp_path, capsys):
    command = ["study", "--cells", "B0,S-P1,M-P1", "--seeds", "0", "--subsets", "5", "--missing",
               "--dry-run"]  # fmt: skip
    assert call(*command, "--preset", "tiny", "--shard", "1/2", folder=tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 runs, 1 of them not recorded yet", "S-P1 K=5 seed 0",
    ]  # fmt: skip


def test_data_says_what_was_understood(capsys):
    assert cli.main(["data", "shapes"]) == 0
    out = capsys.readouterr().out
    assert "shapes test: 200 images of 32 x 32 pixels" in out
    assert re.search(r"10 classes: circle \d+, ring \d+", out)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_cannot_write_a_name_still_gets_its_line(encoding, tmp_path):
    command = [sys.executable, "-m", "contrastive_tutorial", "data", str(tmp_path / "图片")]
    done = subprocess.run(
        command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}, check=False
    )
    assert done.returncode == 2
    assert rb"\u56fe\u7247" in done.stderr
    assert b"Traceback" not in done.stderr


def test_audit_names_layers_and_bad_targets(capsys):
    assert cli.main(["audit", "torchvision.models:resnet18", "--batch-size", "10"]) == 0
    out = capsys.readouterr().out
    assert "layer1.0.bn1" in out
    assert "BatchNorm2d" in out
    for target in ("resnet18", "no.such.module:f", "torchvision.models:nothing", "os:getcwd"):
        assert cli.main(["audit", target]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_run_with_sugar_for_the_preset_gives_its_canonical_name_then_report(tmp_path, capsys):
    command = ["run", "B0", "--preset", "tiny", "--quiet", "--subsets", "5"]
    sugar = ["--epochs", "0.2", "--lr", "0.002", "--batch-size", "30", "--keep-weights"]
    assert call(*command, *sugar, folder=tmp_path) == 0
    assert re.search(r"^B0 K=5 seed 0: cluster acc\. .*\nrecord: ", capsys.readouterr().out, re.M)
    (record,) = tmp_path.rglob("*.json")
    # 600 training images, a fifth of an epoch in batches of 30: four steps
    assert record.parent.name == "tiny+batch_size=30+lr=0.002+steps=4"
    record.with_suffix(".safetensors").unlink()
    assert call(*command, *sugar, folder=tmp_path) == 0  # it is there, and is not run again
    out = capsys.readouterr().out
    assert "already recorded: " in out
    assert "no weights were kept" in out
    for epochs in ("0", "inf", "nan"):
        assert call(*command, "--epochs", epochs, folder=tmp_path) == 2
        assert "--epochs" in capsys.readouterr().err
    again = ["reproduce", "B0", "--preset", "tiny", "--subsets", "5", "--lr", "5"]
    assert call(*again, folder=tmp_path) == 2  # the changed preset is looked for
    assert "tiny+lr=5.0" in capsys.readouterr().err
    changes = "tiny+steps=4+lr=2e-3+batch_size=30"  # in another order, and another form
    assert call("report", "--preset", changes, folder=tmp_path) == 0
    assert f"shapes, preset {record.parent.name}" in capsys.readouterr().out
    assert call("reproduce", "B0", "--preset", changes, "--seed", "7", folder=tmp_path) == 2
    assert "tiny+batch_size=30+lr=0.002+steps=4" in capsys.readouterr().err
    assert call("run", "B0", "--preset", "tiny+steps=2", "--lr", "1", folder=tmp_path) == 2
    assert "--preset" in capsys.readouterr().err


def test_what_was_left_out_is_said_in_one_line(tmp_path, capsys):
    path = images.write(tmp_path / "my photos", [*images.files(6), ("labels.csv", b"x")])
    assert call("data", path) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "1 .csv" in line and "note: my photos" in line] == lines


def test_broken_images_are_left_out_on_request_and_the_record_counts_them(tmp_path, capsys):
    files = [*images.files(110), ("cat/x.png", b"\x89PNG broken"), ("dog/y.jpg", b"")]
    path = images.write(tmp_path / "pets.zip", files)
    command = ["run", "pca", "--subsets", "2", "--preset", "tiny", "--quiet", "--data", path]
    assert call(*command, folder=tmp_path / "results") == 2
    assert "--skip-broken" in capsys.readouterr().err
    assert call(*command, "--skip-broken", folder=tmp_path / "results") == 0
    (note,) = (line for line in capsys.readouterr().err.splitlines() if "left out" in line)
    assert "2 images" in note
    assert "cat/x.png" in note
    assert "dog/y.jpg" in note
    (record,) = load_records(tmp_path / "results")
    assert record.hyperparameters["skipped_images"] == 2
    # the whole set under the same name is not mixed with it
    images.write(path, [*images.files(110), ("cat/x.png", images.encoded(images.pixels(5)))])
    assert call(*command, folder=tmp_path / "results") == 2
    assert "was recorded on other images" in capsys.readouterr().err


def test_images_of_another_size_go_all_the_way(tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    for split, count in (("train", 120), ("test", 12)):
        pictures = [images.encoded(images.pixels(i, 50, 70)) for i in range(count)]
        for name in "ab":
            content = [(f"{split}/{name}/{i}.png", it) for i, it in enumerate(pictures)]
            images.write(folder, content)
    monkeypatch.setitem(PRESETS, "tiny", replace(TINY, bank=200, menu_bank=200))
    command = ["run", "S-P1", "--subsets", "2", "--preset", "tiny", "--quiet", "--size", "48"]
    assert call(*command, "--data", folder, folder=tmp_path / "results") == 0
    (record,) = (tmp_path / "results").rglob("*.json")
    assert "photos" in record.parts
