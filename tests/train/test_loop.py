"""training: the loop learns, resumes bit for bit, and refuses what it cannot use."""

import pytest
import torch
from safetensors.torch import load_file
from tiny import stopping
from torch import nn

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.train.loop import History, TrainConfig, step_seed, train
from contrastive_tutorial.train.optimizers import learning_rate


def small_model(seed=0):
    torch.manual_seed(seed)
    # BatchNorm and Dropout: buffers and the global generator must survive a resume as well. With
    # two channels in channels_last the order of weights in memory is not that of a fresh tensor.
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, 3)
    )
    return model.to(memory_format=torch.channels_last)


def regression(model):
    def loss(step, generator):
        x = torch.randn(8, 2, 8, 8, generator=generator)
        target = x.mean((1, 2, 3)).unsqueeze(1)
        return (model(x) - target).square().mean()

    return loss


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_loss_falls_and_every_step_is_kept():
    model = small_model()
    history = train(model, regression(model), TrainConfig(60, lr=1e-2), progress=False)
    assert history.losses.shape == (60,)
    assert history.losses[-10:].mean() < 0.5 * history.losses[:10].mean()
    assert history.images_per_second > 0
    assert model.training


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_same_seed_same_weights_other_seed_other_weights(optimizer):
    found = []
    for seed in (0, 0, 1):
        model = small_model()
        train(
            model, regression(model), TrainConfig(8, optimizer=optimizer, seed=seed), progress=False
        )
        found.append(weights(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not torch.equal(found[0]["0.weight"], found[2]["0.weight"])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("stop_at", [1, 4, 7, 11])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, optimizer, stop_at):
    config = TrainConfig(12, optimizer=optimizer, checkpoint_every=3)
    whole = small_model()
    expected = train(whole, regression(whole), config, progress=False)

    broken = small_model()

    file = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train(
            broken, regression(broken), config, checkpoint=file, progress=False,
            on_step=stopping(stop_at),
        )  # fmt: skip
    resumed = small_model(seed=99)  # other weights: everything must come from the checkpoint
    steps = []
    history = train(
        resumed, regression(resumed), config, checkpoint=file, progress=False,
        on_step=lambda step, _: steps.append(step),
    )  # fmt: skip
    assert steps[0] == 3 * ((stop_at) // 3)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name
    assert torch.equal(history.losses, expected.losses)


def test_a_checkpoint_of_another_configuration_is_refused_by_name(tmp_path):
    file = tmp_path / "c"
    model = small_model()
    train(model, regression(model), TrainConfig(2), checkpoint=file, progress=False)
    before = file.read_bytes()
    with pytest.raises(
        InputError, match=r"another configuration \(lr: it has 0.001, this run 0.1\)"
    ):
        train(model, regression(model), TrainConfig(2, lr=0.1), checkpoint=file, progress=False)
    with pytest.raises(InputError, match="cell: it has None, this run 'B0'"):
        train(
            model, regression(model), TrainConfig(2), checkpoint=file, progress=False,
            fingerprint={"cell": "B0"},
        )  # fmt: skip
    assert file.read_bytes() == before


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path):
    model = small_model()
    usual = regression(model)

    def loss(step, generator):
        return usual(step, generator) * (float("nan") if step == 7 else 1.0)

    file = tmp_path / "c"
    with pytest.raises(InputError, match=r"loss is nan at step 7; the last good checkpoint"):
        train(model, loss, TrainConfig(20, checkpoint_every=5), checkpoint=file, progress=False)
    # the checkpoint is the one of step 5: healthy, and resumable
    fresh = small_model()
    train(
        fresh,
        regression(fresh),
        TrainConfig(20, checkpoint_every=5),
        checkpoint=file,
        progress=False,
    )
    assert all(torch.isfinite(value).all() for value in fresh.state_dict().values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    """The loss of a step is finite, its gradient is not: the harm shows one step later."""
    model = small_model()
    usual = regression(model)

    def loss(step, generator):
        fine = usual(step, generator)
        # The derivative of sqrt at 0 is infinite; 0 * inf is NaN.
        return fine + (fine - fine.detach()).sqrt() if step == 6 else fine

    file = tmp_path / "c"
    with pytest.raises(InputError, match=r"0\.weight is not finite after step 6; the last good"):
        train(model, loss, TrainConfig(20, checkpoint_every=7), checkpoint=file, progress=False)
    kept = load_file(file)
    assert all(torch.isfinite(value).all() for name, value in kept.items() if "model" in name)
    fresh = small_model()
    train(
        fresh, regression(fresh), TrainConfig(20, checkpoint_every=7), checkpoint=file,
        progress=False,
    )  # fmt: skip
    assert all(torch.isfinite(value).all() for value in fresh.state_dict().values())


def test_the_global_generator_is_left_as_it_was():
    model = small_model()
    before = torch.get_rng_state()
    train(model, regression(model), TrainConfig(3), progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_cosine_schedule_with_warmup():
    config = TrainConfig(100, lr=1.0, warmup=0.1)
    values = [learning_rate(config, step) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert values[9] == pytest.approx(1.0)
    assert values[10] == pytest.approx(1.0)
    assert values[55] == pytest.approx(0.5)
    assert values[99] < 0.001


def test_curve_is_short_and_faithful():
    history = History(losses=torch.arange(1000, dtype=torch.float32))
    curve = history.curve()
    assert len(curve) == 200
    assert curve[0] == (2, 2.0)
    assert curve[-1] == (997, 997.0)
    assert History().curve() == []
    assert len(History(losses=torch.ones(201)).curve()) <= 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps"),
        ({"steps": 1, "lr": 0.0}, "lr"),
        ({"steps": 1, "weight_decay": -1.0}, "weight_decay"),
        ({"steps": 1, "warmup": float("nan")}, "warmup"),
        ({"steps": 1, "checkpoint_every": 0}, "checkpoint_every"),
    ],
)
def test_bad_configurations(options, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**options)


@pytest.mark.parametrize("lr", [1e5, 1e9])
def test_a_run_that_diverges_is_named_where_its_loss_looks_ordinary(lr, tmp_path):
    model = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False))

    def loss(step, generator):  # bounded: the norm hides the size of the weights
        x = torch.randn(8, 2, 8, 8, generator=generator)
        return model(x).tanh().mean()

    file = tmp_path / "c"
    with pytest.raises(InputError, match=r"diverged: 0\.weight has weights up to .* after step 0;"):
        train(model, loss, TrainConfig(5, lr=lr), checkpoint=file, progress=False)
    assert float(load_file(file)["model.0.weight"].abs().max()) < 1


@pytest.mark.parametrize("steps", [0, 1, 3, 4])
def test_a_short_run_has_a_throughput(steps):
    model = small_model()
    history = train(model, regression(model), TrainConfig(steps), images_per_step=8, progress=False)
    assert (history.images_per_second > 0) == (steps > 0)
    assert steps == 0 or history.images_per_second >= 8 / history.seconds


def test_a_log_gets_lines_and_no_bar(monkeypatch, capsys):
    monkeypatch.setattr("contrastive_tutorial.train.loop._SECONDS_A_LINE", 0.0)
    model = small_model()
    train(model, regression(model), TrainConfig(3), progress="B0 seed 0")
    # A bar of an earlier test may be swept up, and wiped, just now.
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert lines == [f"B0 seed 0: step {n} of 3, about 0 min left" for n in (1, 2)]
    train(model, regression(model), TrainConfig(3), progress=False)
    assert capsys.readouterr().err.strip() == ""


def test_seeds_of_purposes_and_of_steps_differ():
    names = ["projections", "policy probes", *range(300)]
    seeds = {step_seed(seed, what) for seed in range(30) for what in names}
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len({seed & 0xFFFFFFFF for seed in seeds}) == 30 * len(names)  # what a CPU keeps
