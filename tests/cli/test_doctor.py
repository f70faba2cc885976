"""doctor: it names what is there and what is missing, and never fails itself."""

import shutil
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from recorded import make

import contrastive_tutorial as ct
from contrastive_tutorial.cli import doctor
from contrastive_tutorial.cli.doctor import Finding, examine, report, unmet
from contrastive_tutorial.errors import InputError


def lines(topic, results="results"):
    return [finding for finding in examine(results, dev=True) if finding.topic == topic]


def texts(topic, results="results"):
    return " | ".join(f"{finding.text} {finding.remedy}" for finding in lines(topic, results))


def test_the_packages_own_folder_is_named(tmp_path):
    assert lines("package", tmp_path)[0].text.endswith(str(Path(ct.__file__).parent))


@pytest.fixture
def requires(monkeypatch):
    def given(*listed):
        monkeypatch.setattr(doctor.metadata, "requires", lambda _name: list(listed))

    return given


def test_every_topic_is_looked_at_and_states_are_known(tmp_path):
    found = examine(tmp_path, dev=True)
    assert [f.topic for f in found] == sorted(
        (f.topic for f in found), key=list(doctor._TOPICS).index
    )
    assert {f.topic for f in found} == set(doctor._TOPICS)
    assert {f.state for f in found} <= {"ok", "note", "missing"}
    assert all(f.text and "\n" not in f.text for f in found)
    assert list(tmp_path.iterdir()) == []
    assert {f.topic for f in examine()} == set(doctor._TOPICS) - {"book", "tests"}
    assert unmet() == []


def test_installed_packages_are_counted_by_extra(requires):
    requires(
        "numpy>=1.26",
        "numpy>=999",
        "surely-no-such-package>=1.0",
        "torch",
        'also-no-such-package>=2,<3; extra == "book"',
        "yet-another; extra == 'test'",
        'contrastive-tutorial[book,test]; extra == "all"',
    )
    assert unmet() == [
        f"numpy>=999 (installed: {metadata.version('numpy')})",
        "surely-no-such-package>=1.0 (not installed)",
    ]
    assert unmet("book") == ["also-no-such-package>=2,<3 (not installed)"]
    assert unmet("test") == ["yet-another (not installed)"]
    assert unmet("all") == unmet("book") + unmet("test")
    assert "pip install 'contrastive-tutorial[book]'" in texts("book")
    assert "surely-no-such-package" in texts("package")


def test_a_package_that_was_never_installed_is_said_and_not_raised(monkeypatch):
    def absent(_name):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(doctor.metadata, "requires", absent)
    with pytest.raises(InputError, match="is not installed"):
        unmet()
    assert "pip install -e ." in texts("book")


def test_a_library_that_fails_to_import_hides_nothing_else(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [n for n in sys.modules if n.startswith("contrastive_tutorial.train")]:
        monkeypatch.delitem(sys.modules, name)
    assert "could not be examined (ModuleNotFoundError" in texts("device")
    assert lines("package")


def test_without_packaging_versions_are_not_compared(requires, monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging", None)
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    requires("numpy>=999", "surely-no-such-package")
    assert unmet() == ["surely-no-such-package (not installed)"]


@pytest.mark.parametrize(
    ("available", "driver", "built", "message"),
    [
        (False, None, None, "no NVIDIA GPU was found"),
        (False, "/usr/bin/nvidia-smi", None, "built for the CPU alone"),
        (False, "/usr/bin/nvidia-smi", "13.0", "finds no usable GPU run nvidia-smi"),
        (True, "/usr/bin/nvidia-smi", "13.0", "cuda:0: Fast 1, 2 GiB"),
    ],
)
def test_gpus(monkeypatch, available, driver, built, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Fast 1")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    properties = SimpleNamespace(total_memory=2 << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: properties)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(shutil, "which", lambda _name: driver)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    assert message in texts("device")


def test_cifar10_is_looked_for_where_it_would_be_used(tmp_path, monkeypatch):
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_CIFAR10", raising=False)
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_CACHE", str(tmp_path))
    assert "not here yet" in texts("data")
    (tmp_path / "cifar-10-python.tar.gz").touch()
    assert f"downloaded into {tmp_path}" in texts("data")
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_CIFAR10", str(tmp_path))
    assert "as CONTRASTIVE_TUTORIAL_CIFAR10 says" in texts("data")
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_CIFAR10", str(tmp_path / "gone"))
    assert "which is not there" in texts("data")


def test_records_are_counted_and_folders_tried_without_writing(tmp_path):
    make().save(tmp_path)
    assert "1 recorded runs" in texts("data", tmp_path)
    assert "0 recorded runs" in texts("data", tmp_path / "new" / "folder")
    assert "can be written" in texts("data", tmp_path / "new" / "folder")
    (tmp_path / "file").touch()
    assert "cannot be written choose another" in texts("data", tmp_path / "file" / "below")


def test_colab_without_a_gpu(monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-x")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "has no GPU Runtime -> Change runtime type" in texts("device")


def test_tools_of_the_system(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert "make" in texts("book")
    assert "Chromium" in texts("tests")


def test_the_report_counts_what_is_missing():
    assert report([Finding("book", "ok", "fine")]) == "book\n  ok  fine\n\nnothing is missing"
    text = report([Finding("gpu", "missing", "none", "buy one"), Finding("gpu", "note", "well")])
    assert text == "gpu\n  !!  none\n      buy one\n  --  well\n\n1 missing"
