"""presets: the registered ones stay what they are, and a name may carry changes."""

from dataclasses import asdict

import pytest
import torch
from images import files, write_folder
from tiny import run

from contrastive_tutorial import data
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study.experiment import Experiment
from contrastive_tutorial.train.presets import PRESETS, Preset, changed, preset

# What the records in results/ were made with. A new field must leave these values alone.
CPU = {
    "name": "cpu", "encoder": "two_conv_strided", "steps": 300, "batch_size": 500, "lr": 1e-3,
    "optimizer": "adam", "weight_decay": 1e-4, "warmup": 0.0, "temperature": 0.5, "bank": None,
    "kmeans_restarts": 5, "menu_bank": 4_000, "checkpoint_every": 100,
}  # fmt: skip
LIVE = CPU | {
    "name": "live", "steps": 60, "batch_size": 200, "lr": 2e-3, "bank": 4_000, "menu_bank": 2_000,
}  # fmt: skip


@pytest.mark.parametrize("expected", [CPU, LIVE], ids=["cpu", "live"])
def test_recorded_presets_keep_their_values_and_use_no_new_option(expected):
    found = asdict(PRESETS[expected["name"]])
    del found["summary"]
    options = {"passes": 1, "grayscale": None, "knn_every": 0, "compile": "no"}
    options |= {"headline": "", "measured": 0, "precision": ""}
    assert found == expected | options


@pytest.mark.parametrize(("epochs", "lr"), [(100, 0.12), (200, 0.12), (500, 0.06)])
def test_the_resnet_presets_follow_the_published_recipe(epochs, lr):
    found = PRESETS[f"resnet-{epochs}"]
    assert found.steps == epochs * (45_000 // 512)
    assert (found.batch_size, found.lr, found.optimizer, found.weight_decay) == (
        512, lr, "sgd", 5e-4,
    )  # fmt: skip
    assert (found.temperature, found.warmup, found.grayscale, found.passes) == (0.5, 0.0, 0.1, 2)
    assert found.steps % found.knn_every == 0
    assert found.bank is None


def test_a_name_carries_changes():
    found = preset("resnet-100+batch_size=64+steps=3+grayscale=none+lr=1e-3+compile=no")
    assert found.name == "resnet-100+batch_size=64+compile=no+grayscale=none+lr=0.001+steps=3"
    assert (found.batch_size, found.steps, found.grayscale, found.lr) == (64, 3, None, 1e-3)
    assert found.weight_decay == PRESETS["resnet-100"].weight_decay


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("huge", "unknown preset 'huge'"),
        ("huge+steps=3", "unknown preset 'huge'"),
        ("cpu+depth=3", r"expected changes such as \+batch_size=256, got \+depth=3"),
        ("cpu+steps", r"got \+steps"),
        ("cpu+name=x", r"got \+name=x"),
        ("cpu+steps=many", "steps: expected int, got 'many'"),
        ("cpu+passes=3", r"passes: expected one of \(1, 2\), got 3"),
        ("cpu+grayscale=2", "grayscale: expected a probability"),
        ("cpu+compile=fast", "compile: expected one of"),
        ("cpu+knn_every=-1", "knn_every"),
        ("cpu+headline=running", "headline: expected one of"),
        ("cpu+measured=-1", "measured"),
        ("cpu+bank=-5", "bank: expected at least 1, got -5"),
        ("cpu+menu_bank=0", "menu_bank: expected at least 1"),
        ("cpu+kmeans_restarts=0", "kmeans_restarts: expected at least 1"),
        ("cpu+temperature=nan", "temperature: expected a positive number, got nan"),
        ("cpu+temperature=0", "temperature: expected a positive number"),
        ("cpu+lr=inf", "lr: expected a positive number, got inf"),
        ("cpu+weight_decay=nan", "weight_decay: expected 0 or more"),
        ("cpu+warmup=2", "warmup: expected a fraction of the run from 0 to 1, got 2"),
        ("cpu+steps=99999999999999999999", "steps: expected 0 to 1,000,000,000"),
        ("cpu+steps=-1", "steps: expected 0 to"),
        ("cpu+batch_size=1", "batch_size: expected at least 2, got 1"),
        ("cpu+optimizer=lion", "optimizer: expected one of"),
        ("cpu+encoder=../../../escaped", r"encoder: expected one of \('two_conv', 't"),
        ("cpu+steps=2+steps=3", r"each field once, got \+steps=3"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(InputError, match=message):
        preset(name)


@pytest.mark.parametrize("value", [2.7, float("inf"), float("nan")])
def test_a_part_of_a_step_is_refused_and_not_cut_off(value):
    with pytest.raises(InputError, match=f"steps: expected int, got {value}"):
        changed("cpu", steps=value)
    assert changed("cpu", steps=2.0).name == "cpu+steps=2"


@pytest.mark.parametrize(
    "name",
    [
        "cpu+batch_size=250+lr=2e-3",
        "cpu+lr=0.0020+batch_size=250",
        "cpu+batch_size=250+lr=.002+steps=300",
    ],
)
def test_what_says_the_same_has_one_name(name):
    assert preset(name) == changed("cpu", lr="0.002", batch_size=250)
    assert preset(name).name == "cpu+batch_size=250+lr=0.002"
    assert preset(preset(name).name) == preset(name)
    assert preset("cpu+steps=300") == PRESETS["cpu"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a b", "a\\b"])
def test_a_name_that_cannot_be_a_folder_is_no_preset(name):
    with pytest.raises(InputError, match="preset: expected a name of letters"):
        Preset(name, "two_conv", steps=1)


def test_every_preset_says_what_it_is():
    assert all(isinstance(p, Preset) and p.summary for p in PRESETS.values())
    assert list(PRESETS) == [p.name for p in PRESETS.values()]


def test_the_command_for_a_gpu_works_in_small(tmp_path):
    """The recipe from images to a record, with its curve of accuracy against training time."""
    pictures = write_folder(
        tmp_path / "pictures", files(120, top="train/") + files(15, top="test/")
    )
    name = (
        "resnet-100+bank=210+batch_size=8+encoder=two_conv_strided+kmeans_restarts=1+knn_every=2"
        "+menu_bank=210+steps=3"
    )
    record = run("B0", pictures, name, 0, 2, tmp_path, "cpu", arrays=False)
    assert record.preset == name
    assert record.path.parent.name == name
    assert [step for step, _, _ in record.knn_curve] == [2, 3]
    seconds = [s for _, s, _ in record.knn_curve]
    assert 0 < seconds[0] < seconds[1] <= record.train_seconds + 0.01
    assert all(0 <= accuracy <= 1 for _, _, accuracy in record.knn_curve)
    assert record.hyperparameters["preset"]["passes"] == 2
    assert record.hyperparameters["cell"]["grayscale"] == 0.1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_step_waits_for_the_gpu():
    sizes = {"train": 400, "val": 40, "test": 40}
    images = tuple(data.load("shapes", s, "cuda", num_images=n) for s, n in sizes.items())
    experiment = Experiment("B0", images, preset("resnet-100+batch_size=32+compile=no"))
    generator = torch.Generator("cuda").manual_seed(0)
    experiment.loss(0, generator).backward()  # tables and kernels are made once
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(1, 4):
            experiment.loss(step, generator).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_precision_is_the_presets_or_the_devices():
    cpu = torch.device("cpu")
    assert not preset("live").bf16(cpu)
    assert preset("live+precision=bfloat16").bf16(cpu)
    assert not preset("live+precision=float32").bf16(torch.device("cuda"))
    with pytest.raises(InputError, match=r"precision: expected one of .*float16"):
        preset("live+precision=float16")
