"""widgets.sandbox: the page's losses are the package's, and its points do what the book says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from headless import opened
from scripts import node, state

import contrastive_tutorial
from contrastive_tutorial.widgets import Sandbox

FILE = Path(contrastive_tutorial.__file__).parent / "widgets" / "static" / "sandbox.js"
LOSSES = ("batch-hard", "batch-all", "semi-hard", "InfoNCE")


def page(cases=(), runs=()):
    job = {"file": str(FILE), "cases": list(cases), "runs": list(runs)}
    return node(Path(__file__).with_name("sandbox_numbers.js"), given=job)


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_gradient_are_the_packages(loss):
    box = Sandbox()
    cases, expected = [], []
    for seed, scale, margin, tau in [(0, 1, 0.2, 0.5), (1, 0.1, 1.0, 5.0), (2, 3, 0.02, 0.01)]:
        generator = torch.Generator().manual_seed(seed)
        points = scale * torch.randn(30, 2, generator=generator, dtype=torch.float64)
        points.requires_grad_()
        value = box.loss(loss, points, margin, tau)
        (gradient,) = torch.autograd.grad(value, points)
        expected.append((float(value.detach()), gradient.numpy()))
        cases.append({"loss": loss, "points": points.tolist(), "classes": box.classes.tolist(),
                      "margin": margin, "tau": tau})  # fmt: skip
    for (value, gradient), found in zip(expected, page(cases)["answers"], strict=True):
        assert found["loss"] == pytest.approx(value, rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(found["gradient"], gradient, rtol=1e-9, atol=1e-11)


def runs_of(loss, network):
    keys = ("inputs", "weights", "classes")
    return [
        {"loss": loss, "network": network, "steps": 1_200}
        | {key: state(Sandbox(seed=seed))[key] for key in keys}
        for seed in range(6)
    ]


def test_a_network_collapses_where_points_do_not():
    """What chapter 3 says: hardest negatives collapse a network, and no other loss here does; and
    points that move by themselves do not collapse."""
    for run in page(runs=runs_of("batch-hard", True))["ends"]:
        assert run["left"] < 0.05
        assert run["loss"] == pytest.approx(0.2, abs=0.01)  # the margin
    for loss in LOSSES[1:]:
        assert min(run["left"] for run in page(runs=runs_of(loss, True))["ends"]) > 0.3
    assert min(run["left"] for run in page(runs=runs_of("batch-hard", False))["ends"]) > 0.3


@pytest.mark.browser
def test_points_train_and_can_be_dragged(tmp_path):
    path = Sandbox().save_html(tmp_path / "s.html")
    with opened(path, viewport={"width": 390, "height": 900}) as tab:
        svg = tab.locator(".stage svg")
        before = svg.get_attribute("aria-label")
        tab.get_by_role("button", name="Train").press("Enter")
        tab.wait_for_function(
            "(old) => document.querySelector('.ct-widget > div').shadowRoot"
            ".querySelector('svg').getAttribute('aria-label') !== old",
            arg=before,
        )
        tab.get_by_role("button", name="Pause").click()
        assert (
            tab.locator("[role=status]")
            .text_content()
            .startswith("batch-hard moves a linear network: loss")
        )
        tab.get_by_label("what learns").select_option("the points themselves")
        points = before.replace("a linear network", "the points themselves")
        assert svg.get_attribute("aria-label") == points
        box = tab.locator(".point").first.bounding_box()
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tab.mouse.down()
        tab.mouse.move(-300, 5_000, steps=3)  # off every edge
        tab.mouse.up()
        assert svg.get_attribute("aria-label") != before
        assert "NaN" not in svg.inner_html()
        for slider in tab.locator("input[type=range]").all():
            slider.press("End")
        tab.get_by_label("loss", exact=True).select_option("InfoNCE")
        tab.get_by_role("button", name="Other start").click()
        assert "NaN" not in svg.get_attribute("aria-label")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
