"""One process with K groups is K data-parallel processes with local Batch Normalization."""

from __future__ import annotations

import os

import pytest
import torch
import torch.distributed as dist
from forked import FORKED
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from contrastive_tutorial.norm import convert_norm

WORLD, EACH, STEPS = 2, 6, 3


def network():
    """Convolutions, two BN layers between them, and a BN1d head, in float64."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, stride=2, bias=False),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Conv2d(5, 7, 3),
        nn.BatchNorm2d(7),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(7, 4),
        nn.BatchNorm1d(4),
    ).double()


def data(step):
    """Rows of both processes, the second with another mean and scale."""
    x = torch.randn(
        WORLD, EACH, 3, 10, 10, generator=torch.Generator().manual_seed(step), dtype=torch.float64
    )
    x[1] = 4 * x[1] - 3
    return x


def objective(y):
    """A mean over rows: averaging it over processes is taking it over all rows."""
    return (y * torch.arange(1.0, 5.0, dtype=torch.float64)).tanh().square().mean()


def worker(rank, folder):
    """One data-parallel process: its rows, a local BN, gradients averaged by DDP."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD
    )
    # Buffers are not broadcast: each process keeps its own running statistics.
    model = DistributedDataParallel(network(), broadcast_buffers=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    outputs, gradients = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        y = model(data(step)[rank])
        objective(y).backward()
        outputs.append(y.detach())
        gradients.append([p.grad.clone() for p in model.parameters()])
        optimizer.step()
    torch.save(
        {"outputs": outputs, "gradients": gradients, "state": model.module.state_dict()},
        f"{folder}/{rank}.pt",
    )
    dist.destroy_process_group()


@pytest.mark.slow
def test_one_process_with_two_groups_equals_two_processes(tmp_path):
    torch.multiprocessing.start_processes(worker, (str(tmp_path),), WORLD, start_method=FORKED)
    remote = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]

    model = convert_norm(network(), "split", WORLD)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(STEPS):
        optimizer.zero_grad()
        y = model(data(step).flatten(0, 1))
        objective(y).backward()
        torch.testing.assert_close(y, torch.cat([r["outputs"][step] for r in remote]))
        for rank in range(WORLD):
            for parameter, gradient in zip(
                model.parameters(), remote[rank]["gradients"][step], strict=True
            ):
                torch.testing.assert_close(parameter.grad, gradient)
        optimizer.step()

    for name, tensor in model.state_dict().items():
        for rank in range(WORLD):
            theirs = remote[rank]["state"][name]
            ours = tensor[rank] if "running" in name else tensor
            torch.testing.assert_close(ours, theirs)
    # The data are asymmetric enough for the branches to differ.
    gap = (model[1].running_mean[0] - model[1].running_mean[1]).abs().max()
    assert gap > 0.1
