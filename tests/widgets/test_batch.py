"""The batch builder: the numbers in the page are those of the package's layers, and it lives."""

import json

import numpy as np
import pytest
import torch
from headless import opened
from scripts import node
from torch import nn

from contrastive_tutorial import norm
from contrastive_tutorial.study import TINTS
from contrastive_tutorial.widgets.batch import KINDS, NAMES, BatchBuilder, patterns, shared
from contrastive_tutorial.widgets.fragment import module_source, squeezed

SUBSETS = [0, 0, 1, 1, 3, 3]


def page_says(call):
    """The value of an expression inside batch.js."""
    source = module_source("batch").replace("export default { render };", "")
    script = f"{source}\nprocess.stdout.write(JSON.stringify({call}));"
    return torch.tensor(node("-", given=script), dtype=torch.float64)


def batch(subsets=SUBSETS):
    """What the page computes with: float64 ``(N, 4, 9)``, and the same in JavaScript."""
    x = []
    for pattern, subset in zip(patterns(), subsets, strict=False):
        gain, offset = (np.array(part)[:, None] for part in TINTS[subset])
        rgb = pattern * gain + offset
        x.append(np.vstack([rgb, rgb.mean(0)]))
    return torch.tensor(np.array(x))


def test_the_page_makes_the_channels_that_it_says():
    tints = [{"gain": gain, "offset": offset} for gain, offset in TINTS]
    for pattern, subset, expected in zip(patterns(), SUBSETS, batch(), strict=False):
        call = f"channels({json.dumps(pattern.tolist())}, {json.dumps(tints[subset])})"
        assert torch.allclose(page_says(call), expected, atol=1e-12)


def test_zero_has_no_minus_sign():
    assert page_says('[signed(-0.001) === "+0.00", signed(-0.012) === "−0.01"].map(Number)').all()


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_what_the_layers_compute(kind):
    x = batch()
    layers = {
        "batch": nn.BatchNorm1d(4, affine=False),
        "layer": nn.GroupNorm(1, 4),
        "instance": nn.InstanceNorm1d(4),
        "group": nn.GroupNorm(2, 4),
        "split": norm.SplitBatchNorm1d(4, num_subsets=3),
    }
    expected = layers[kind].double()(x).detach()
    found = page_says(f"normalize({json.dumps(x.tolist())}, {SUBSETS}, {kind!r})")
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", ["mean", "pooled", "branch:1"])
def test_a_split_layer_is_tested_with_the_packages_statistics(how):
    x, image = batch(), batch([2])
    layer = norm.SplitBatchNorm1d(4, num_subsets=3).double()
    parts = x.view(3, 2, 4, 9)
    layer.running_mean.copy_(parts.mean((1, 3)))
    layer.running_var.copy_(parts.var((1, 3), correction=0))
    with norm.evaluation_statistics(layer, how) as forward:
        expected = forward(image).detach()
    found = page_says(
        f"testing({json.dumps(image[0].tolist())}, {json.dumps(x.tolist())}, {SUBSETS}, {how!r})"
    )
    assert torch.allclose(found, expected[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", ["kept", "alone"])
def test_one_set_of_statistics_is_kept_or_is_the_images_own(how):
    x, image = batch(), batch([2])
    source = x if how == "kept" else image
    mean, var = source.mean((0, 2)), source.var((0, 2), correction=0)
    expected = nn.functional.batch_norm(image, mean, var)
    found = page_says(
        f"testing({json.dumps(image[0].tolist())}, {json.dumps(x.tolist())}, {SUBSETS}, {how!r})"
    )
    assert torch.allclose(found, expected[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_page_and_figure_agree_on_what_shares_a_mean(kind):
    call = f"{SUBSETS}.map((s, n) => [0, 1, 2, 3].map((c) => String(SHARES.{kind}(n, c, s))))"
    keys = page_says(f"({call}).map((r, _, all) => r.map((k) => all.flat().indexOf(k)))").numpy()
    ours = shared(kind, SUBSETS)
    same = ours.reshape(-1, 1) == ours.reshape(1, -1)
    assert np.array_equal(keys.reshape(-1, 1) == keys.reshape(1, -1), same)


def test_it_is_small_and_says_what_it_shows_where_scripts_do_not_run():
    builder = BatchBuilder()
    assert len(squeezed(module_source("batch")).encode()) <= 13_400  # with what all widgets need
    assert "<noscript><svg" in builder.html
    assert 'role="img"' in builder.html
    bundle = builder._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain", "image/png"}


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_it_lives_and_the_keyboard_is_enough(tmp_path, width):
    saved = BatchBuilder().save_html(tmp_path / "batch.html")
    with opened(saved, viewport={"width": width, "height": 900}) as page:
        said = page.locator("output")
        assert "Image 1 (normal), red" in said.text_content()
        assert "36 values" in said.text_content()  # four images of nine positions
        page.get_by_role("tab", name="batch").focus()
        for kind, count in [("layer", 36), ("instance", 9), ("group", 18), ("split", 27)]:
            page.keyboard.press("ArrowRight")
            assert f"{count} values" in said.text_content(), kind
        focused = "el => el.shadowRoot.activeElement.textContent"
        assert page.evaluate(f"({focused})(document.querySelector('.ct-widget > div'))") == "split"
        for name in NAMES:
            page.get_by_role("button", name=name, exact=True).click()
        assert page.get_by_role("button", name="dark", exact=True).is_disabled()
        page.get_by_role("button", name="test: the marked image alone").click()
        page.get_by_role("button", name="branch reddish").click()
        assert "in training it was" in said.text_content()
        page.get_by_role("button", name="pooled").click()
        page.get_by_role("button", name="image 6, dark").click()
        # Zero with a mean of their own, and below it with one that brighter images share.
        assert "The 2 dark images average +0.00 in training, and −" in said.text_content()
        for _ in range(10):
            page.get_by_role("button", name="Take the marked one out").click(force=True)
        assert page.get_by_role("button", name="Take the marked one out").is_disabled()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
