"""widgets.live: the page's formulas are the package's, and the pictures answer."""

import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from headless import opened
from scripts import node

import contrastive_tutorial
from contrastive_tutorial import losses, norm
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.widgets import Formula
from contrastive_tutorial.widgets.formulas import KINDS

STATIC = Path(contrastive_tutorial.__file__).parent / "widgets" / "static"


def corners_and_random(kind, count=60):
    """Values a reader can set: both ends of every control, and random ones."""
    generator = random.Random(0)

    def value(control, where):
        if isinstance(control.value, bool):
            return where > 0.5
        if control.among:
            return control.among[round(where * (len(control.among) - 1))]
        at = control.least + where * (control.most - control.least)
        return 10**at if control.log else at

    places = [0.0, 1.0, *(generator.random() for _ in range(count))]
    cases = [{c.name: c.value for c in kind.controls}]
    for place in places:
        spread = (place, place) if place in (0.0, 1.0) else (generator.random(), place)
        cases.append({c.name: value(c, spread[i % 2]) for i, c in enumerate(kind.controls)})
    return cases


def in_the_page(name, cases, drawn=False):
    """Each case with what the page computes for it, or draws."""
    job = {"file": str(STATIC / "live" / f"{KINDS[name].file or name}.js"),
           "core": str(STATIC / "live.js"), "kind": name, "cases": cases,
           "drawn": drawn}  # fmt: skip
    script = Path(__file__).with_name("live_numbers.js")
    return zip(cases, node(script, given=job), strict=True)


@pytest.mark.parametrize("name", KINDS)
def test_the_page_computes_what_the_package_computes(name):
    for case, found in in_the_page(name, corners_and_random(KINDS[name])):
        expected = KINDS[name].numbers(**case)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(
                found[key], value, rtol=1e-12, atol=1e-12, err_msg=f"{key} at {case}"
            )


def test_the_areas_of_the_integrand_are_the_divergence():
    numbers = Formula("normals", mean_q=1.5, std_q=0.7, std_p=1.3).numbers
    assert numbers["above"] + numbers["below"] == pytest.approx(numbers["kl"], abs=1e-9)
    assert numbers["below"] < 0 < numbers["above"]


def test_the_share_of_a_negative_is_its_share_of_the_gradient():
    """Of InfoNCE itself: unit vectors with the given cosines to the anchor."""
    numbers = Formula("weights", temperature=0.1).numbers
    angles = torch.tensor([0.6, *numbers["negatives"]], dtype=torch.float64).acos()
    unit = torch.stack([angles.cos(), angles.sin()], 1)
    scale = torch.ones(len(angles), dtype=torch.float64, requires_grad=True)
    logits = scale * unit[:, 0]  # the derivative by scale is the one by similarity, times it
    loss = losses.info_nce(
        torch.tensor([[1.0, 0.0]], dtype=torch.float64),
        torch.stack([logits[:1], unit[:1, 1]], 1),
        torch.stack([logits[1:], unit[1:, 1]], 1)[None],
        0.1,
        normalize=False,
    )
    (gradient,) = torch.autograd.grad(loss, scale)
    pushed = gradient[1:] / unit[1:, 0]
    np.testing.assert_allclose(pushed / pushed.sum(), numbers["soft"], rtol=1e-9)


def test_codes_go_from_one_point_to_the_simplex_and_no_farther():
    cases = [
        {"groups": groups, "apart": apart, "temperature": 0.5}
        for groups in KINDS["floor"].controls[0].among
        for apart in (0.0, 30.0, 90.0, 100.0)
    ]
    for case, page in in_the_page("floor", cases):
        for numbers in (Formula("floor", **case).numbers, page):
            low, high = numbers["floor"] - 1e-12, numbers["same"] + 1e-12
            assert low <= numbers["loss"] <= high
            cosine = math.cos(math.radians(numbers["angle"]))
            assert cosine >= -1 / (case["groups"] - 1) - 1e-12
            if case["apart"] in (0, 100):
                edge = numbers["floor" if case["apart"] else "same"]
                assert numbers["loss"] == pytest.approx(edge, abs=1e-12)


def test_a_triplet_on_the_edge_is_easy_and_a_tie_is_hard():
    """Whatever a sum of decimals is in binary: the loss shows 0.000 and no arrow is drawn."""
    edges = [(p, round(p + m, 2), m, 0) for p in (0.1, 0.33, 0.6) for m in (0.02, 0.2, 0.3)]
    ties = [(p, 0.05 + round((p - 0.05) / 0.01) * 0.01, 0.3, 2) for p in (0.3, 0.6, 0.7)]
    assert any(far != near for near, far, *_ in ties)  # not to a computer
    assert any(far < near + margin for near, far, margin, _ in edges)
    cases = [
        {"to_positive": near, "to_negative": far, "turn": 126.0, "margin": margin}
        for near, far, margin, _ in edges + ties
    ]
    for (*_, kind), (case, page) in zip(edges + ties, in_the_page("triplet", cases), strict=True):
        for numbers in (Formula("triplet", **case).numbers, page):
            assert numbers["kind"] == kind
            assert (numbers["loss"] == 0) == (kind == 0)
            assert bool(np.any(numbers["moves"])) == (kind != 0)


def test_of_two_vectors_at_one_angle_neither_is_marked_as_closer():
    cases = [{"angle": angle, "length": 1.0, "normalise": True} for angle in (0.0, 60.0, 20.0)]
    marks = [" ".join(page["words"]).count("✓") for _, page in in_the_page("vectors", cases, True)]
    assert marks == [0, 0, 3]


