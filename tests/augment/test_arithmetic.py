"""`augment` against torchvision's functional operations, image by image."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as T
import torchvision.transforms.v2.functional as TF
from drawn import drawn, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contrastive_tutorial.augment import (
    DEFAULT_POLICY,
    JITTER,
    JITTERED_POLICIES,
    POLICIES,
    SHIFTED_POLICIES,
    STEPS,
    Policy,
    apply,
    arithmetic,
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


def assert_close_but_for_solarize(ours, theirs, params, tolerance=1e-5, of_all=1e-3):
    """Solarisation jumps at its threshold: a value within rounding of it may fall on either side,
    and then the two results are mirror images of each other."""
    error = (ours - theirs).abs()
    at_threshold = (theirs - params.threshold[:, None, None, None]).abs() < tolerance
    at_threshold |= (1 - theirs - params.threshold[:, None, None, None]).abs() < tolerance
    at_threshold &= params.solarize[:, None, None, None]
    assert float(error[~at_threshold].max()) < tolerance
    assert float(at_threshold.float().mean()) < of_all


def masked(images, params, memory_format=torch.contiguous_format):
    """`apply` as compilers and accelerators go through it."""
    return arithmetic._apply_masked(images, params, memory_format)


both_ways = pytest.mark.parametrize("way", [apply, masked])


# ------------------------------------------------------------------------ against torchvision


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("name", ALONE)
@both_ways
def test_each_operation_is_torchvisions(way, name, dtype):
    images = pictures(60, dtype=dtype)
    params = sample([ALONE[name]], torch.zeros(60, dtype=torch.int64), seeded())
    ours, theirs = way(images, params), by_torchvision(images, params)
    assert not torch.allclose(ours, images / (255 if dtype == torch.uint8 else 1), atol=0.05)
    assert_close_but_for_solarize(ours, theirs, params)


@pytest.mark.parametrize("size", [8, 31, 32])
@pytest.mark.parametrize("antialias", [False, True])
@both_ways
def test_all_operations_in_order_are_torchvisions(way, antialias, size):
    images = pictures(80, size)
    params = drawn(EVERYTHING, 80, size=size)
    assert_close_but_for_solarize(
        way(images, params), by_torchvision(images, params, antialias), params, 3e-5
    )


@both_ways
def test_large_images_too(way):
    images = pictures(6, 224)
    params = drawn(EVERYTHING, 6, size=224)
    assert_close_but_for_solarize(way(images, params), by_torchvision(images, params), params, 1e-4)


@pytest.mark.parametrize(
    "policy",
    [p for p in (*POLICIES, *SHIFTED_POLICIES[::9], *JITTERED_POLICIES) if not p.noise],
    ids=lambda p: p.name,
)
@both_ways
def test_the_policies_are_torchvisions(way, policy):
    images = pictures(50)
    params = drawn(policy, 50)
    theirs = by_torchvision(images, params)
    assert_close_but_for_solarize(way(images, params), theirs, params)


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
    assert_close_but_for_solarize(masked(images, params), apply(images, params), params)
    assert params.steps == STEPS
    assert set(arithmetic._STEP) == set(STEPS)


def test_groups_smaller_than_the_batch(monkeypatch):
    images, params = pictures(100), drawn(DEFAULT_POLICY, 100)
    views = apply(images, params)
    monkeypatch.setattr(arithmetic, "_IMAGES_PER_GROUP", 7)
    torch.testing.assert_close(apply(images, params), views, atol=1e-6, rtol=0)


def test_an_accelerator_never_waits_for_the_host():
    """Meta tensors have no values: reading one on the way would raise."""
    ids = torch.zeros(12, dtype=torch.int64, device="meta")
    params = sample([EVERYTHING, *POLICIES], ids)
    views = apply(torch.empty(12, 3, 32, 32, dtype=torch.uint8, device="meta"), params)
    assert views.shape == (12, 3, 32, 32)
    assert views.dtype == torch.float32


def test_compiles_without_a_break():
    images, params = pictures(30), sample(POLICIES, torch.arange(30) % 10, seeded())
    compiled = torch.compile(apply, backend="aot_eager", fullgraph=True)
    for order in (torch.contiguous_format, torch.channels_last):
        views = compiled(images, params, memory_format=order)
        assert_close_but_for_solarize(views, apply(images, params), params)
        assert views.is_contiguous(memory_format=order)


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


@given(
    policies=st.lists(recipes, min_size=1, max_size=3),
    size=st.integers(5, 24),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    seed=st.integers(0, 1000),
)
@both_ways
@settings(max_examples=40, deadline=None)
def test_any_policy_is_torchvisions(way, policies, size, dtype, seed):
    # A threshold that no plain value hits, as 0 would on black: rounding would decide.
    policies = [
        dataclasses.replace(policy, noise=0.0, threshold=0.1234567 + 0.75 * policy.threshold)
        for policy in policies
    ]
    images = pictures(8, size, seed, dtype)
    ids = torch.randint(len(policies), (8,), generator=seeded(seed))
    params = sample(policies, ids, seeded(seed), size=size)
    assert_close_but_for_solarize(
        way(images, params), by_torchvision(images, params), params, 1e-3, of_all=0.05
    )


@given(hue=st.floats(-0.5, 0.5), pixel=st.tuples(*[st.integers(0, 255)] * 3))
@both_ways
@settings(max_examples=60, deadline=None)
def test_hue_keeps_value_and_chroma(way, hue, pixel):
    images = torch.tensor(pixel, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    params = drawn(Policy("hue", jitter=1.0, hue=(hue, hue), **STILL), 1, size=4)
    view = way(images, params)[0, :, 0, 0] * 255
    torch.testing.assert_close(view.max(), torch.tensor(float(max(pixel))), atol=1e-3, rtol=0)
    torch.testing.assert_close(view.min(), torch.tensor(float(min(pixel))), atol=1e-3, rtol=0)


def test_identity_policy_returns_the_image():
    images = pictures(10)
    views = apply(images, drawn(Policy("identity", **STILL), 10))
    torch.testing.assert_close(views, images / 255, atol=1e-6, rtol=0)


@pytest.mark.parametrize("way", [arithmetic._apply_in_groups, arithmetic._apply_masked])
@pytest.mark.parametrize("size", [32, 17])  # 17: an image is no whole number of 16 bytes
def test_channels_last_is_another_order_of_the_same_values(way, size, monkeypatch):
    images, params = (
        pictures(300, size),
        sample([*POLICIES, EVERYTHING], torch.arange(300) % 11, seeded(), size),
    )
    monkeypatch.setattr(arithmetic, "_apply_in_groups", way)
    order = torch.channels_last
    views = apply(images, params, memory_format=order)
    assert views.is_contiguous(memory_format=order)
    assert torch.equal(views, apply(images, params))


def test_noncontiguous_images():
    images, params = pictures(30), drawn(DEFAULT_POLICY, 30)
    rearranged = images.permute(1, 3, 2, 0).contiguous().permute(3, 0, 2, 1)
    assert torch.equal(apply(rearranged, params), apply(images, params))


# ----------------------------------------------------------------------------------- bad input

IDS = torch.zeros(4, dtype=torch.int64)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda x: x * 255, id="0..255"),
        pytest.param(lambda x: (x - 0.5) / 0.25, id="normalised"),
        pytest.param(lambda x: x - 0.01, id="a little below"),
        pytest.param(lambda x: x.masked_fill(x == x.max(), torch.nan), id="nan"),
        pytest.param(lambda x: x.masked_fill(x == x.max(), torch.inf), id="inf"),
    ],
)
def test_floating_point_images_of_another_range_are_refused_not_clamped(spoil, dtype):
    images = pictures(4, dtype=torch.float32)
    bad = spoil(images).to(dtype)
    for way in (bad, bad.to(memory_format=torch.channels_last), bad[:, :, ::1]):
        with pytest.raises(InputError, match=r"^floating point images must lie in \[0, 1\], got"):
            apply(way, sample(POLICIES, IDS))


def test_the_rounding_of_a_resize_is_no_other_range():
    images = pictures(4, dtype=torch.float32)
    params = sample(POLICIES, IDS, seeded())
    torch.testing.assert_close(
        apply(images * (1 + 1e-6) - 5e-7, params), apply(images, params), atol=1e-5, rtol=0
    )


def test_no_image_at_all():
    none = sample(POLICIES, IDS[:0])
    for dtype in (torch.uint8, torch.float32):
        assert apply(torch.empty(0, 3, 32, 32, dtype=dtype), none).shape == (0, 3, 32, 32)
