"""devices: what is there is found, what is not is refused by name."""

import pytest
import torch

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.train.devices import device_name, multiplies_bf16, resolve_device


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="is not there"):
        resolve_device("cuda:63")
    with pytest.raises(InputError, match="expected 'cpu'"):
        resolve_device("tpu3000")


def test_the_name_of_a_cpu_tells_its_instructions_and_threads():
    name = device_name(torch.device("cpu"))
    assert torch.backends.cpu.get_cpu_capability() in name
    assert name.endswith(f"({torch.get_num_threads()} threads)")


@pytest.mark.parametrize("name", ["mps", "mps:0", "xpu", "meta", "hpu"])
def test_a_device_that_cannot_compute_here_is_one_line(name):
    if getattr(torch, name.split(":")[0], None) and torch.accelerator.is_available():
        pytest.skip("this machine may have it")
    with pytest.raises(InputError, match=rf"device: '{name}' cannot be used here .*--device cpu"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("capabilities", "multiplies"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_bf16": False}, False)],
)
def test_a_cpu_says_whether_it_multiplies_bfloat16(monkeypatch, capabilities, multiplies):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert multiplies_bf16() is multiplies


def test_an_older_torch_cannot_say(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bf16()
