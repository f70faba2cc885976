"""experiment: a cell made ready to train is what its name says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pretended import accelerator, values
from tiny import TINY, covering, score_quickly, shapes, stopping
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from watched import fake_gpu

from contrastive_tutorial.augment import params
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.losses import nt_xent, ntxent
from contrastive_tutorial.norm import BatchRenorm2d
from contrastive_tutorial.study.cells import CELLS, PRESETS
from contrastive_tutorial.study.evaluator import Evaluator
from contrastive_tutorial.study.experiment import Experiment
from contrastive_tutorial.study.request import Request
from contrastive_tutorial.study.scoring import shuffled
from contrastive_tutorial.study.views import project
from contrastive_tutorial.train.optimizers import make_optimizer


@pytest.fixture(scope="module")
def sets():
    return shapes()


@pytest.fixture
def _quick_scores(monkeypatch):
    score_quickly(monkeypatch)


def test_split_with_one_subset_trains_like_plain_bn_with_the_weak_policy(sets):
    split = Experiment("S-P1", sets, TINY, num_subsets=1)
    plain = Experiment("M-bn", sets, TINY, num_subsets=1)
    assert torch.allclose(
        split.train(progress=False).losses, plain.train(progress=False).losses, atol=1e-5
    )


def test_ghost_groups_are_those_of_the_row_order(sets):
    from contrastive_tutorial.norm import GhostBatchNorm2d

    for name in ("ghost-same-10", "ghost-shuffle-10"):
        experiment = Experiment(name, sets, TINY)
        layers = [m for m in experiment.model.modules() if isinstance(m, GhostBatchNorm2d)]
        assert len(layers) == 2
        assert {layer.grouping for layer in layers} == {"contiguous"}
        assert {layer.num_groups for layer in layers} == {experiment.order.groups}


def test_a_preset_in_bfloat16_trains_in_it_and_is_evaluated_in_float32(sets):
    experiment = Experiment("B0", sets, replace(TINY, precision="bfloat16"))
    convolution = next(m for m in experiment.model.modules() if isinstance(m, nn.Conv2d))
    kinds = set()
    convolution.register_forward_hook(lambda module, _, out: kinds.add(out.dtype))
    losses = experiment.train(progress=False).losses
    assert kinds == {torch.bfloat16}
    assert convolution.weight.dtype == torch.float32
    kinds.clear()
    assert experiment.features(sets[-1]).dtype == torch.float32
    assert kinds == {torch.float32}
    plain = Experiment("B0", sets, TINY).train(progress=False).losses
    assert not torch.equal(losses, plain)
    torch.testing.assert_close(losses[0], plain[0], rtol=0.01, atol=0)


class AwayFromHost(TorchDispatchMode):
    """Raises at an operation that takes or gives a tensor in the memory of the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, result)):
            if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
                raise AssertionError(f"{func} meets a tensor of the host: {tuple(tensor.shape)}")
        return result


def fake(tensor, device="cuda"):
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)


def on_a_fake_gpu(experiment, device="cuda"):
    """Replace, within a FakeTensorMode, every tensor that a step works with."""
    experiment.device = torch.device(device)
    experiment.train_set = replace(
        experiment.train_set,
        images=fake(experiment.train_set.images, device),
        labels=fake(experiment.train_set.labels, device),
    )
    experiment.subset_ids = fake(experiment.subset_ids, device)
    for module in experiment.model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(fake(weight, device))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = fake(buffer, device)
    table = torch.empty(64, experiment.preset.batch_size, dtype=torch.int64, device=device)
    experiment._index_block = 0, table
    return experiment


@pytest.fixture
def _no_tables_kept():
    """Tables that are made once a process must be fake ones within the test and only there."""
    params._kept_constants.cache_clear()
    yield
    params._kept_constants.cache_clear()


#: Without those that train nothing, or on one subset: its images are fewer than a batch.
KINDS = [
    name for name in covering() if not CELLS[name].reference and CELLS[name].only_subset is None
]


@fake_gpu
def test_meeting_the_host_is_noticed():
    with FakeTensorMode(), AwayFromHost():
        there = torch.ones(3, device="cuda")
        with pytest.raises(DataDependentOutputException):
            float(there.sum())
        with pytest.raises(AssertionError, match="meets a tensor of the host"):
            there + torch.tensor([1.0, 2.0, 3.0], device="cuda")
        with pytest.raises(AssertionError, match="meets a tensor of the host"):
            there.cpu()


