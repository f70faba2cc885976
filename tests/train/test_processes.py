"""distributed and sharing: two processes compute what one computes, on data that differ by rank."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from forked import FORKED
from tiny import shapes, stopping
from torch import nn

from contrastive_tutorial import cli
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import nt_xent
from contrastive_tutorial.norm import convert_norm
from contrastive_tutorial.records import load_records
from contrastive_tutorial.study.cells import CELLS, Preset
from contrastive_tutorial.study.experiment import Experiment
from contrastive_tutorial.study.request import Request
from contrastive_tutorial.study.runner import run
from contrastive_tutorial.study.views import Layout, layout
from contrastive_tutorial.train.processes import ProcessGroup, SyncedBatchNorm2d, processes
from contrastive_tutorial.train.sharding import Shard, adapt_norms, shard

SMALL = Preset(
    "small", "two_conv_strided", steps=3, batch_size=24, bank=240, kmeans_restarts=1,
    menu_bank=240, knn_every=2, checkpoint_every=2,
)  # fmt: skip
CASES = {
    "B0": ("B0", SMALL),
    "two passes": ("B0", replace(SMALL, passes=2)),
    "own policy": ("M-bn", SMALL),
    "split": ("S-P1", SMALL),
    "domain-specific": ("M-P1", SMALL),
    "ghost": (replace(CELLS["ghost-same-5"], group_size=6), SMALL),
}


def sets():
    found = shapes(240, 40, 40)
    # Dark and bright images: the shares of two processes have statistics far apart.
    found[0].images[::3] //= 4
    return found


def network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(20, 6),
    ).double()  # fmt: skip


def pictures(process, view):
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(7 * process + view))
    return (3 * process + 1) * x.double() + 2 * process


def gradients(model):
    return [p.grad.clone() for p in model.parameters()]


def one_step(experiment):
    """Loss and gradients of step 0, without touching the optimiser."""
    experiment.trained.train()
    loss = experiment.loss(0, torch.Generator().manual_seed(5))
    loss.backward()
    experiment.group.average_gradients(experiment.trained)
    return loss.detach(), gradients(experiment.trained)


def in_two_goes(cell, images, group, batch_norm, stop, checkpoint):
    """Final weights and statistics of five steps, begun anew after ``stop`` of them."""
    preset = replace(SMALL, steps=5, knn_every=0)
    request = Request(cell, preset, 0, 4, device="cpu", batch_norm=batch_norm)
    if stop is not None:
        with pytest.raises(KeyboardInterrupt):
            Experiment(request, images, group=group).train(checkpoint, False, stopping(stop))
        dist.barrier()
    experiment = Experiment(request, images, group=group)
    experiment.train(checkpoint, False)
    return dict(experiment.model.state_dict())


def worker(rank, folder):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    group, found = ProcessGroup(rank, 2), {}
    model = network()
    synced = SyncedBatchNorm2d(5).double()
    synced.load_state_dict(model[1].state_dict())
    model[1] = synced
    z = model(torch.cat([pictures(rank, 0), pictures(rank, 1)]))
    z0, z1 = (group.gather(part) for part in z.split(5))
    loss = nt_xent(z0, z1)
    loss.backward()
    group.average_gradients(model)
    found["bare"] = (loss.detach(), gradients(model))
    found["bare state"] = dict(model.state_dict())

    images = sets()
    for name, (cell, preset) in CASES.items():
        found[name] = one_step(Experiment(cell, images, preset, 0, 4, "cpu", group=group))
    local = Experiment(
        Request("B0", SMALL, 0, 4, device="cpu", batch_norm="local"), images, group=group
    )
    found["local"] = one_step(local)
    whole = Experiment("S-P1", images, SMALL, 0, 4, "cpu", group=group)
    whole.train(progress=False)
    found["trained"] = dict(whole.model.state_dict())
    run(Request("B0", SMALL, 0, 4, f"{folder}/results", "cpu", progress=False), images, group)
    for name, cell, norm in (("B0", "B0", "local"), ("S-P1", "S-P1", "sync")):
        for stop in (None, 3):
            label = f"{name} {'whole' if stop is None else 'resumed'}"
            found[label] = in_two_goes(cell, images, group, norm, stop, f"{folder}/{label}")
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    torch.multiprocessing.start_processes(worker, (str(folder),), 2, start_method=FORKED)
    return folder, [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def assert_same(found, loss, grads):
    torch.testing.assert_close(found[0], loss, rtol=1e-5, atol=1e-5)
    assert len(found[1]) == len(grads)
    for ours, theirs in zip(found[1], grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_gathered_loss_and_synced_bn_are_exact_on_asymmetric_data(remote):
    model = network()
    x = [torch.cat([pictures(process, view) for process in range(2)]) for view in range(2)]
    z0, z1 = model(torch.cat(x)).split(10)
    loss = nt_xent(z0, z1)
    loss.backward()
    for found in remote[1]:
        assert_same(found["bare"], loss.detach(), gradients(model))
        for name, value in model.state_dict().items():
            torch.testing.assert_close(found["bare state"][name], value)
    # The data are asymmetric enough for a forgotten term to show.
    means = [pictures(process, 0).mean() for process in range(2)]
    assert means[1] - means[0] > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_compute_what_one_computes(remote, name):
    cell, preset = CASES[name]
    loss, grads = one_step(Experiment(cell, sets(), preset, 0, 4, "cpu"))
    assert any(g.abs().max() > 1e-3 for g in grads)
    for found in remote[1]:
        assert_same(found[name], loss, grads)


@pytest.mark.slow
def test_local_bn_is_bn_split_by_process(remote):
    images = sets()
    whole = Experiment("B0", images, SMALL, 0, 4, "cpu")
    convert_norm(whole.trained.encoder, "split", 2)
    parts = [shard(whole.order, ProcessGroup(rank, 2)) for rank in range(2)]
    views = whole.views(0, torch.Generator().manual_seed(5))
    z = whole.trained(torch.cat([views[part.rows] for part in parts]))[1][parts[0].back]
    z0, z1 = whole.order.views(z)
    loss = nt_xent(z0, z1, SMALL.temperature)
    loss.backward()
    for found in remote[1]:
        assert_same(found["local"], loss.detach(), gradients(whole.trained))
    _, synced = one_step(Experiment("B0", images, SMALL, 0, 4, "cpu"))
    assert any(
        (a - b).abs().max() > 1e-4 for a, b in zip(synced, remote[1][0]["local"][1], strict=True)
    )


@pytest.mark.slow
def test_a_whole_run_leaves_the_same_weights_and_statistics_everywhere(remote):
    alone = Experiment("S-P1", sets(), SMALL, 0, 4, "cpu")
    alone.train(progress=False)
    for found in remote[1]:
        for name, value in alone.model.state_dict().items():
            torch.testing.assert_close(found["trained"][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_first_process_leaves_the_record(remote):
    (record,) = load_records(remote[0] / "results")
    assert record.hyperparameters["processes"] == 2
    assert record.hyperparameters["batch_norm"] == "sync"
    assert [step for step, _, _ in record.knn_curve] == [2, 3]
    assert [p.suffix for p in Path(record.path).parent.glob("[!.]*") if "npz" not in p.name] == [
        ".json"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["B0", "S-P1"])
def test_two_processes_that_were_interrupted_end_with_the_same_bits(remote, cell):
    """Also where each keeps statistics of its own: local BN, and BN split by subset."""
    first, second = remote[1]
    for name, value in first[f"{cell} whole"].items():
        assert torch.equal(first[f"{cell} resumed"][name], value), name
        assert torch.equal(second[f"{cell} resumed"][name], value), name


@pytest.mark.parametrize("cell", ["B0", "S-P1", "ghost-same-10"])
@pytest.mark.parametrize("size", [2, 5])
def test_shares_are_a_partition_and_gathering_undoes_them(cell, size):
    order = layout(CELLS[cell], 200, 10)
    parts = [shard(order, ProcessGroup(rank, size)) for rank in range(size)]
    rows = torch.cat([part.rows for part in parts])
    assert sorted(rows.tolist()) == list(range(400))
    back = parts[0].back
    assert torch.equal(rows if back is None else rows[back], torch.arange(400))
    for part in parts:  # both views of an image are in one process
        whole = order.rows(torch.arange(200), torch.arange(200))[part.rows]
        first, second = part.order.views(whole)
        assert torch.equal(first, second)


def test_alone_nothing_changes():
    order = Layout(8, 2)
    assert shard(order, ProcessGroup()).rows is None
    assert shard(order, ProcessGroup()).order is order
    x = torch.ones(2, 2)
    assert ProcessGroup().gather(x) is x
    assert ProcessGroup().from_first(lambda: 3) == 3
    with pytest.raises(InputError, match="odd"):
        ProcessGroup().all_or_none(_refuses)


def _refuses():
    raise InputError("odd")


@pytest.mark.parametrize(
    ("arguments", "size", "message"),
    [
        (["B0"], 3, "3 processes cannot share the batch of 500 images.*such as 2, 4, 5"),
        (["S-P1"], 4, "4 processes cannot share the 10 groups"),
        (["B0", "--preset", "resnet-100"], 7, "7 processes cannot share the batch of 512"),
        (["B0", "--preset", "cpu+batch_size=4"], 4, "fewer than 2 images"),
    ],
)
def test_processes_that_do_not_divide_the_batch(
    arguments, size, message, monkeypatch, capsys, tmp_path
):
    monkeypatch.setenv("WORLD_SIZE", str(size))
    monkeypatch.setenv("RANK", "1")
    assert cli.main(["run", *arguments, "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_not_for_torchrun(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(["study", "--results", str(tmp_path)]) == 2
    assert "--shard" in capsys.readouterr().err


def test_a_norm_that_no_process_can_compute_alone_is_refused():
    with pytest.raises(InputError, match="SubsetAffineBatchNorm2d"):
        Experiment("M-aff", sets(), SMALL, 0, 4, "cpu", group=ProcessGroup(0, 2))
    renorm = replace(CELLS["B0"], norm="renorm")
    with pytest.raises(InputError, match="BatchRenorm2d: it normalises with running statistics"):
        Experiment(renorm, sets(), SMALL, 0, 4, "cpu", group=ProcessGroup(0, 2))


def test_a_cell_that_is_measured_while_it_trains_is_refused():
    with pytest.raises(InputError, match=r"B0-ema: .* run it without torchrun"):
        Experiment("B0-ema", sets(), SMALL, 0, 4, "cpu", group=ProcessGroup(0, 2))


def test_one_device_for_all_processes_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="use --device cuda"), processes("cuda:1"):
        pass


@pytest.mark.parametrize(("device", "backend"), [(None, "nccl"), ("cuda", "nccl"), ("cpu", "gloo")])
def test_processes_talk_in_the_way_of_their_device(monkeypatch, device, backend):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    monkeypatch.setattr(dist, "init_process_group", asked.append)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    with processes(device) as group:
        assert group == ProcessGroup(1, 2)
    assert asked == ([1, backend] if backend == "nccl" else [backend])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    if backend == "nccl":
        with pytest.raises(InputError, match="start at most 1"), processes(device):
            pass


@pytest.mark.parametrize("kind", ["bn", "split"])
def test_a_momentum_of_zero_is_not_none(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "get_world_size", lambda: 1)
    monkeypatch.setattr(dist, "all_reduce", lambda tensor: None)
    layer = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, momentum=0.0))
    model = convert_norm(layer, kind, 2)
    adapt_norms(model, Shard(None, Layout(4, 2), None, (0, 2)), "sync")
    assert kind == "split" or type(model[1]) is SyncedBatchNorm2d
    model(torch.randn(8, 3, 4, 4) + 5)
    assert torch.equal(model[1].running_mean, torch.zeros_like(model[1].running_mean))
    assert int(model[1].num_batches_tracked) == 1
