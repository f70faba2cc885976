"""`params`: the drawing against torchvision's samplers, and what a draw can be asked."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn import drawn, seeded
from scipy import stats
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.transforms import ColorJitter, RandomResizedCrop

from contrastive_tutorial.augment.params import (
    JITTER,
    STEPS,
    _same_device,
    active_steps,
    describe,
    sample,
)
from contrastive_tutorial.augment.policies import DEFAULT_POLICY, POLICIES, Policy, policy_by_name
from contrastive_tutorial.errors import InputError


def same_distribution(ours, theirs):
    return stats.ks_2samp(np.asarray(ours), np.asarray(theirs)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("scale", "ratio"),
    [((0.2, 1.0), (3 / 4, 4 / 3)), ((0.9, 1.0), (0.2, 0.5)), ((0.9, 1.0), (2.0, 5.0))],
)
def test_crops_are_distributed_as_torchvisions(scale, ratio):
    params = drawn(Policy("crop", scale=scale, ratio=ratio))
    torch.manual_seed(1)
    image = torch.empty(3, 32, 32)
    theirs = [RandomResizedCrop.get_params(image, scale, ratio) for _ in range(2500)]
    top, left, height, width = np.array(theirs).T
    assert same_distribution(params.height, height)
    assert same_distribution(params.width, width)
    assert same_distribution(params.height * params.width, height * width)
    assert same_distribution(params.width / params.height, width / height)
    assert same_distribution(params.top, top)
    assert same_distribution(params.left, left)
    assert same_distribution(params.left + params.width, left + width)


def test_the_narrowest_crop_is_one_pixel():
    tall, wide = (drawn(Policy("x", ratio=(r, r)), 3, size=16) for r in (1e-3, 1e3))
    assert (tall.width == 1).all()
    assert (wide.height == 1).all()


def test_jitter_is_distributed_as_torchvisions():
    params = drawn(dataclasses.replace(DEFAULT_POLICY, jitter=1.0))
    torch.manual_seed(1)
    factors = ((0.6, 1.4),) * 3 + ((-0.1, 0.1),)
    theirs = [ColorJitter.get_params(*map(list, factors)) for _ in range(1500)]
    for name, drawn_there, (low, high) in zip(
        JITTER, list(zip(*theirs, strict=True))[1:], factors, strict=True
    ):
        ours = getattr(params, name)
        assert low <= float(ours.min()) <= float(ours.max()) <= high
        assert same_distribution(ours, drawn_there)
    orders = np.unique(params.order.numpy(), axis=0, return_counts=True)[1]
    assert len(orders) == 24
    assert stats.chisquare(orders).pvalue > 1e-3


def test_cutout_lies_inside_and_uniformly():
    params = drawn(Policy("cutout", cutout=12))
    for start in (params.cutout_top, params.cutout_left):
        counts = np.bincount(start.numpy())
        assert len(counts) == 32 - 12 + 1
        assert stats.chisquare(counts).pvalue > 1e-3


def test_probabilities_and_angles():
    policy = Policy(
        "all", flip=0.3, jitter=0.6, brightness=(0.5, 0.9), grayscale=0.2, rotation=20.0,
        blur=0.7, sigma=(0.5, 1.5), solarize=0.4,
    )  # fmt: skip
    p = drawn(policy)
    happened = {
        "flip": p.flip,
        "jitter": p.brightness != 1,
        "grayscale": p.grayscale,
        "blur": p.sigma != 0,
        "solarize": p.solarize,
    }
    for name, event in happened.items():
        test = stats.binomtest(int(event.sum()), len(p), getattr(policy, name))
        assert test.pvalue > 1e-3, name
    # Independent of each other: no pair of the five is correlated.
    correlation = np.corrcoef(torch.stack([e.float() for e in happened.values()]).numpy())
    assert np.abs(correlation - np.eye(5)).max() < 4 / np.sqrt(len(p))
    assert stats.kstest(p.angle.numpy(), stats.uniform(-20, 40).cdf).pvalue > 1e-3
    assert stats.kstest(p.sigma[p.sigma > 0].numpy(), stats.uniform(0.5, 1).cdf).pvalue > 1e-3


def test_policies_are_looked_up_by_id():
    ids = torch.arange(10).repeat(30)
    params = sample(POLICIES, ids, seeded())
    wanted = {
        "grayscale": params.grayscale & (ids != 1),
        "dark": params.shift == torch.tensor(-0.3),
        "contrast": params.contrast == torch.tensor(1.8),
        "noise": params.noise > 0,
        "blur": params.sigma > 0,
        "solarize": params.solarize,
        "cutout": params.cutout == 16,
        "rotation": params.angle != 0,
    }
    for name, got in wanted.items():
        assert torch.equal(got, ids == POLICIES.index(policy_by_name(name)))
    assert set((params.hue != 0).nonzero().flatten().remainder(10).tolist()) == {1}


def tensors(params):
    return [v for f in dataclasses.fields(params) if torch.is_tensor(v := getattr(params, f.name))]


def test_same_seed_same_draw_and_another_seed_another():
    ids = torch.arange(50) % 10
    first, again, other = (tensors(sample(POLICIES, ids, seeded(s))) for s in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first[:4], other[:4], strict=True))
    torch.manual_seed(3)
    default = tensors(sample(POLICIES, ids))
    assert all(torch.equal(a, b) for a, b in zip(default, first, strict=True))


def test_active_steps_are_possible_steps():
    params = sample(POLICIES, torch.arange(200) % 10, seeded())
    active = dict(zip(STEPS, active_steps(params), strict=True))
    assert {step for step, views in active.items() if views.any()} <= set(params.steps)
    jitters = (params.brightness != 1) | (params.contrast != 1)
    blends = sum(active[f"blend {stage}"].int() for stage in range(3))
    turns = sum(active[f"hue {stage}"].int() for stage in range(4))
    assert torch.equal(turns.bool(), params.hue != 0)
    assert int(turns.max()) == 1
    assert torch.equal(blends > 0, jitters)
    assert blends[params.hue != 0].unique().tolist() == [3]
    assert torch.equal(active["grayscale"], params.grayscale)
    assert torch.equal(active["rotation"], params.angle != 0)
    assert torch.equal(active["cutout"], params.cutout > 0)


def test_only_the_steps_of_the_policies_are_run_on_an_accelerator():
    assert sample(POLICIES[:1], torch.zeros(1, dtype=torch.int64)).steps == ()
    steps = sample([DEFAULT_POLICY], torch.zeros(1, dtype=torch.int64)).steps
    assert {step.split()[0] for step in steps} == {"blend", "hue", "grayscale"}


def test_params_index_length_and_device():
    params = sample(POLICIES, torch.arange(10), seeded())
    assert len(params) == 10
    assert len(params[3]) == len(params[-1]) == 1
    assert params[3].order.shape == (1, 4)
    for index in (np.int64(3), torch.tensor(3)):
        assert torch.equal(params[index].order, params[3].order)
    assert torch.equal(params[torch.tensor([4, 2])].left, params.left[[4, 2]])
    assert torch.equal(params[2:5].top, params.top[2:5])
    assert torch.equal(params[params.flip].top, params.top[params.flip])
    assert params.to("meta").hue.device.type == "meta"
    assert torch.equal(params.to("cpu").hue, params.hue)


def test_other_colours_on_the_same_views():
    params = sample([DEFAULT_POLICY], torch.zeros(40, dtype=torch.int64), seeded())
    rows = torch.arange(40).roll(7)
    swapped = params.with_colours_of(rows)
    colours = {*JITTER, "order", "grayscale"}
    assert params.steps == swapped.steps
    for f in dataclasses.fields(params):
        before, after = getattr(params, f.name), getattr(swapped, f.name)
        if torch.is_tensor(before):
            assert torch.equal(after, before[rows] if f.name in colours else before), f.name
            assert f.name not in colours or not torch.equal(after, before), f.name


def test_a_generator_of_another_gpu_is_refused():
    """Both are "cuda": the number decides, where both have one."""
    with FakeTensorMode():
        ids = torch.empty(4, dtype=torch.int64, device="cuda:0")
        wrong = SimpleNamespace(device=torch.device("cuda:1"))
        with pytest.raises(InputError, match="generator is on cuda:1 but ids are on cuda:0"):
            sample(POLICIES, ids, wrong)
    for one, other, same in (
        ("cuda:1", "cuda:1", True), ("cuda", "cuda:1", True), ("cpu", "cpu", True),
        ("cuda:0", "cuda:1", False), ("cpu", "cuda:0", False),
    ):  # fmt: skip
        assert _same_device(torch.device(one), torch.device(other)) is same


def test_describe_names_what_happens_in_order():
    texts = [describe(drawn(policy, 1), 0) for policy in POLICIES]
    words = ["", "", "grayscale", "brightness -0.30", "contrast x1.80", "noise sd 0.10"]
    words += ["blur sigma 1.00", "solarize at 0.50", "cutout 16 at row", "rotation"]
    assert all(text.startswith("crop ") for text in texts)
    assert all(word in text for word, text in zip(words, texts, strict=True))
    params = drawn(dataclasses.replace(DEFAULT_POLICY, jitter=1.0), 1)
    text = describe(params, 0)
    places = [text.index(JITTER[kind]) for kind in params.order[0]]
    assert places == sorted(places)


IDS = torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], IDS), "policies is empty"),
        ((DEFAULT_POLICY, IDS), "policies must be a sequence of Policy"),
        ((["weak"], IDS), "policies must be a sequence of Policy"),
        ((POLICIES, IDS + 10), r"ids must lie in 0..9 for 10 policies, got 10..10"),
        ((POLICIES, IDS - 1), r"ids must lie in 0..9"),
        (
            (POLICIES, IDS.float()),
            r"ids must be an int64 tensor of shape \(B,\), got torch.float32",
        ),
        ((POLICIES, IDS[None]), r"ids must be an int64 .* got torch.int64 \(1, 4\)"),
        ((POLICIES, [0, 1]), "ids must be an int64 tensor .* got list"),
        ((POLICIES, IDS, None, 12), "size must be an int of at least 16 pixels"),
        ((POLICIES[:1], IDS, None, 1), "size must be an int of at least 4 pixels"),
        ((POLICIES[:1], IDS, None, 32.0), "size must be an int"),
        ((POLICIES[:1], IDS, None, (32, 32)), "size must be an int"),
        ((POLICIES[:1], IDS, None, np.int64(32)), r"size must be an int .* 32 \(int64\)"),
        ((POLICIES, IDS.to("meta"), torch.Generator()), "generator is on cpu but ids are on meta"),
    ],
)
def test_bad_sample(arguments, message):
    with pytest.raises(InputError, match=message):
        sample(*arguments)