@fake_gpu
@pytest.mark.usefixtures("_no_tables_kept")
@pytest.mark.parametrize(("name", "passes"), [(name, 1) for name in KINDS] + [("B0", 2)])
def test_on_a_gpu_the_way_to_the_loss_never_meets_the_host(name, passes, sets):
    # A fake CUDA tensor has no values: whatever would wait for one raises, with no GPU at hand.
    preset = replace(TINY, batch_size=100, passes=passes)
    experiment = Experiment(name, sets, preset, device="cpu")
    with FakeTensorMode():
        on_a_fake_gpu(experiment)
        experiment.views(0, None)  # makes the tables, which are copied from the host once a run
        with AwayFromHost():
            loss = experiment.loss(1, None)
    assert loss.device.type == "cuda"
    assert (loss.dtype, loss.shape) == (torch.float32, ())


@pytest.mark.usefixtures("_no_tables_kept")
@pytest.mark.parametrize("name", KINDS)
def test_no_gradient_and_no_update_depends_on_a_value(name, sets, monkeypatch):
    # Without a GPU autograd cannot run backwards on fake CUDA tensors: the host's are as blind.
    monkeypatch.setattr(ntxent, "looks_at_values", lambda *_: False)  # as on a GPU
    experiment = Experiment(name, sets, replace(TINY, batch_size=100), device="cpu")
    order = experiment.order
    with FakeTensorMode():
        on_a_fake_gpu(experiment, "cpu")
        optimizer = make_optimizer(experiment.model, experiment.config)
        views = torch.empty(2 * order.num_images, 3, 32, 32)
        z = project(experiment.model, views, order, passes=1)
        z0, z1 = order.views(z)
        nt_xent(z0, z1).backward()
        optimizer.step()
    assert all(weight.grad is not None for weight in experiment.model.parameters())


#: What depends on the random starts that k-means draws.
DRAWN = {"cluster_accuracy", "cluster_accuracy_mean", "raw_accuracy", "purity", "nmi", "ari"}


# torch warns that a tensor of the device "meta" has no values; here it has.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
@pytest.mark.parametrize("name", ["S-P1", "M-aff", "X-bn", "B0-ema", "ghost-shuffle-10"])
def test_on_an_accelerator_the_same_weights_are_learned(name, sets, tmp_path):
    preset = replace(TINY, batch_size=100, steps=4, knn_every=2, optimizer="sgd")
    here = Experiment(name, sets, preset, device="cpu")
    expected = here.train(progress=False)
    with accelerator() as device:
        there = Experiment(name, sets, preset, device=device)
        found = there.train(tmp_path / "checkpoint", progress=False)
        again = Experiment(name, sets, preset, device=device).train(tmp_path / "checkpoint")
    assert torch.allclose(found.losses, expected.losses, atol=1e-5)
    assert torch.equal(again.losses, found.losses)
    assert found.points[-1][2] == pytest.approx(expected.points[-1][2], abs=0.011)
    for key, weight in here.model.state_dict().items():
        assert torch.allclose(values(there.model.state_dict()[key]), weight, atol=1e-4), key


@pytest.mark.slow
@pytest.mark.usefixtures("_quick_scores")
@pytest.mark.parametrize("name", ["B0", "S-P1"])
def test_on_an_accelerator_the_same_is_measured(name, sets):
    expected = Experiment(name, sets, TINY, 0, 5, "cpu").evaluate(with_arrays=True)
    with accelerator() as device:
        found = Experiment(name, sets, TINY, 0, 5, device).evaluate(with_arrays=True)
    for key, value in expected.metrics.items():
        if key not in DRAWN:
            assert found.metrics[key] == pytest.approx(value, rel=0.01, abs=0.01), key
    assert found.metrics.keys() == expected.metrics.keys()
    assert found.extra.keys() == expected.extra.keys()
    for how, entry in expected.evaluations.items():
        assert found.evaluations[how]["knn200"] == pytest.approx(entry["knn200"], abs=0.01), how
    for key, array in expected.arrays.items():
        assert np.allclose(np.abs(found.arrays[key]), np.abs(array), atol=0.01), key


def own():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten()
    )


