"""memory: the need is what autograd keeps, and what does not fit is refused with what would."""

import os
import platform
import subprocess
import sys
import weakref
from dataclasses import replace

import pytest
import torch
from tiny import files_in
from torch import nn

from contrastive_tutorial import cli
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.study.cells import PRESETS
from contrastive_tutorial.study.experiment import Experiment
from contrastive_tutorial.train import encoders, memory
from contrastive_tutorial.train.memory import Need

CPU = torch.device("cpu")


def printed(script, of_the_user):
    """What a process of its own prints, with these settings of the allocator and no others."""
    environment = {k: v for k, v in os.environ.items() if k not in memory._OF_THE_USER}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment | of_the_user, capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip


FAULTS = """
import resource, sys, torch
from contrastive_tutorial.train.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [torch.ones(2**21) for _ in range(8)]  # 64 MiB, all freed together
    del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(keep_freed_memory(), min(faults() for _ in range(4)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator alone is told")
@pytest.mark.parametrize("of_the_user", [{}, {"MALLOC_TRIM_THRESHOLD_": "131072"}])
def test_freed_memory_is_used_again_unless_the_user_has_other_wishes(of_the_user):
    kept, faults = printed(FAULTS, of_the_user).split()
    assert kept == str(not of_the_user)
    assert (int(faults) < 100) == (not of_the_user)


RESIDENT = """
import torch
from contrastive_tutorial.train.memory import give_back_freed_memory, keep_freed_memory

def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20

keep_freed_memory()
kept = [torch.ones(2**18) for _ in range(200)]  # 200 MiB
last = torch.ones(2**18)  # behind them, so the end of the heap does not shrink by itself
del kept
before = megabytes()
give_back_freed_memory()
print(before - megabytes())
"""


OWN = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or platform.system() != "Linux", reason="glibc's allocator"
)
@pytest.mark.parametrize("own", [{}, OWN])
def test_freed_memory_goes_back_unless_the_user_has_set_the_allocator(own):
    given_back = int(printed(RESIDENT, own))
    assert given_back > 150 if not own else given_back < 50


LATER = (
    RESIDENT.partition("kept =")[0]
    + """
give_back_freed_memory()
later = [torch.ones(2**21) for _ in range(25)]  # 200 MiB, in larger pieces
behind = torch.ones(2**21)
before = megabytes()
del later
print(before - megabytes())
"""
)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or platform.system() != "Linux", reason="glibc's allocator"
)
def test_what_comes_after_training_keeps_no_large_buffers():
    assert int(printed(LATER, {})) > 150


def test_elsewhere_the_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed_memory()
    memory.give_back_freed_memory()


def test_the_need_of_a_known_network():
    # A convolution keeps its input; ReLU keeps its output, which the pooling mean does not.
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    need = memory.measure(model, 6)
    image, activation = 3 * 32 * 32 * 4, 4 * 32 * 32 * 4
    assert need.per_image == pytest.approx(2 * (image + activation))
    assert need.fixed == 12 * 4 * 4  # weights, gradients, two moments


def test_the_need_grows_with_the_batch_and_fitting_inverts_it():
    need = Need(fixed=10_000_000, per_image=1e6)
    for batch in (2, 100, 1000):
        assert need.fitting(need.of(batch)) == batch
    assert need.fitting(need.of(105), multiple=10) == 100
    assert need.fitting(1e6) == 0


def test_measuring_leaves_no_trace():
    model = encoders.seeded(0, "two_conv_strided")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    memory.measure(model, 4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", ["two_conv_strided", "resnet18"])
def test_the_estimate_scales_from_few_images_to_many(name, bf16):
    model = encoders.seeded(0, name)
    few, many = (memory.measure(model, n, bf16=bf16, size=16) for n in (2, 6))
    assert few.per_image == pytest.approx(many.per_image, rel=0.02)
    # Autocast copies the weights: that is no part of an image.
    assert few.fixed == pytest.approx(many.fixed, rel=0.02)
    each = 18 if bf16 else 16
    count = sum(p.numel() for p in model.parameters())
    assert few.fixed == pytest.approx(each * count, rel=0.1)


def test_what_does_not_fit_is_refused_with_the_batch_that_does(monkeypatch):
    need = Need(fixed=1_000_000, per_image=1e6)
    monkeypatch.setattr(memory, "available", lambda device: int(need.of(123)) + 1)
    memory.require(need, 123, CPU, 1, 1)
    with pytest.raises(InputError, match=r"a batch of 120 would fit: add \+batch_size=120"):
        memory.require(need, 500, CPU, 10, 1)
    with pytest.raises(InputError, match="a batch of 61 would fit"):
        memory.require(need, 123, CPU, 1, 2)  # two processes share the memory of this machine
    monkeypatch.setattr(memory, "available", lambda device: 1_000)
    with pytest.raises(InputError, match="not even the smallest batch fits"):
        memory.require(need, 500, CPU, 1, 1)
    monkeypatch.setattr(memory, "available", lambda device: float("inf"))
    memory.require(need, 500, CPU, 1, 1)  # nobody says how much there is


def test_memory_errors_are_explained_and_others_are_not():
    need = Need(fixed=1_000_000, per_image=1e6)
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    ):
        explained = memory.explain(error, need, 500, CPU, 1)
        assert explained is not None
        assert "would fit" in str(explained)
    assert memory.explain(RuntimeError("shapes differ"), need, 500, CPU, 1) is None


def test_what_the_failed_step_held_is_let_go_before_free_memory_is_asked_for(monkeypatch):
    held = []

    def step():
        activations = torch.ones(3)
        held.append(weakref.ref(activations))
        raise MemoryError

    def available(device):
        assert held[0]() is None
        return 10**9

    monkeypatch.setattr(memory, "available", available)
    with pytest.raises(MemoryError) as caught:
        step()
    assert held[0]() is not None
    assert memory.explain(caught.value, Need(1, 1e6), 2_000, CPU, 1) is not None


def test_something_is_known_about_this_machine():
    found = memory.available(CPU)
    assert found > 1_000_000


@pytest.fixture
def small(monkeypatch):
    sizes = {"train": 300, "val": 40, "test": 40}
    monkeypatch.setattr("contrastive_tutorial.data.shapes.SIZES", sizes)


def test_the_command_line_names_the_batch_size(small, monkeypatch, capsys, tmp_path):
    experiment = Experiment("S-P1", preset=replace(PRESETS["live"], batch_size=200))
    there = int(experiment.memory_need().of(70)) + 1
    monkeypatch.setattr(memory, "available", lambda device: there)
    assert cli.main(["run", "S-P1", "--preset", "live", "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "a batch of 70 would fit: add +batch_size=70 to the preset's name" in error
    assert error.count("\n") == 1
    assert files_in(tmp_path) == []


def test_running_out_in_the_middle_keeps_the_checkpoint(small, monkeypatch, capsys, tmp_path):
    real = Experiment.loss

    def loss(self, step, generator):
        if step == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, step, generator)

    monkeypatch.setattr(Experiment, "loss", loss)
    preset = "live+batch_size=20+steps=5+checkpoint_every=2"
    assert cli.main(["run", "B0", "--preset", preset, "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "would fit" in error
    assert error.count("\n") == 1
    (checkpoint,) = files_in(tmp_path)
    assert checkpoint.suffix == ".checkpoint"
