"""Recorded players: what is kept, what is refused, and that they live in a browser."""

import base64
import io
import json
import zlib

import matplotlib
import numpy as np
import pandas as pd
import pytest
from headless import opened
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scripts import state

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.report import style, vector
from contrastive_tutorial.widgets import player as player_module
from contrastive_tutorial.widgets.controls import read_choices
from contrastive_tutorial.widgets.fragment import clean
from contrastive_tutorial.widgets.fragment import page as whole_page
from contrastive_tutorial.widgets.player import record

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def play(fn, *, name="widget", describe=None, **choices):
    return record(fn, read_choices(fn, choices), name=name, describe=describe)


def content(player):
    return json.loads(zlib.decompress(base64.b64decode(state(player)["packed"])))


def parts_of(player, combination=0):
    recorded = content(player)
    frame = recorded["frames"][recorded["order"][combination]]
    return [recorded["parts"][index] for index in frame["parts"]]


def line(slope, width=3.0):
    figure, axes = plt.subplots(figsize=(width, 2))
    axes.plot([0, 1], [0, slope])
    axes.set_title(f"slope {slope}")
    return figure


def test_frames_follow_the_order_of_the_choices():
    player = play(lambda a, b: f"{a}{b}", a=[1, 2], b=["x", "y", "z"])
    shown = [parts_of(player, i)[0]["data"] for i in range(6)]
    assert shown == ["1x", "1y", "1z", "2x", "2y", "2z"]


def test_equal_frames_are_kept_once():
    player = play(lambda k: f"even: {k % 2 == 0}", k=range(10))
    assert player.num_frames == 2
    assert len(content(player)["parts"]) == 2
    figures = play(lambda k: line(k // 2), k=range(4))
    assert figures.num_frames == 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda k: line(k),
        lambda k: line(k).axes[0],
        lambda k: line(k).axes,
        lambda k: np.array(line(k).axes, dtype=object),
        lambda k: line(k) and None,
        lambda k: plt.plot([0, k]),
        lambda k: plt.hist([0, k]),
        lambda k: plt.plot([0, k]) and plt.show(),
    ],
    ids=["figure", "axes", "list", "grid", "open", "plot", "hist", "shown"],
)
def test_every_way_to_draw_gives_one_picture(draw):
    before = plt.get_fignums()
    player = play(draw, k=[1, 2])
    (part,) = parts_of(player)
    assert part["type"] == "html"
    assert part["data"].startswith("<svg")
    assert player.num_frames == 2
    assert Image.open(io.BytesIO(player.png)).size[0] > 100
    assert plt.get_fignums() == before  # nothing is left for the notebook to show again


def test_pixels_are_drawn_for_the_frame_shown_first_alone(monkeypatch):
    drawn = []
    draw = vector.drawn_once

    def counting(figure, form, dpi):
        drawn.append(form)
        return draw(figure, form, dpi)

    monkeypatch.setattr(vector, "drawn_once", counting)
    player = play(line, slope=[1, 2, 3])
    assert Image.open(io.BytesIO(player.png)).size[0] > 100
    assert sorted(drawn) == ["png", "svg", "svg", "svg"]


def test_a_figure_that_the_reader_left_open_stays_untouched():
    mine = plt.figure()
    play(lambda k: plt.plot([0, k]), k=[1, 2])
    assert plt.get_fignums() == [mine.number]
    assert mine.axes == []
    plt.close(mine)


def test_printed_text_figures_and_values_come_in_order():
    def fn(k):
        print("printed", k)
        line(k)
        return {"k": k}

    kinds = [part["type"] for part in parts_of(play(fn, k=[1]))]
    assert kinds == ["text", "html", "text"]
    assert parts_of(play(fn, k=[1]))[2]["data"] == "{'k': 1}"


def test_strings_are_text_and_tables_are_html():
    pd = pytest.importorskip("pandas")
    (part,) = parts_of(play(lambda k: "<b>bold</b>", k=[1]))
    assert part == {"type": "text", "data": "<b>bold</b>"}
    (part,) = parts_of(play(lambda k: pd.DataFrame({"<b>": [k]}), k=[1]))
    assert part["type"] == "html"
    assert "<table" in part["data"]
    assert "&lt;b&gt;" in part["data"]