@pytest.mark.usefixtures("_quick_scores")
@pytest.mark.parametrize("name", ["B0", "S-P1"])
def test_an_encoder_of_ones_own_trains_and_is_scored(name, sets):
    made = [Experiment(name, sets, TINY, seed, 5, "cpu", encoder=own) for seed in (0, 0, 1)]
    weights = [e.model.encoder[0].weight for e in made]
    assert torch.equal(weights[0], weights[1])  # a function: the seed decides
    assert not torch.equal(weights[0], weights[2])
    before = weights[0].clone()
    history = made[0].train(progress=False)
    assert not torch.equal(made[0].model.encoder[0].weight, before)
    record = made[0].record(history, made[0].evaluate())
    assert 0 <= record.metrics["knn10"] <= 1
    assert "Conv2d" in record.hyperparameters["encoder"]
    given = own()
    kept = Experiment(name, sets, TINY, 7, 5, "cpu", encoder=given).model.encoder
    assert torch.equal(kept[0].weight, given[0].weight)  # a module: its weights stay


@pytest.mark.usefixtures("_quick_scores")
@pytest.mark.parametrize(
    ("name", "num_subsets", "kind"),
    [("S-P1", 5, "TwoBranches"), ("M-bn", 10, "TwoBranches"), ("M-bn", 10, "bare")],
)
def test_names_and_layers_of_ones_own_encoder_are_free(name, num_subsets, kind, sets):
    experiment = Experiment(name, sets, TINY, 0, num_subsets, "cpu", encoder=globals()[kind])
    scores = experiment.record(experiment.train(progress=False), experiment.evaluate())
    assert 0 <= scores.metrics["knn10"] <= 1
    shifts = any(name.startswith("kl_bn1_per_policy/") for name in scores.extra)
    assert shifts == (name == "M-bn" and kind == "TwoBranches")


class InTraining(nn.Module):
    """Something else in training than in evaluation, as networks with helping outputs give."""

    def __init__(self, change):
        super().__init__()
        self.inner, self.change = own(), change

    def forward(self, x):
        return self.change(self.inner(x)) if self.training else self.inner(x)


class InPlace(nn.Module):
    """Normalises the images that it is given where they are, as ``inplace=True`` does."""

    def __init__(self):
        super().__init__()
        self.inner = own()

    def forward(self, x):
        return self.inner(x.sub_(0.5).div_(0.25))


class TwoBranches(nn.Module):
    """Calls its parts by a name that the package's own layers use."""

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList([own(), own()])
        self.num_features = 144

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def bare():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten())


def complex_weights():
    network = own()
    network.register_parameter("more", nn.Parameter(torch.zeros(2, dtype=torch.complex64)))
    return network


def with_norm(norm):
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), norm, nn.Flatten())


def test_a_network_that_is_given_is_not_touched(sets):
    given = own()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    for name in ("B0", "S-P1"):
        Experiment(name, sets, TINY, 0, 5, "cpu", encoder=given).train(progress=False)
    assert type(given[1]) is nn.BatchNorm2d
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())


def test_a_checkpoint_is_of_the_network_that_began_it(sets, tmp_path):
    torch.manual_seed(0)
    first, second = own(), own()

    def begun(network):
        return Experiment("B0", sets, TINY, 0, 5, "cpu", encoder=network)

    with pytest.raises(KeyboardInterrupt):
        begun(first).train(tmp_path / "c", progress=False, on_step=stopping(2))
    with pytest.raises(InputError, match="belongs to another configuration"):
        begun(second).train(tmp_path / "c", progress=False)
    assert len(begun(first).train(tmp_path / "c", progress=False).losses) == TINY.steps


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (nn.Conv2d(3, 8, 3), r"got torch.float32 \(2, 8, 30, 30\) of two"),
        (nn.Flatten(), "parameters to train, found none"),
        (nn.Linear(7, 8), "but it fails on two: "),
        (InTraining(lambda h: (h, h)), "in training, got tuple of two"),
        (InTraining(lambda h: h[:, :3]), "as many features in training as in evaluation, got 3"),
        (nn.Sequential(own(), nn.Flatten()).double(), "float32"),
        (with_norm(nn.LazyBatchNorm2d()), "cannot be copied .*uninitialized"),
        (with_norm(nn.InstanceNorm2d(8, track_running_stats=True)), "model: InstanceNorm2d"),
        (with_norm(nn.BatchNorm2d(8, track_running_stats=False)), "track_running_stats=False"),
        (lambda: "resnet", "a function that makes one, got <class 'str'>"),
        (InPlace, "writes into the images that it is given"),
        (lambda: nn.Sequential(nn.LazyConv2d(8, 3), nn.Flatten()), "lazy layers"),
        (complex_weights, "floating point parameters, got torch.complex64"),
        (InTraining(lambda h: h[:, :0]), r"got torch.float32 \(2, 0\) of two"),
    ],
)
def test_what_is_no_encoder_is_refused(encoder, message, sets):
    with pytest.raises(InputError, match=message):
        Experiment("B0", sets, TINY, device="cpu", encoder=encoder)


