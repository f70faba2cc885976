"""norm_study: fair between kinds, faithful to K workers, idempotent, and strict about its input."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import shapes

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.norm import BatchRenorm2d, SplitBatchNorm2d
from contrastive_tutorial.study import norms
from contrastive_tutorial.study.norms import (
    CONDITIONS,
    NORMS,
    NUM_SUBSETS,
    TINTS,
    Setting,
    Trial,
    plan,
    shift,
)
from contrastive_tutorial.study.request import Request


@pytest.fixture(scope="module")
def images():
    return shapes(400, 40, 120)


def trial(images, norm="bn", condition="shifted", batch_size=16, seed=0, num_images=96):
    return Trial(
        Setting(norm, condition, batch_size, seed), images[0], images[2], num_images, "cpu"
    )


def test_tints_keep_values_in_range_and_leave_subset_zero_alone():
    for corner in (0.0, 1.0):
        x = torch.full((NUM_SUBSETS, 3, 2, 2), corner)
        tinted = shift(x, torch.arange(NUM_SUBSETS))
        assert 0 <= float(tinted.min()) <= float(tinted.max()) <= 1
        torch.testing.assert_close(tinted[0], x[0])
    assert len(set(TINTS)) == NUM_SUBSETS


def test_shift_is_gain_and_offset_by_channel():
    x = torch.rand(5, 3, 4, 4)
    ids = torch.tensor([3, 0, 1, 2, 3])
    tinted = shift(x, ids)
    for i, k in enumerate(ids.tolist()):
        for c in range(3):
            gain, offset = TINTS[k][0][c], TINTS[k][1][c]
            torch.testing.assert_close(tinted[i, c], gain * x[i, c] + offset)


@pytest.mark.parametrize("batch_size", [4, 16])
def test_kinds_share_weights_and_images(images, batch_size):
    trials = [trial(images, norm, batch_size=batch_size) for norm in NORMS]
    for step in range(3):
        batches = [t.batch(step) for t in trials]
        for x, labels in batches[1:]:
            torch.testing.assert_close(x, batches[0][0])
            assert torch.equal(labels, batches[0][1])
    for t in trials[1:]:
        assert torch.equal(t.model[0].weight, trials[0].model[0].weight)


def test_conditions_see_the_same_images_and_differ_in_tint_alone(images):
    shifted, plain = trial(images), trial(images, condition="exchangeable")
    (x, labels), (y, same) = shifted.batch(1), plain.batch(1)
    assert torch.equal(labels, same)
    assert torch.equal(x[:4], y[:4])  # subset 0 has no tint
    expected = (shift(y * 0.25 + 0.5, torch.arange(16) // 4) - 0.5) / 0.25
    torch.testing.assert_close(x, expected, atol=1e-5, rtol=1e-5)


def test_layers_are_of_the_kind_and_know_the_run(images):
    split, renorm = trial(images, "split").model[1], trial(images, "renorm").model[1]
    assert isinstance(split, SplitBatchNorm2d)
    assert split.num_groups == NUM_SUBSETS
    assert isinstance(renorm, BatchRenorm2d)
    assert renorm.total_steps == 96 // 16


def test_a_uniform_tint_vanishes_in_the_subsets_own_statistics(images):
    """Conv is linear, so a gain and offset of a whole image are what BN takes out (no padding)."""
    ready = trial(images, "split")
    alike = ready.inputs(torch.cat([images[0].images[:16]] * NUM_SUBSETS))
    maps = torch.nn.functional.conv2d(alike, ready.model[0].weight, stride=2)
    y = ready.model[1](maps).unflatten(0, (NUM_SUBSETS, 16))
    assert (y[1] - y[0]).abs().max() < 0.02  # dark
    assert (y[2] - y[0]).abs().max() < 0.02  # washed out
    assert (y[3] - y[0]).abs().max() > 0.5  # red: channels are shifted apart


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_records(images, norm, condition):
    ready = trial(images, norm, condition)
    record = ready.record()
    assert (record.cell, record.preset) == (f"{norm}-{condition}-b16", "norm")
    assert record.evaluation == ("pooled" if norm == "split" else "running")
    menu = {"as-trained", "precise"}
    assert set(record.evaluations) == (menu | set(norms.SPLIT_MENU) if norm == "split" else menu)
    for scores in (record.metrics, *record.evaluations.values()):
        assert 0 <= scores["test_accuracy"] <= 1
    assert record.hyperparameters["steps"] == 6
    assert ready.model.training


def test_evaluation_changes_nothing(images):
    ready = trial(images, "split")
    ready.train()
    before = {k: v.clone() for k, v in ready.model.state_dict().items()}
    assert ready.evaluate() == ready.evaluate()
    for name, value in ready.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_learns(images):
    found = trial(images, "bn", "exchangeable", 8, num_images=4_000).record()
    assert found.loss_curve[-1][1] < 0.9 * found.loss_curve[0][1]
    assert found.metrics["test_accuracy"] > 0.2


def test_the_plan_finishes_a_seed_before_the_next():
    runs = plan(seeds=[3, 5])
    assert len(runs) == 2 * len(NORMS) * len(CONDITIONS) * len(norms.BATCH_SIZES)
    assert [r.seed for r in runs] == sorted(r.seed for r in runs)
    assert len(set(runs)) == len(runs)


def test_a_request_names_its_setting_and_a_setting_its_request():
    for request in plan(seeds=[2]):
        assert Setting.of(request).request() == request
    for cell, k in (("bn-shifted", 4), ("bn-shifted-b16", 10), ("../x-shifted-b16", 4)):
        with pytest.raises(InputError, match="expected a cell such as"):
            Setting.of(Request(cell, "norm", num_subsets=k))


@settings(max_examples=40, deadline=None)
@given(size=st.integers(-8, 64), seed=st.integers(-3, 3))
def test_settings_are_valid_or_named(size, seed):
    if size >= NUM_SUBSETS and size % NUM_SUBSETS == 0 and seed >= 0:
        assert Setting("bn", "shifted", size, seed).cell == f"bn-shifted-b{size}"
    else:
        with pytest.raises(InputError, match=r"batch_size|seed"):
            Setting("bn", "shifted", size, seed)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda images: Setting("layer", "shifted", 4, 0), "norm: expected one of bn, renorm"),
        (lambda images: Setting("bn", "odd", 4, 0), "condition: expected one of exchangeable"),
        (lambda images: trial(images, num_images=8), "num_images: expected at least one batch"),
        (
            lambda images: trial((images[0],) * 2 + (images[2].subset(range(8)),)),
            "test_set: expected at least one batch of 16, got 8",
        ),
    ],
)
def test_bad_input_is_named(images, make, words):
    with pytest.raises(InputError, match=re.escape(words)):
        make(images)