@pytest.mark.parametrize("mean", [0.0, 0.3, -0.3, 1.35])
def test_the_share_of_the_bars_in_the_colour_of_the_extremes_is_p(mean):
    case = {"seeds": 6, "mean": mean, "spread": 1.0}
    ((_, page),) = in_the_page("flips", [case], drawn=True)
    extreme = page["heights"]["var(--c1)"]
    nearer = page["heights"].get("var(--c0)", 0.0)
    p = Formula("flips", **case).numbers["p"]
    assert extreme / (extreme + nearer) == pytest.approx(p, abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_noise_of_a_mean_is_that_of_the_layers(shift):
    """Means that our norms take of many random batches, against the true mean of a part."""
    batch, parts, draws = 20, 4, 20_000
    numbers = Formula("noise", batch=batch, parts=parts, shift=shift).numbers
    truth = torch.linspace(-1, 1, parts, dtype=torch.float64)
    truth *= shift / truth.square().mean().sqrt()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, draws, generator=generator, dtype=torch.float64)
    x += truth.repeat_interleave(batch // parts)[:, None]
    layers = {
        "own": norm.SplitBatchNorm1d(draws, parts, momentum=1.0),  # it keeps the last mean alone
        "miss": torch.nn.BatchNorm1d(draws, momentum=1.0),
    }
    for name, layer in layers.items():
        layer.double().train()(x)
        off = layer.running_mean.expand(parts, -1) - truth[:, None]
        assert float(off.square().mean().sqrt()) == pytest.approx(numbers[name], rel=0.01)


@pytest.mark.parametrize(
    ("kind", "start", "named"),
    [
        ("normal", {}, "normals"),
        ("sweep", {"std": 1}, "std_q"),
        ("sweep", {"std_q": math.nan}, "std_q"),
        ("sweep", {"std_q": 0.0}, "0.3 to 6"),
        ("sweep", {"std_q": "wide"}, "number"),
        ("sweep", {"std_q": True}, "number"),
        ("weights", {"temperature": 0.0}, "0.01 to 10"),
        ("floor", {"groups": 3}, "one of"),
        ("vectors", {"normalise": 1}, "True or False"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(kind, start, named):
    with pytest.raises(InputError, match=re.escape(named)):
        Formula(kind, **start)


@pytest.mark.parametrize(("kind", "start"), [("flips", {"seeds": 5}), ("sheet", {"norm": 2})])
def test_a_whole_number_may_be_written_with_a_point(kind, start):
    pointed = {name: float(value) for name, value in start.items()}
    assert Formula(kind, **pointed).numbers == Formula(kind, **start).numbers


@pytest.mark.parametrize("name", KINDS)
def test_one_piece_of_html_is_small_and_has_a_still(name):
    html = Formula(name).html
    assert len(html.rpartition("<script>")[2]) < 18_000  # with the host that every widget has
    assert re.search(r'<noscript><img alt="[^"]+" width="480" src="data:image/png', html)
    assert len(html) < 60_000


_READ = """() => {
  const root = [...document.querySelectorAll("*")].find((node) => node.shadowRoot).shadowRoot;
  const frame = root.querySelector(".stage > svg").getBoundingClientRect();
  return [...root.querySelectorAll(".stage > svg text")].map((node) => {
    const box = node.getBoundingClientRect();
    return [node.textContent, box.left - frame.left, frame.right - box.right,
      box.top - frame.top, frame.bottom - box.bottom];
  });
}"""
_FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@pytest.mark.browser
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("name", KINDS)
def test_pictures_answer_keys_and_pointer_and_words_stay_in_sight(name, theme, width, tmp_path):
    view = {"color_scheme": theme, "viewport": {"width": width, "height": 800}}
    with opened(Formula(name).save_html(tmp_path / "f.html"), **view) as tab:
        player = tab.locator(".player")
        assert player.get_attribute("data-theme") == theme
        picture = player.locator(".stage > svg")
        sliders = player.locator("input[type=range]")
        for slider in sliders.all():
            before = picture.inner_html()
            slider.focus()
            slider.press("ArrowLeft")
            tab.evaluate(_FRAME)
            assert picture.inner_html() != before, slider.get_attribute("aria-valuetext")
        tab.locator("[role=status]", has_text=re.compile(r"\d")).wait_for(state="attached")
        for mark in player.locator(".mark").all():
            mark.scroll_into_view_if_needed()
            before = picture.inner_html()
            box = mark.bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            tab.mouse.move(x, y)
            tab.mouse.down()
            tab.mouse.move(x - 30, y - 20, steps=4)
            tab.mouse.move(-500, 5_000, steps=2)  # off every edge
            tab.mouse.up()
            tab.evaluate(_FRAME)
            assert picture.inner_html() != before
            assert "NaN" not in picture.inner_html()
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        places = [(i, key) for i in range(sliders.count()) for key in ("Home", "End")]
        for i, key in [*places, *((i, "Home") for i in range(sliders.count()))]:
            sliders.nth(i).press(key)  # each end beside the others' last end, then all at theirs
            tab.evaluate(_FRAME)
            for words, *gaps in tab.evaluate(_READ):
                assert not re.search(r"NaN|Infinity|undefined|-0\.0+(?!\d)", words), words
                assert min(gaps) > -1, (words, gaps, key, i)


@pytest.mark.browser
def test_without_javascript_there_is_a_picture(tmp_path):
    path = Formula("triplet").save_html(tmp_path / "f.html")
    with opened(path, java_script_enabled=False) as tab:
        assert tab.locator("noscript img, img").first.is_visible()
        assert "semi-hard" in tab.locator(".ct-fallback").text_content()
