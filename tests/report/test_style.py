import base64
import json
import re
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.report import style

matplotlib.use("Agg")
import matplotlib.pyplot as plt

WHITE, DARK = "#ffffff", "#121212"


def relative_luminance(colour):
    """WCAG 2.2 definition of relative luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((relative_luminance(one), relative_luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(autouse=True)
def _book_style():
    style.use()


def line_figure():
    fig, ax = plt.subplots()
    ax.plot([0, 1, 2], [1, 3, 2], label="a")
    ax.set_title("A < B & C")
    ax.legend()
    return fig


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("colour", style.PALETTE)
def test_palette_shows_on_light_and_dark_pages(colour):
    assert min(contrast(colour, WHITE), contrast(colour, DARK)) >= 3.0


def test_ink_is_the_best_single_grey():
    def worst(grey):
        return min(contrast(grey, WHITE), contrast(grey, DARK))

    greys = [f"#{v:02x}{v:02x}{v:02x}" for v in range(256)]
    assert worst(style.INK) == max(map(worst, greys))


def test_colours_and_markers_are_distinct_and_pair_up():
    assert len(set(style.PALETTE)) == len(style.PALETTE) == len(style.MARKERS)
    assert len(set(style.MARKERS)) == len(style.MARKERS)


def test_svg_takes_the_page_colour_and_is_transparent():
    svg = style.picture(line_figure(), "three points").svg
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == "three points"
    assert style.INK not in svg
    assert "currentColor" in svg
    assert style.PALETTE[0].lower() in svg.lower()
    assert "<style" not in svg, "a style sheet inside one figure would apply to the whole page"
    assert not re.search(r"fill: ?(#ffffff|white)", svg)


@pytest.mark.parametrize(
    "alt", ['</svg><script>alert(1)</script>"', "标题 🙂 \u202eabc", "a\n\n b"]
)
def test_alt_text_is_escaped_and_kept(alt):
    root = ET.fromstring(style.picture(line_figure(), alt).svg)
    assert root.get("aria-label") == " ".join(alt.split())
    assert not [e for e in root.iter() if e.tag.endswith("script")]


def test_two_figures_share_no_ids_and_every_reference_resolves():
    one = style.picture(line_figure(), "one").svg
    fig, ax = plt.subplots()
    ax.plot([0, 1, 2], [5, 3, 2])
    two = style.picture(fig, "two").svg
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, known in zip((one, two), ids, strict=True):
        used = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))
        assert used
        assert used <= known


def test_the_same_figure_gives_the_same_bytes():
    one, two = style.picture(line_figure(), "x"), style.picture(line_figure(), "x")
    assert one.svg == two.svg
    assert one.png == two.png


def test_large_point_clouds_are_stored_as_pixels():
    fig, ax = plt.subplots()
    ax.scatter(*np.random.default_rng(0).normal(size=(2, 2000)), s=4)
    svg = style.picture(fig, "a cloud").svg
    assert "data:image/webp;base64" in svg
    assert len(svg) < 200_000


def test_bundle_carries_html_png_and_words_and_the_figure_is_closed():
    fig = line_figure()
    bundle = style.picture(fig, "three points")._repr_mimebundle_()
    assert not plt.fignum_exists(fig.number)
    assert bundle["text/html"].startswith("<svg")
    assert ">A &lt; B &amp; C</text>" in bundle["text/html"], "text can be searched and copied"
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "three points"
    json.dumps(bundle)


def test_show_displays_once(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert style.show(line_figure(), alt="three points") is None
    assert [p.alt for p in shown] == ["three points"]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: style.picture(line_figure(), "  "), "alt: expected a sentence"),
        (lambda: style.picture(plt.subplots()[1], "axes"), "fig: expected .* Figure, got Axes"),
        (
            lambda: style.twice(line_figure(), "words", narrow=plt.subplots()[1]),
            "fig: expected a matplotlib Figure, got Axes",
        ),
    ],
)
def test_what_is_no_figure_or_has_no_words_is_refused(draw, words):
    with pytest.raises(InputError, match=words):
        draw()


def test_a_cloud_drawn_in_parts_is_stored_as_pixels():
    """Ten classes of 200 markers each are as heavy as one cloud of 2,000."""
    fig, (many, few) = plt.subplots(1, 2)
    for k in range(10):
        many.plot(np.arange(200), np.full(200, k), ".")
        few.plot(np.arange(20), np.full(20, k), ".")
    line = many.plot(np.arange(600), np.zeros(600))[0]
    svg = style.picture(fig, "two clouds").svg
    assert svg.count("<image") == 1
    assert [artist.get_rasterized() for artist in many.lines] == [True] * 10 + [False]
    assert not line.get_rasterized()
    assert not any(a.get_rasterized() for a in few.lines)
    assert len(svg) < 150_000


def drawings(shown):
    """The drawings of a figure that was drawn twice: wide and narrow."""
    root = ET.fromstring(shown.svg)
    svgs = [child for child in root if child.tag.endswith("svg")]
    return root, {svg.get("class").rpartition(" ")[2]: svg for svg in svgs}


def texts(svg):
    return [e for e in svg.iter() if e.tag.endswith("}text") and e.text]


def size(text):
    """CSS pixels of a label in a drawing at its own width: 96 for 72 units."""
    return float(re.search(r"font(?:-size)?:(?:\w+ )*?([\d.]+)px", text.get("style"))[1]) / 0.75


def test_a_figure_drawn_twice_is_said_once_and_keeps_its_wide_pixels():
    shown = style.twice(line_figure(), "three points")
    root, two = drawings(shown)
    assert (root.get("role"), root.get("aria-label")) == ("img", "three points")
    assert list(two) == ["ct-wide", "ct-narrow"]
    assert {svg.get("aria-hidden") for svg in two.values()} == {"true"}
    assert not [svg for svg in two.values() if svg.get("aria-label")]
    assert [float(svg.get("width")) for svg in two.values()] == [614, 345]
    assert shown.png == style.picture(line_figure(), "three points").png
    ids = re.findall(r'\bid="([^"]+)"', shown.svg)
    assert len(ids) == len(set(ids))


def grid_figure():
    fig, axes = plt.subplots(2, 2, figsize=(6.4, 4), sharex=True, sharey="row")
    for number, ax in enumerate(axes.flat):
        ax.plot([0, 1], [0, number], label="a series of a long name")
        ax.plot([0, 1], [0, 1], label="another series of a long name")
    axes[0, 0].set(title="left", ylabel="height")
    axes[0, 1].set(title="right")
    axes[1, 1].set_xlabel("a label that is longer than the panel that it belongs to, by far")
    axes[0, 0].legend(fontsize=7)
    fig.suptitle(
        "cifar10-jpeg75, preset cpu, n = 8 seeds; dots: seeds; bars: intervals", fontsize=8
    )
    return fig


def test_panels_of_a_narrow_figure_stand_below_one_another_with_all_their_words():
    _, two = drawings(style.twice(fig := grid_figure(), "four panels"))
    left = {round(ax.get_position().x0, 2) for ax in fig.axes}
    assert len(left) == 1
    said = [text.text for text in texts(two["ct-narrow"])]
    assert (said.count("left"), said.count("right"), said.count("height")) == (2, 2, 2)
    assert said.count("a series of a long name") == 1, "one legend below"
    assert min(map(size, texts(two["ct-narrow"]))) >= 11
    assert min(map(size, texts(two["ct-wide"]))) < 11


def test_nothing_of_a_narrow_figure_is_cut_off_or_lies_over_something_else():
    _, two = drawings(style.twice(fig := grid_figure(), "four panels"))
    drawn = {text.text for text in texts(two["ct-narrow"])}  # ticks outside the limits are not
    fig.draw_without_rendering()  # places in the units of the screen, and not in those of the SVG
    width, height = fig.get_size_inches() * fig.dpi
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in fig.findobj(matplotlib.text.Text)
        if text.get_visible() and drawn.intersection(text.get_text().split("\n"))
    ]
    for name, box in boxes:
        assert box.x0 >= -1, name
        assert box.x1 <= width + 1, name
        assert box.y0 >= -1, name
        assert box.y1 <= height + 1, name
    for number, (name, box) in enumerate(boxes):
        for other, besides in boxes[number + 1 :]:
            assert not box.padded(-1).overlaps(besides.padded(-1)), (name, other)


@pytest.mark.parametrize(("low", "high", "some"), [(1e-20, 1e20, "1e-20"), (0.02, 0.07, "0.03")])
def test_no_digit_of_a_narrow_logarithmic_axis_is_small(low, high, some):
    fig, ax = plt.subplots()
    ax.loglog([1e-3, 1e4], [low, high], label="powers")
    _, two = drawings(style.twice(fig, "powers"))
    sizes = {
        kind: [
            float(number) / 0.75
            for element in svg.iter()
            for number in re.findall(r"([\d.]+)px", element.get("style") or "")
        ]
        for kind, svg in two.items()
    }
    assert min(sizes["ct-narrow"]) >= 11
    assert min(sizes["ct-wide"]) < 11
    said = [text.text for text in texts(two["ct-narrow"])]
    assert {"1", some} <= set(said)


def test_pictures_stay_in_rows_and_their_pixels_are_kept_once():
    fig, axes = plt.subplots(2, 5, figsize=(6.4, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for ax in axes.flat:
        ax.imshow(pixels)
        ax.set(xticks=[], yticks=[])
    _, two = drawings(style.twice(fig, "ten pictures"))
    assert len({round(ax.get_position().x0, 2) for ax in fig.axes}) == 5
    drawn = [e for svg in two.values() for e in svg.iter()]
    assert len([e for e in drawn if e.tag.endswith("}image")]) == 1
    assert len([e for e in drawn if e.tag.endswith("}use")]) == 20


def test_a_figure_may_bring_its_own_narrow_one():
    other, ax = plt.subplots(figsize=(style.NARROW, 2))
    ax.plot([0, 1], label="for the phone")
    ax.legend()
    _, two = drawings(style.twice(line_figure(), "three points", narrow=other))
    assert "for the phone" in [text.text for text in texts(two["ct-narrow"])]
    assert "for the phone" not in [text.text for text in texts(two["ct-wide"])]
    assert plt.get_fignums() == []


def test_numbers_in_words_are_left_alone():
    fig, ax = plt.subplots()
    ax.set_title("0.123456 and M 1.987654 z")
    assert "0.123456 and M 1.987654 z" in style.picture(fig, "words").svg