def test_photos_are_kept_as_pixels_and_look_the_same():
    image = Image.effect_noise((200, 120), 60).convert("RGB")
    (part,) = parts_of(play(lambda k: image, k=[1]))
    assert part["type"] == "image"
    assert (part["width"], part["height"]) == (100, 60)
    webp = Image.open(io.BytesIO(base64.b64decode(part["data"].split(",")[1])))
    difference = np.asarray(webp.convert("RGB"), float) - np.asarray(image, float)
    assert np.abs(difference).mean() < 12
    drawing = Image.new("RGBA", (200, 120), (0, 0, 0, 0))
    drawing.paste((200, 30, 40, 255), (20, 20, 90, 90))
    (part,) = parts_of(play(lambda k: drawing, k=[1]))
    webp = Image.open(io.BytesIO(base64.b64decode(part["data"].split(",")[1])))
    assert np.array_equal(np.asarray(webp)[..., 3], np.asarray(drawing)[..., 3])


def test_alternative_text_comes_from_describe_or_from_the_figure():
    (part,) = parts_of(play(lambda k: line(k), k=[3]))
    assert 'aria-label="slope 3"' in part["data"]
    described = play(lambda k: line(k), k=[3], describe=lambda k: f'a "line" of slope {k}')
    (part,) = parts_of(described)
    assert 'aria-label="a &quot;line&quot; of slope 3"' in part["data"]
    assert content(described)["frames"][0]["spoken"] == 'a "line" of slope 3'
    assert 'a "line" of slope 3' in described.summary

    def untitled(k):
        plt.plot([0, k])

    assert 'aria-label="the name"' in parts_of(play(untitled, name="the name", k=[1]))[0]["data"]


