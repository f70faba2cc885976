"""make_faults: FAULTS.md says what the reports say, and the reports say that nothing was lost."""

import json
import shutil

import make_faults
import pytest
from fuzz import FILES
from make_faults import HERE, NOT_RUN, load, page


def test_the_page_matches_the_reports():
    assert (HERE / "FAULTS.md").read_text(encoding="utf-8") == page(), "run tests/make_faults.py"


def test_the_reports_are_of_long_runs_in_which_nothing_was_lost():
    lost = {o["kind"]: o["lost"] for o in load("faults")["outcomes"]}
    assert len(lost) == 7
    assert not any(lost.values()), lost
    kills = [o["tried"] for o in load("faults")["outcomes"] if o["kind"] == "kill -9"]
    assert kills[0] >= 50
    for kind in ("fuzz", "atheris"):
        failed = [line for o in load(kind)["outcomes"] for line in o["failures"]]
        assert failed == []
        assert sum(o["cases"] for o in load(kind)["outcomes"]) >= 10_000
    assert [o["reader"] for o in load("fuzz")["outcomes"]] == list(FILES)


@pytest.fixture
def reports(tmp_path):
    def write(**content):
        for kind, report in content.items():
            (tmp_path / f"{kind}.json").write_text(json.dumps(report))
        return page(tmp_path)

    return write


def test_what_was_never_run_is_said_to_be_so(reports):
    assert reports().count(NOT_RUN) == 4


def test_a_loss_and_a_failure_are_shown_with_their_words(reports):
    about = {"command": "some command", "commit": "abc"}
    text = reports(
        faults={**about, "outcomes": [
            {"kind": "disk", "what": "full", "tried": 1_200, "lost": ["ENOSPC at write 3: gone"]}
        ]},
        fuzz={**about, "outcomes": [
            {"reader": "image", "cases": 9, "accepted": 2, "refused": 6, "failures": ["KeyError"]},
            {"reader": "record", "cases": 5, "accepted": 1, "refused": 4, "failures": []},
        ]},
    )  # fmt: skip
    assert "| disk | full | 1,200 | 1,199 | 1 |" in text
    assert "- lost, disk: ENOSPC at write 3: gone" in text
    assert "| all | 14 | 3 | 10 | 1 |" in text
    assert "- failed, image: `KeyError`" in text
    assert text.count("Repeat with `some command`. Shown: commit abc.") == 2


def test_mutants_are_counted_and_survivors_explained(reports):
    modules = [
        {"module": "kl", "mutants": 160, "tried": 4, "killed": 3, "survivors": [
            {"what": "line 9: a | b -> a", "why": "both are zero"}
        ]},
        {"module": "ntxent", "mutants": 40, "tried": 4, "killed": 4, "survivors": []},
    ]  # fmt: skip
    text = reports(mutants={"command": "c", "commit": "d", "modules": modules})
    assert "| kl | 160 | 4 | 3 | 75% |" in text
    assert "| all | 200 | 8 | 7 | 88% |" in text
    assert "- kl, `line 9: a | b -> a`: both are zero" in text


def test_a_report_keeps_its_command_and_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(make_faults, "_commit", lambda: "abc")
    make_faults.store("fuzz", [], tmp_path)
    found = load("fuzz", tmp_path)
    assert (found["command"], found["commit"]) == (make_faults.COMMANDS["fuzz"], "abc")


def test_every_command_starts_a_script_that_is_there():
    for command in make_faults.COMMANDS.values():
        assert (HERE.parent / command.split()[2]).is_file()
    assert shutil.which("git"), "store() asks git for the commit"