def test_a_request_says_everything_but_the_images(sets):
    asked = Experiment(Request("S-P1", TINY, 3, 5, device="cpu"), sets)
    said = Experiment("S-P1", sets, TINY, 3, 5, "cpu")
    assert (asked.cell, asked.preset, asked.seed) == (said.cell, said.preset, said.seed)
    generator = torch.Generator()
    losses = [e.loss(0, generator.manual_seed(0)) for e in (asked, said)]
    assert torch.equal(*losses)


@pytest.mark.parametrize("passes", [1, 2])
def test_a_renorm_cell_renormalises(passes, sets):
    cell = replace(CELLS["B0"], norm="renorm")
    preset = replace(TINY, steps=8, passes=passes)
    experiment = Experiment(cell, sets, preset, device="cpu")
    experiment.train(progress=False)
    layer = next(m for m in experiment.model.modules() if isinstance(m, BatchRenorm2d))
    assert layer.total_steps == 8 * passes
    assert int(layer.num_batches_tracked) == 8 * passes


def test_features_of_batch_statistics_do_not_depend_on_the_order_of_images(sets):
    """Image sets lie in order of class; a batch must not."""
    images = sets[0]
    by_class = images.subset(torch.argsort(images.labels, stable=True))
    experiment = Experiment("B0", sets, TINY, device="cpu")
    own = experiment.features(by_class, "test-batch")
    mixed = shuffled("test-batch", by_class.images, 0)
    first = by_class.labels[mixed[: len(mixed) // 2]].bincount(minlength=10)
    assert first.min() > 15  # of 30 of a class in half of the images
    # The rows come back in their own order.
    assert (
        torch.nn.functional.cosine_similarity(own, experiment.features(by_class, "running")).mean()
        > 0.9
    )
    assert torch.equal(own, experiment.features(by_class, "test-batch"))


def test_statistics_are_measured_once_for_the_same_weights(sets, monkeypatch):
    """Whatever has changed the weights or the statistics since: then they are measured again."""
    measured, make_exact = [], Evaluator.make_exact

    def counted(evaluator, encoder):
        measured.append(1)
        make_exact(evaluator, encoder)

    monkeypatch.setattr(Evaluator, "make_exact", counted)
    experiment = Experiment("B0", sets, TINY, device="cpu")
    bn = next(m for m in experiment.model.modules() if isinstance(m, nn.BatchNorm2d))
    untrained = experiment.features(sets[2])
    for times, change in enumerate(
        (
            lambda: None,
            lambda: bn.running_var.mul_(2),
            lambda: experiment.train(progress=False),
            lambda: bn.weight.data.mul_(2),
        ),
        start=1,
    ):
        change()
        first, second = (experiment.features(sets[2]) for _ in range(2))
        assert len(measured) == times
        assert torch.equal(first, second)
        assert torch.equal(first, untrained) == (times < 3)


@pytest.mark.usefixtures("_quick_scores")
def test_scoring_leaves_the_model_alone_and_any_statistics_can_be_asked_for(sets):
    experiment = Experiment("S-P1", sets, TINY, num_subsets=5, device="cpu")
    assert experiment.features(sets[2], "reestimated").shape == (200, 128)
    before = {name: value.clone() for name, value in experiment.model.state_dict().items()}
    experiment.evaluate()
    for name, value in experiment.model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("name", ["cpu", "resnet", "resnet-500"])
def test_no_batch_of_the_evaluation_is_one_of_training_or_of_another_use(name):
    preset = PRESETS[name]
    steps = [set(preset.held_out(use)) for use in ("precise", "clean", "scored")]
    steps.append(set(range(preset.steps)))
    assert sum(map(len, steps)) == len(set().union(*steps))
