"""checkpoints: what comes back is what was saved, or one line says that it is not."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.train import checkpoints
from contrastive_tutorial.train.checkpoints import Progress

IDENTITY = json.dumps({"cell": "B0", "steps": 4})


def trained(width=3, optimizer=torch.optim.Adam):
    model = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))
    chosen = optimizer(model.parameters())
    model(torch.randn(8, 2)).square().sum().backward()
    chosen.step()
    return model, chosen, torch.arange(4.0)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run.checkpoint"
    progress = Progress(2, 0.1, [(1, 0.05, 0.5)])
    checkpoints.save(path, *trained(), progress, IDENTITY)
    return path


def rewritten(path, **changes):
    """The same tensors with another header, as somebody with a tool would write it."""
    with safe_open(path, framework="pt") as file:
        metadata = {**file.metadata(), **changes}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    metadata["digest"] = checkpoints.content_digest(
        tensors, {k: v for k, v in metadata.items() if k != "digest"}
    )
    save_file(tensors, path, metadata)


def refusal(path):
    """What is said about a checkpoint; empty if it is read."""
    try:
        checkpoints.read(path, IDENTITY)
    except InputError as error:
        return str(error)
    return ""


def test_everything_comes_back(saved):
    found = checkpoints.read(saved, IDENTITY)
    assert found.progress == Progress(2, 0.1, [(1, 0.05, 0.5)])
    torch.manual_seed(0)
    model, optimizer, losses = trained()
    checkpoints.restore(found, model, optimizer, losses)
    for name, value in model.state_dict().items():
        assert torch.equal(value, found.tensors[f"model.{name}"])
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            assert torch.equal(value, found.tensors[f"optimizer.{index}.{name}"])


def test_every_lost_bit_is_noticed(saved):
    """One bit in every fifth byte: never other weights, another step, or a traceback."""
    whole, unchanged = saved.read_bytes(), []
    for at in range(0, len(whole), 5):
        saved.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        message = refusal(saved)
        if message:
            assert "\n" not in message
            assert "delete it" in message
        else:  # the header means the same
            unchanged.append(checkpoints.read(saved, IDENTITY))
    saved.write_bytes(whole)
    same = checkpoints.read(saved, IDENTITY)
    for found in unchanged:
        assert found.progress == same.progress
        assert found.tensors.keys() == same.tensors.keys()
        assert all(torch.equal(found.tensors[name], same.tensors[name]) for name in same.tensors)


@pytest.mark.parametrize(
    "changes",
    [{"step": "two"}, {"seconds": ""}, {"points": "[1]"}, {"points": "[" * 5_000}, {"points": "9"}],
    ids=str,
)
def test_a_header_that_makes_no_sense_is_refused(saved, changes):
    rewritten(saved, **changes)
    with pytest.raises(InputError, match=r"damaged \(.* in its header\)"):
        checkpoints.read(saved, IDENTITY)


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ('{"cell": "B1", "steps": 4}', "cell: it has 'B1', this run 'B0'"),
        ("[1]", "another configuration; delete"),
        ("{", "another configuration; delete"),
        ("[" * 5_000, "another configuration; delete"),
    ],
    ids=["setting", "list", "cut", "deep"],
)
def test_another_run_is_named_where_it_can_be(saved, identity, words):
    rewritten(saved, identity=identity)
    with pytest.raises(InputError, match=words):
        checkpoints.read(saved, IDENTITY)


def test_the_state_of_another_model_is_refused(saved):
    found = checkpoints.read(saved, IDENTITY)
    with pytest.raises(InputError, match="state of another model"):
        checkpoints.restore(found, *trained(width=5))
    del found.tensors["losses"]
    with pytest.raises(InputError, match=r"another model .*losses"):
        checkpoints.restore(found, *trained())
