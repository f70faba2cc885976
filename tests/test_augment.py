"""`augment` against torchvision's functional operations, image by image, and its samplers."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as T
import torchvision.transforms.v2.functional as TF
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchvision.transforms import RandomResizedCrop

from contrastive_tutorial import augment
from contrastive_tutorial.augment import (
    DEFAULT_POLICY,
    JITTER,
    POLICIES,
    STEPS,
    Policy,
    apply,
    describe,
    policy_by_name,
    sample,
)
from contrastive_tutorial.errors import InputError

# No crop and no flip, so that one operation stands alone.
STILL = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "flip": 0.0}

ALONE = {
    "crop": Policy("crop", flip=0.0),
    "flip": Policy("flip", **STILL | {"flip": 1.0}),
    "rotation": Policy("rotation", rotation=180.0, **STILL),
    "brightness": Policy("brightness", jitter=1.0, brightness=(0.0, 2.5), **STILL),
    "contrast": Policy("contrast", jitter=1.0, contrast=(0.0, 2.5), **STILL),
    "saturation": Policy("saturation", jitter=1.0, saturation=(0.0, 2.5), **STILL),
    "hue": Policy("hue", jitter=1.0, hue=(-0.5, 0.5), **STILL),
    "grayscale": Policy("grayscale", grayscale=1.0, **STILL),
    "shift": Policy("shift", shift=0.4, **STILL),
    "blur": Policy("blur", blur=1.0, sigma=(0.1, 3.0), **STILL),
    "solarize": Policy("solarize", solarize=1.0, threshold=0.3, **STILL),
    "cutout": Policy("cutout", cutout=7, **STILL),
}
EVERYTHING = Policy(
    "everything", jitter=0.8, brightness=(0.2, 1.8), contrast=(0.2, 1.8), saturation=(0.2, 1.8),
    hue=(-0.5, 0.5), grayscale=0.3, shift=0.1, rotation=45.0, blur=0.5, sigma=(0.1, 2.0),
    solarize=0.5, cutout=8,
)  # fmt: skip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count, size=32, seed=0, dtype=torch.uint8):
    """Random images, half of them smooth, with pure black, white, gray and primary pixels."""
    images = torch.randint(0, 256, (count, 3, size, size), generator=seeded(seed))
    smooth = torch.nn.functional.avg_pool2d(images[::2].float(), 5, 1, 2).long()
    images[::2] = ((smooth - 128) * 3 + 128).clamp(0, 255)
    corners = torch.tensor([*itertools.product((0, 255), repeat=3), (9, 9, 9)])
    images[:, :, 0, :4] = corners[:4].T
    images[:, :, -1, :5] = corners[4:].T
    return images.to(torch.uint8) if dtype == torch.uint8 else images.to(dtype) / 255


def by_torchvision(images, params, antialias=False):
    """The same views, one image and one torchvision call at a time (all steps but the noise)."""
    views = []
    for i, image in enumerate(images):
        p = {f.name: getattr(params, f.name) for f in dataclasses.fields(params)}
        p = {k: v[i].tolist() if isinstance(v, torch.Tensor) else v for k, v in p.items()}
        x = image[None].float() / (255 if image.dtype == torch.uint8 else 1)
        box = p["top"], p["left"], p["height"], p["width"]
        x = TF.resized_crop(x, *box, [p["size"]] * 2, antialias=antialias)
        x = TF.horizontal_flip(x) if p["flip"] else x
        if p["angle"]:
            x = TF.rotate(x, p["angle"], interpolation=T.InterpolationMode.BILINEAR)
        for name in (JITTER[k] for k in p["order"]):
            x = getattr(TF, f"adjust_{name}")(x, p[name])
        x = TF.rgb_to_grayscale(x, 3) if p["grayscale"] else x
        x = (x + p["shift"]).clamp(0, 1)
        if p["sigma"]:
            x = TF.gaussian_blur(x, [7, 7], [p["sigma"]])
        x = TF.solarize(x, p["threshold"]) if p["solarize"] else x
        if p["cutout"]:
            hole = p["cutout_top"], p["cutout_left"], p["cutout"], p["cutout"]
            x = TF.erase(x, *hole, torch.zeros(1))
        views.append(x)
    return torch.cat(views)


def assert_close_but_for_solarize(ours, theirs, params, tolerance=1e-5):
    """Solarisation jumps at its threshold: a value within rounding of it may fall on either side,
    and then the two results are mirror images of each other."""
    error = (ours - theirs).abs()
    at_threshold = (theirs - params.threshold[:, None, None, None]).abs() < tolerance
    at_threshold |= (1 - theirs - params.threshold[:, None, None, None]).abs() < tolerance
    at_threshold &= params.solarize[:, None, None, None]
    assert float(error[~at_threshold].max()) < tolerance
    assert float(at_threshold.float().mean()) < 1e-3


# ------------------------------------------------------------------------ against torchvision


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("name", ALONE)
def test_each_operation_is_torchvisions(name, dtype):
    images = pictures(60, dtype=dtype)
    params = sample([ALONE[name]], torch.zeros(60, dtype=torch.int64), seeded())
    ours, theirs = apply(images, params), by_torchvision(images, params)
    assert not torch.allclose(ours, images / (255 if dtype == torch.uint8 else 1), atol=0.05)
    assert_close_but_for_solarize(ours, theirs, params)


@pytest.mark.parametrize("size", [8, 31, 32])
@pytest.mark.parametrize("antialias", [False, True])
def test_all_operations_in_order_are_torchvisions(antialias, size):
    images = pictures(80, size)
    params = sample([EVERYTHING], torch.zeros(80, dtype=torch.int64), seeded(), size=size)
    assert_close_but_for_solarize(
        apply(images, params), by_torchvision(images, params, antialias), params, 3e-5
    )


@pytest.mark.parametrize("policy", [p for p in POLICIES if not p.noise], ids=lambda p: p.name)
def test_the_policies_are_torchvisions(policy):
    images = pictures(50)
    params = sample([policy], torch.zeros(50, dtype=torch.int64), seeded())
    theirs = by_torchvision(images, params)
    assert_close_but_for_solarize(apply(images, params), theirs, params)


def test_every_order_of_the_jitter_occurs_and_is_obeyed():
    images = pictures(400)
    params = sample([DEFAULT_POLICY], torch.zeros(400, dtype=torch.int64), seeded())
    assert len({tuple(order) for order in params.order.tolist()}) == 24
    forward = apply(images, params)
    backward = apply(images, dataclasses.replace(params, order=params.order.flip(1)))
    jittered = (params.brightness != 1).nonzero().flatten()
    assert float((forward - backward)[jittered].abs().amax((1, 2, 3)).median()) > 0.01


# -------------------------------------------------------------------------------- the drawing


def drawn(policy, count=4000, seed=0, **kwargs):
    return sample([policy], torch.zeros(count, dtype=torch.int64), seeded(seed), **kwargs)


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


def test_jitter_is_distributed_as_torchvisions():
    params = drawn(dataclasses.replace(DEFAULT_POLICY, jitter=1.0))
    torch.manual_seed(1)
    factors = ((0.6, 1.4),) * 3 + ((-0.1, 0.1),)
    theirs = [T.ColorJitter(0.4, 0.4, 0.4, 0.1).make_params([]) for _ in range(1500)]
    keys = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
    for name, key, (low, high) in zip(JITTER, keys, factors, strict=True):
        ours = getattr(params, name)
        assert low <= float(ours.min()) <= float(ours.max()) <= high
        assert same_distribution(ours, [p[key] for p in theirs])
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


def test_the_ten_policies():
    names = "weak jitter-gray grayscale dark contrast noise blur solarize cutout rotation"
    assert [policy.name for policy in POLICIES] == names.split()
    assert POLICIES[1] is DEFAULT_POLICY
    assert all((p.scale, p.flip) == ((0.2, 1.0), 0.5) for p in POLICIES)


def test_same_seed_same_draw_and_another_seed_another():
    ids = torch.arange(50) % 10
    first, again, other = (sample(POLICIES, ids, seeded(s)) for s in (3, 3, 4))
    images = pictures(50)
    assert torch.equal(apply(images, first), apply(images, again))
    assert not torch.equal(first.left, other.left)
    torch.manual_seed(5)
    default = sample(POLICIES, ids)
    torch.manual_seed(5)
    assert torch.equal(sample(POLICIES, ids).top, default.top)


# ----------------------------------------------------------------------------------- the noise


def test_noise_is_standard_normal_and_independent():
    images = torch.full((40, 3, 32, 32), 0.5)
    params = drawn(Policy("noise", noise=0.05, **STILL), 40)
    noise = ((apply(images, params) - 0.5) / 0.05).flatten(1).double().numpy()
    assert np.abs(noise).max() < 10  # so that no value was clamped
    assert stats.kstest(noise[:8].ravel(), stats.norm.cdf).pvalue > 1e-3
    assert stats.kstest(noise[:, 77], stats.norm.cdf).pvalue > 1e-3
    between_images = np.corrcoef(noise) - np.eye(40)
    assert np.abs(between_images).max() < 5.5 / np.sqrt(noise.shape[1])
    for lag in (1, 32, 1024, 1536):
        correlation = np.mean(noise[:, lag:] * noise[:, :-lag])
        assert abs(correlation) < 5 / np.sqrt(noise[:, lag:].size)


def test_noise_belongs_to_the_parameters():
    images = pictures(20)
    params = drawn(policy_by_name("noise"), 20)
    assert torch.equal(apply(images, params), apply(images, params))
    assert torch.equal(apply(images, params)[5:9], apply(images[5:9], params[5:9]))


# ------------------------------------------------------------------ the two ways through apply


def test_an_image_does_not_see_its_batch():
    images, ids = pictures(300), torch.arange(300) % 10
    params = sample(POLICIES, ids, seeded())
    views = apply(images, params)
    some = torch.randperm(300, generator=seeded())[:60]
    torch.testing.assert_close(apply(images[some], params[some]), views[some], atol=1e-6, rtol=0)


def test_masks_and_groups_agree():
    images, ids = pictures(300), torch.arange(300) % 11
    params = sample([*POLICIES, EVERYTHING], ids, seeded())
    masked = augment._apply_masked(images, params)
    torch.testing.assert_close(apply(images, params), masked, atol=1e-6, rtol=0)
    assert params.steps == STEPS


def test_groups_smaller_than_the_batch(monkeypatch):
    images, params = pictures(100), drawn(DEFAULT_POLICY, 100)
    views = apply(images, params)
    monkeypatch.setattr(augment, "_IMAGES_PER_GROUP", 7)
    torch.testing.assert_close(apply(images, params), views, atol=1e-6, rtol=0)


def test_an_accelerator_never_waits_for_the_host():
    """Meta tensors have no values: reading one on the way would raise."""
    ids = torch.zeros(12, dtype=torch.int64, device="meta")
    params = sample([EVERYTHING, *POLICIES], ids)
    views = apply(torch.empty(12, 3, 32, 32, dtype=torch.uint8, device="meta"), params)
    assert views.shape == (12, 3, 32, 32)
    assert views.dtype == torch.float32


def test_only_the_steps_of_the_policies_are_run_on_an_accelerator():
    assert sample(POLICIES[:1], torch.zeros(1, dtype=torch.int64)).steps == ()
    steps = sample([DEFAULT_POLICY], torch.zeros(1, dtype=torch.int64)).steps
    assert {step.split()[0] for step in steps} == {"blend", "hue", "grayscale"}


def test_compiles_without_a_break():
    images, params = pictures(30), sample(POLICIES, torch.arange(30) % 10, seeded())
    compiled = torch.compile(apply, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images, params), apply(images, params), atol=1e-5, rtol=0)


def test_autocast_does_not_coarsen_the_images():
    images, params = pictures(60), sample(POLICIES, torch.arange(60) % 10, seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        views = apply(images, params)
    assert torch.equal(views, apply(images, params))


# ---------------------------------------------------------------------------------- properties

probability = st.sampled_from([0.0, 0.5, 1.0])
factor = st.tuples(st.floats(0, 1), st.floats(1, 3))
recipes = st.builds(
    Policy,
    name=st.just("any"),
    scale=st.tuples(st.floats(0.01, 0.5), st.floats(0.5, 1)),
    ratio=st.tuples(st.floats(0.2, 1.5), st.floats(1.5, 5)),
    flip=probability,
    jitter=probability,
    brightness=factor,
    contrast=factor,
    saturation=factor,
    hue=st.tuples(st.floats(-0.5, 0), st.floats(0, 0.5)),
    grayscale=probability,
    shift=st.floats(-1, 1),
    rotation=st.floats(0, 180),
    blur=probability,
    sigma=st.tuples(st.floats(0.01, 1), st.floats(1, 5)),
    solarize=probability,
    threshold=st.floats(0, 1),
    noise=st.floats(0, 2),
    cutout=st.integers(0, 5),
)


@given(
    policies=st.lists(recipes, min_size=1, max_size=3),
    size=st.integers(5, 40),
    count=st.integers(0, 12),
    dtype=st.sampled_from([torch.uint8, torch.float16, torch.float32, torch.float64]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_any_policy_gives_valid_crops_and_views(policies, size, count, dtype, seed):
    images = pictures(max(count, 1), size, seed, dtype)[:count]
    ids = torch.randint(len(policies), (count,), generator=seeded(seed))
    params = sample(policies, ids, seeded(seed), size=size)
    assert bool((params.top >= 0).all() and (params.left >= 0).all())
    assert bool((params.height >= 1).all() and (params.width >= 1).all())
    assert bool((params.top + params.height <= size).all())
    assert bool((params.left + params.width <= size).all())
    before = images.clone()
    views = apply(images, params)
    assert torch.equal(images, before)
    assert views.shape == images.shape
    assert views.dtype == torch.float32
    assert views.is_contiguous()
    assert bool(((views >= 0) & (views <= 1)).all())


@given(hue=st.floats(-0.5, 0.5), pixel=st.tuples(*[st.integers(0, 255)] * 3))
@settings(max_examples=60, deadline=None)
def test_hue_keeps_value_and_chroma(hue, pixel):
    images = torch.tensor(pixel, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    params = drawn(Policy("hue", jitter=1.0, hue=(hue, hue), **STILL), 1, size=4)
    view = apply(images, params)[0, :, 0, 0] * 255
    torch.testing.assert_close(view.max(), torch.tensor(float(max(pixel))), atol=1e-3, rtol=0)
    torch.testing.assert_close(view.min(), torch.tensor(float(min(pixel))), atol=1e-3, rtol=0)


def test_identity_policy_returns_the_image():
    images = pictures(10)
    views = apply(images, drawn(Policy("identity", **STILL), 10))
    torch.testing.assert_close(views, images / 255, atol=1e-6, rtol=0)


def test_noncontiguous_images():
    images, params = pictures(30), drawn(DEFAULT_POLICY, 30)
    rearranged = images.permute(1, 3, 2, 0).contiguous().permute(3, 0, 2, 1)
    assert torch.equal(apply(rearranged, params), apply(images, params))


# ------------------------------------------------------------------------ params and describe


def test_params_index_length_and_device():
    params = sample(POLICIES, torch.arange(10), seeded())
    assert len(params) == 10
    assert len(params[3]) == len(params[-1]) == 1
    assert params[3].order.shape == (1, 4)
    assert torch.equal(params[torch.tensor([4, 2])].left, params.left[[4, 2]])
    assert torch.equal(params[2:5].top, params.top[2:5])
    assert torch.equal(params[params.flip].top, params.top[params.flip])
    assert params.to("meta").hue.device.type == "meta"
    assert torch.equal(params.to("cpu").hue, params.hue)


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


# ----------------------------------------------------------------------------------- bad input

IDS = torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flip": 1.5}, r"flip must be a probability in \[0, 1\], got 1.5"),
        ({"grayscale": float("nan")}, "grayscale must be a probability"),
        ({"scale": (0.8, 0.2)}, "scale must be a pair"),
        ({"scale": (0.0, 1.0)}, "scale must be a pair"),
        ({"ratio": (0.0, 1.0)}, "ratio must be a pair"),
        ({"brightness": 0.4}, "brightness must be a pair"),
        ({"contrast": (-1.0, 1.0)}, "contrast must be a pair"),
        ({"hue": (-0.6, 0.0)}, r"hue must be a pair \(low, high\) within \[-0.5, 0.5\]"),
        ({"sigma": (0.0, 1.0)}, "sigma must be a pair"),
        ({"shift": -1.5}, "shift must be a number"),
        ({"rotation": -30}, "rotation must be degrees"),
        ({"threshold": 128}, "threshold must be a value"),
        ({"noise": -0.1}, "noise must be a standard deviation"),
        ({"cutout": 2.5}, "cutout must be a whole number"),
    ],
)
def test_bad_policies(fields, message):
    with pytest.raises(InputError, match=f"policy 'bad': {message}"):
        Policy("bad", **fields)


def test_unknown_policy_lists_the_names():
    with pytest.raises(
        InputError, match="unknown policy 'strong': choose one of weak, jitter-gray"
    ):
        policy_by_name("strong")


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
        ((POLICIES, IDS, None, 12), "size must be at least 16 pixels"),
        ((POLICIES[:1], IDS, None, 1), "size must be at least 4 pixels"),
        ((POLICIES, IDS.to("meta"), torch.Generator()), "generator is on cpu but ids are on meta"),
    ],
)
def test_bad_sample(arguments, message):
    with pytest.raises(InputError, match=message):
        sample(*arguments)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(4, 3, 32, 32, dtype=torch.int64), "uint8 or floating point, got torch.int64"),
        (torch.zeros(5, 3, 32, 32), r"shape \(4, 3, 32, 32\) .* got \(5, 3, 32, 32\)"),
        (torch.zeros(4, 1, 32, 32), r"got \(4, 1, 32, 32\)"),
        (torch.zeros(4, 3, 32, 28), r"got \(4, 3, 32, 28\)"),
        (torch.zeros(3, 32, 32), r"got \(3, 32, 32\)"),
        (torch.zeros(4, 3, 32, 32, device="meta"), r"images are on meta but params on cpu"),
        (np.zeros((4, 3, 32, 32)), "got ndarray and Params"),
    ],
)
def test_bad_apply(images, message):
    with pytest.raises(InputError, match=message):
        apply(images, sample(POLICIES, IDS))