def test_a_failing_combination_fails_alone():
    def fn(k):
        plt.plot([0, 1])
        print("before")
        if k == 2:
            raise ValueError("no <b>two</b> " + "x" * 1000)

    player = play(fn, k=[1, 2, 3])
    text, error = parts_of(player, 1)
    assert text["data"] == "before"
    assert error["type"] == "error"
    assert error["data"].startswith("ValueError: no <b>two</b> xxx")
    assert len(error["data"]) == 300
    assert [part["type"] for part in parts_of(player, 2)] == ["text", "html"]
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("name", "fn", "choices", "words"),
    [
        ("broken", lambda k: k / 0, {"k": [1, 2]}, "every combination fails.*ZeroDivisionError"),
        ("silent", lambda k: None, {"k": [1, 2]}, "the function showed nothing for k=1"),
        (
            "wide", lambda a, b: "x", {"a": range(30), "b": range(10)},
            "30 a x 10 b = 300 combinations, more than 200",
        ),
        (
            "heavy", lambda k: Image.effect_noise((300, 300), 90), {"k": [1, 2]},
            ".* MB after 1 of 2 combinations, more than 0.02 MB",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_names_the_widget(name, fn, choices, words, monkeypatch):
    monkeypatch.setattr(player_module, "MAX_BYTES", 20_000)
    with pytest.raises(InputError, match=f"'{name}': {words}"):
        play(fn, name=name, **choices)


def test_a_recording_that_grows_too_large_ends_there(monkeypatch):
    monkeypatch.setattr(player_module, "MAX_BYTES", 100_000)
    ran = []

    def noise(k):
        ran.append(k)
        return Image.effect_noise((300, 300), 90 + k)

    with pytest.raises(InputError, match="of 50 combinations"):
        play(noise, k=range(50))
    assert 1 < len(ran) < 25


def test_the_bundle_serves_every_kind_of_reader():
    bundle = play(lambda k: line(k), k=[1, 2])._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"].startswith("widget: recorded for 2 combinations of k. At k = 1:")
    assert set(play(lambda k: k, k=[1])._repr_mimebundle_()) == {"text/html", "text/plain"}


hostile = st.text(max_size=30) | st.sampled_from(
    ["</script>", "<!--", "\"'`", "🐸", "שלום", "\u202e", "\x00", "\ud800", "&amp;"]
)


@settings(max_examples=60, deadline=None)
@given(label=hostile, value=hostile, name=hostile)
def test_hostile_text_is_kept_as_text(label, value, name):
    if not value.strip():
        value = "x"
    player = play(lambda k: value, name=name or "n", k={label: 1, label + "2": 2})
    assert player.html.count("</script>") == 2
    assert "<!--" not in player.html.split("<script>")[0]
    recorded = content(player)
    assert recorded["controls"][0]["labels"] == [label, label + "2"]
    assert parts_of(player)[0]["data"] == clean(value)
    json.dumps(player._repr_mimebundle_(), ensure_ascii=False).encode()  # fits into a notebook


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    def fn(k, norm, wide):
        if k == 5 and norm == "split":
            raise ValueError("<b>five</b>")
        plt.figure(figsize=(5 if wide else 3, 2))
        plt.plot([0, 1], [0, k if norm == "bn" else -k])
        plt.title(f"{norm} at {k}")

    player = play(fn, name="lines", k=[1, 2, 5], norm={"BN": "bn", "</script>": "split"}, wide=True)
    return player.save_html(tmp_path_factory.mktemp("player") / "lines.html")


def picture(page):
    return page.locator(".stage").screenshot()


def spoken(page, words):
    page.locator("[aria-live]", has_text=words).wait_for(state="attached", timeout=5000)


@pytest.mark.browser
def test_the_mouse_plays(page):
    with opened(page, color_scheme="dark") as tab:
        tab.locator(".stage svg").wait_for()
        first = picture(tab)
        tab.get_by_role("button", name="k: step forward").click()
        spoken(tab, "k = 2, norm = BN, wide = True. bn at 2")
        second = picture(tab)
        assert second != first
        tab.get_by_label("norm", exact=True).select_option(label="</script>")
        spoken(tab, "split at 2")
        assert picture(tab) != second
        tab.get_by_label("wide").uncheck()
        spoken(tab, "wide = False")
        tab.get_by_role("button", name="k: step forward").click()
        assert "ValueError: <b>five</b>" in tab.locator(".stage .error").inner_text()
        assert tab.get_by_role("button", name="k: step forward").is_disabled()


@pytest.mark.browser
def test_the_keyboard_plays(page):
    with opened(page) as tab:
        tab.locator(".stage svg").wait_for()
        first = picture(tab)
        tab.keyboard.press("Tab")  # the step back is disabled at the start
        slider = tab.get_by_role("slider", name="k")
        assert slider.evaluate("node => node.getRootNode().activeElement === node")
        tab.keyboard.press("ArrowRight")
        spoken(tab, "k = 2")
        assert slider.get_attribute("aria-valuetext") == "2"
        assert picture(tab) != first
        tab.keyboard.press("End")
        spoken(tab, "k = 5")
        tab.keyboard.press("Home")
        spoken(tab, "k = 1")
        tab.get_by_role("button", name="Play k").focus()
        tab.keyboard.press("Enter")
        tab.get_by_role("button", name="Pause k").wait_for()
        spoken(tab, "k = 5")
        tab.get_by_role("button", name="Play k").wait_for()  # it stops by itself


@pytest.mark.browser
def test_it_follows_the_page_and_the_reader(page):
    with opened(page, color_scheme="light", reduced_motion="reduce") as tab:
        tab.locator(".stage svg").wait_for()
        player = tab.locator(".player")
        assert player.get_attribute("data-theme") == "light"
        light = picture(tab)
        tab.evaluate("document.documentElement.dataset.theme = 'dark'")
        tab.locator(".player[data-theme=dark]").wait_for()
        assert picture(tab) != light
        tab.evaluate("delete document.documentElement.dataset.theme")
        tab.locator(".player[data-theme=light]").wait_for()
        tab.evaluate("document.body.dataset.jpThemeLight = 'false'")
        tab.locator(".player[data-theme=dark]").wait_for()
        assert tab.get_by_role("button", name="Play k").count() == 0  # hidden: no motion wanted
        assert tab.get_by_role("button", name="k: step forward").count() == 1


@pytest.mark.browser
def test_it_fits_a_phone_and_may_stand_twice(page, tmp_path):
    twice = tmp_path / "twice.html"
    source = page.read_text(encoding="utf-8")
    start, end = source.index('<div class="ct-widget"'), source.index("</main>")
    twice.write_text(source[:end] + source[start:end] + source[end:], encoding="utf-8")
    with opened(twice, viewport={"width": 320, "height": 700}) as tab:
        tab.locator(".stage svg").nth(1).wait_for()
        assert tab.locator(".player").count() == 2
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.evaluate(overflow) <= 0
        tab.get_by_role("slider").nth(1).press("ArrowRight")
        assert tab.locator("output").all_inner_texts() == ["1", "2"]


_LEAST_LABEL = """node => Math.min(...[...node.querySelectorAll("text")].map((text) =>
  parseFloat(getComputedStyle(text).fontSize) * node.getBoundingClientRect().width
    / node.viewBox.baseVal.width))"""


@pytest.mark.browser
@pytest.mark.parametrize(("inches", "scrolls"), [(6.4, True), (style.NARROW, False)])
def test_labels_can_be_read_on_a_phone(tmp_path, inches, scrolls):
    """As wide as a page of the book is there; a wide picture scrolls inside its own frame."""

    def draw(k):
        fig, ax = plt.subplots(figsize=(inches, 3))
        ax.plot([0, k])
        ax.set(xlabel="steps", title="a line")
        return fig

    with matplotlib.rc_context():
        style.use()
        saved = play(draw, name="lines", k=[1, 2]).save_html(tmp_path / "lines.html")
    with opened(saved, viewport={"width": 390, "height": 800}) as tab:
        picture = tab.locator(".stage svg")
        picture.wait_for()
        tab.wait_for_timeout(200)
        assert picture.evaluate(_LEAST_LABEL) >= 11
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.get_by_role("region", name="lines: scrolls sideways").count() == scrolls


@pytest.mark.browser
def test_the_keyboard_reaches_a_table_that_is_wider_than_the_page(tmp_path):
    def table(rows):
        return pd.DataFrame({f"a long heading {i}": range(rows) for i in range(5)})

    saved = play(table, name="numbers", rows=[1, 2]).save_html(tmp_path / "table.html")
    with opened(saved, viewport={"width": 320, "height": 700}) as tab:
        region = tab.get_by_role("region", name="numbers: scrolls sideways")
        region.wait_for()
        region.focus()
        tab.keyboard.press("ArrowRight")
        tab.wait_for_function(
            "document.querySelector('.ct-widget > div').shadowRoot"
            ".querySelector('.stage').scrollLeft > 0"
        )
        tab.set_viewport_size({"width": 1400, "height": 700})
        region.wait_for(state="detached")  # nothing to scroll: one stop less for the keyboard


@pytest.fixture(scope="module")
def far_down(tmp_path_factory):
    """A player far below the first screen of a page that is never idle."""
    html = play(lambda k: f"value {k}", name="below", k=[1, 2]).html
    busy = "<script>window.requestIdleCallback = () => {}</script>"
    path = tmp_path_factory.mktemp("player") / "far.html"
    path.write_text(whole_page(f'{busy}<div style="height: 9000px"></div>{html}', "far"))
    return path


@pytest.mark.browser
def test_a_player_far_below_is_unpacked_when_it_comes_close(far_down):
    with opened(far_down) as tab:
        tab.wait_for_function("document.readyState === 'complete'")
        tab.wait_for_timeout(200)
        assert tab.locator(".stage").inner_text().startswith("Unpacking")
        assert tab.locator(".stage").get_attribute("aria-busy") == "true"
        tab.evaluate("scrollTo(0, 8000)")
        tab.locator(".stage:not([aria-busy])", has_text="value 1").wait_for()
        tab.get_by_role("button", name="k: step forward").click()
        spoken(tab, "k = 2. value 2")


@pytest.mark.browser
def test_a_page_opened_at_a_place_further_down_has_its_height_at_once(far_down):
    with opened(far_down) as tab:
        tab.goto(f"{tab.url}#below")
        tab.reload()
        tab.locator(".stage", has_text="value 1").wait_for()


@pytest.mark.browser
def test_a_page_at_rest_unpacks_everything(tmp_path):
    html = play(lambda k: f"value {k}", name="below", k=[1, 2]).html
    path = tmp_path / "calm.html"
    path.write_text(whole_page(f'<div style="height: 9000px"></div>{html}', "calm"))
    with opened(path) as tab:
        tab.locator(".stage", has_text="value 1").wait_for()
