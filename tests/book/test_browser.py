"""The built book in a browser that can reach nothing but the book, in both themes and widths."""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.server
import io
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from headless import browser as chromium
from headless import needs_chromium
from pages import BUILT, PAGES, source
from pages import EXECUTABLE as RUNNING
from PIL import Image

pytestmark = [pytest.mark.browser, needs_chromium]

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
PATIENCE_MS = 120_000  # a busy machine is no failure
ANSWER_MS = 30_000
BUDGET = 3_000_000  # bytes of a page with all it loads, as a web server sends them
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}
SERIOUS = {"serious", "critical"}
GENERATED = ("genindex", "search", "py-modindex")
NAMES = [*(f"book/{page}" for page in PAGES), *GENERATED]
# Every theme and every width once; what stands around the text is looked at in both themes at both.
VISITS = (("light", "desktop"), ("dark", "phone"))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The built book behind a local web server."""
    if not (BUILT / "index.html").is_file():
        assert not os.environ.get("CONTRASTIVE_TUTORIAL_BUILT"), "`make book` left no book"
        pytest.skip("no built book in _build/html: run `make book` first")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/favicon.ico":  # asked for where a page (the redirect) names no icon
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

    handler = functools.partial(Quiet, directory=str(BUILT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def browser() -> Any:
    return chromium()


@contextlib.contextmanager
def visit(browser: Any, url: str, theme: str = "light", width: str = "desktop") -> Iterator[Any]:
    """An open page that has loaded everything; at the end nothing may have gone wrong on it."""
    across, down = WIDTHS[width]
    context = browser.new_context(
        color_scheme=theme,
        viewport={"width": across, "height": down},
        reduced_motion="reduce",
        is_mobile=width == "phone",
        has_touch=width == "phone",
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    origin = "/".join(url.split("/")[:3]) + "/"
    wrong: list[str] = []
    page.on(
        "console",
        lambda message: (
            wrong.append(f"console {message.type}: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    page.on("pageerror", lambda error: wrong.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.on(
        "response",
        lambda reply: wrong.append(f"{reply.status}: {reply.url}") if reply.status >= 400 else None,
    )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((origin, "data:", "blob:"))
            else wrong.append(f"asked elsewhere: {request.url}")
        ),
    )
    try:
        page.goto(url)
        if url == origin:  # the first page leads on, and what is evaluated there dies with it
            page.wait_for_url("**/book/*.html")
        typeset(page)
        unveiled(page)
        unpacked(page)
        yield page
        assert wrong == []
    finally:
        context.close()


@functools.cache
def on_the_wire(name: str) -> int:
    """Bytes of a file of the book as GitHub Pages and most servers send it."""
    data = (BUILT / unquote(urlsplit(name).path)).read_bytes()
    return len(gzip.compress(data) if Path(urlsplit(name).path).suffix in COMPRESSED else data)


def typeset(page: Any) -> None:
    """Wait until MathJax, where the page has it, has set every formula, in fonts that are there."""
    page.wait_for_load_state()
    page.evaluate("Promise.resolve(window.MathJax?.startup?.promise)")
    page.evaluate("document.fonts.ready.then(() => true)")


def unveiled(page: Any) -> None:
    """Show what waits for the reader's predictions (`test_predict.py` tests the waiting)."""
    button = page.get_by_role("button", name="Show all on this page")
    if button.count():
        button.first.click()
        assert page.locator(".book-veiled").count() == 0


def unpacked(page: Any) -> None:
    """Wait until every recorded player holds its frames: they are unpacked as the page rests."""
    from playwright.sync_api import expect

    expect(page.locator(".stage[aria-busy]")).to_have_count(0, timeout=PATIENCE_MS)


def violations(page: Any, beside: str | None = None) -> list[dict[str, Any]]:
    """What axe-core finds on a page, or of contrast alone ``beside`` the elements named."""
    from axe_playwright_python.sync_playwright import Axe

    # axe fetches style sheets once more, and an imported one from a wrong address; the browser's
    # own copy is enough.
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if beside:
        options["runOnly"] = ["color-contrast"]
    context = {"exclude": [[beside]]} if beside else None
    found: list[dict[str, Any]] = Axe().run(page, context, options).response["violations"]
    return found


def serious(found: list[dict[str, Any]]) -> list[tuple[str, Any, str]]:
    return [
        (rule["id"], node["target"], node["failureSummary"][:200])
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


#: Labels of the drawings that show: CSS pixels, and what is cut off or lies over another label.
LABELS = """() => [...document.querySelectorAll("article svg.ct-narrow, article svg.ct-wide")]
  .filter((drawing) => drawing.getBoundingClientRect().width > 0)
  .map((drawing) => {
    const frame = drawing.getBoundingClientRect();
    const scale = frame.width / drawing.viewBox.baseVal.width;
    const labels = [...drawing.querySelectorAll("text")].filter((text) => text.textContent.trim());
    const slanted = (text) => /rotate\\(-?(?!90\\b)/.test(text.getAttribute("transform"));
    const boxes = labels.filter((text) => !slanted(text))
      .map((text) => [text.textContent, text.getBoundingClientRect()]);
    const cut = boxes.filter(([, b]) => b.left < frame.left - 2 || b.right > frame.right + 2
      || b.top < frame.top - 3 || b.bottom > frame.bottom + 3);
    const over = boxes.filter(([, a], i) => boxes.slice(i + 1).some(([, b]) =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4));
    return {
      kind: drawing.classList[1],
      said: drawing.parentElement.getAttribute("aria-label").slice(0, 60),
      least: Math.min(...labels.map((t) => parseFloat(getComputedStyle(t).fontSize) * scale)),
      cut: cut.map(([words]) => words),
      over: over.map(([words]) => words),
    };
  })"""


#: How far a recorded picture stands from the sides of its frame.
BESIDE = """all => all.map((picture) => {
  const [inner, outer] = [picture, picture.closest(".stage")].map(
    (each) => each.getBoundingClientRect());
  return [inner.left - outer.left, outer.right - inner.right];
})"""


def drawings_fit(page: Any, width: str) -> None:
    """On a phone the narrow drawings show, with labels of eleven pixels; on a desktop and on paper
    the others. Nothing is cut off, and no label lies over another. No frame of a player scrolls
    sideways for its picture; on a desktop it stands in the middle."""
    pictures = page.locator(".player .stage :is(svg.ct-figure, img)").evaluate_all(BESIDE)
    shown = page.evaluate(LABELS)
    if width == "phone":
        small = {each["said"]: each["least"] for each in shown if (each["least"] or 99) < 11}
        assert small == {}
        assert all(min(sides) >= -1 for sides in pictures)
    else:
        assert all(abs(left - right) <= 2 for left, right in pictures)
    assert {each["kind"] for each in shown} <= {"ct-narrow" if width == "phone" else "ct-wide"}
    assert [(e["said"], e["cut"], e["over"]) for e in shown if e["cut"] or e["over"]] == []
    page.emulate_media(media="print")
    paper = page.evaluate(LABELS)
    page.emulate_media(media="screen")
    assert len(paper) == len(shown)
    assert {each["kind"] for each in paper} <= {"ct-wide"}


# -- every page ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("theme", "width"), VISITS)
@pytest.mark.parametrize("name", NAMES)
def test_page(browser: Any, address: str, name: str, theme: str, width: str) -> None:
    """Silent console, nothing failed or foreign, no sideways scroll, light, set, and accessible;
    its figures are drawn for this window."""
    with visit(browser, f"{address}{name}.html", theme, width) as page:
        page.wait_for_function("(t) => document.documentElement.dataset.theme === t", arg=theme)
        # What waits for its layout could not be seen to be too wide.
        page.add_style_tag(content="* { content-visibility: visible !important }")
        wide = page.evaluate(
            """() => [...document.querySelectorAll("body *")]
                 .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
                 .slice(-3).map((e) => e.outerHTML.slice(0, 120))"""
        )
        across = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        assert across <= 0, f"the page scrolls sideways by {across} px: {wide}"
        loaded = page.evaluate(
            """() => ["resource", "navigation"]
                 .flatMap((kind) => performance.getEntriesByType(kind)).map((e) => e.name)"""
        )
        weight = sum(on_the_wire(url.removeprefix(address)) for url in set(loaded))
        assert 100_000 < weight <= BUDGET, f"{weight} bytes"
        formulas = page.locator("article .math").count()
        assert page.locator("article mjx-container").count() == formulas
        assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
        for widget in page.locator(".player, .explorer").all():
            assert widget.bounding_box()["width"] <= WIDTHS[width][0]
        # The entries of the API share a template: of its 31,000 elements these are three quarters.
        page.evaluate("document.querySelectorAll('dl.py ~ dl.py').forEach((e) => e.remove())")
        assert serious(violations(page)) == []
        (other,) = set(THEMES) - {theme}
        page.evaluate("(t) => { document.documentElement.dataset.theme = t }", other)
        assert serious(violations(page, beside="article")) == [], other
        # Last: what does not scroll on paper stays without its stop for the keyboard afterwards.
        drawings_fit(page, width)


def test_the_axe_check_can_fail(browser: Any, address: str) -> None:
    """Grey on grey and a picture without words, put into a page, are both found."""
    with visit(browser, f"{address}book/intro.html") as page:
        page.evaluate(
            """() => document.querySelector("article").insertAdjacentHTML("beforeend",
                 '<p style="color:#999;background:#aaa">hard to read</p>'
                 + '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">')"""
        )
        rules = {rule["id"]: rule["impact"] for rule in violations(page)}
    assert rules["color-contrast"] in SERIOUS
    assert rules["image-alt"] in SERIOUS


def test_foreign_requests_are_seen(browser: Any, address: str) -> None:
    with (
        pytest.raises(AssertionError, match="asked elsewhere"),
        visit(browser, f"{address}book/intro.html") as page,
    ):
        page.evaluate("fetch('http://example.org/x.js').catch(() => 0)")


@pytest.mark.parametrize("page", [*RUNNING, "api"])
def test_pages_stay_light(page: str) -> None:
    """1.2 MB each, everything drawn twice and recorded included."""
    assert (BUILT / "book" / f"{page}.html").stat().st_size <= 1_200_000


LAID_OUT = "(e) => e.checkVisibility({ contentVisibilityAuto: true })"


@pytest.mark.parametrize("page_name", ["api", "10-verdicts"])
def test_what_is_out_of_sight_gets_its_layout_when_the_browser_is_idle(
    browser: Any, address: str, page_name: str
) -> None:
    """So a screenshot of the whole page shows it."""
    with visit(browser, f"{address}book/{page_name}.html") as page:
        page.wait_for_function(
            f"""() => [...document.querySelectorAll(
                ".bd-article :is(section > dl.py, div.cell_output) > *")]
                .filter((e) => !e.closest("details:not([open]), [hidden]")
                               && getComputedStyle(e).display !== "none")
                .every({LAID_OUT})"""
        )


def test_entries_out_of_sight_wait_for_their_layout(browser: Any, address: str) -> None:
    """Until a reader comes to them, here by a link, where a browser never says it is idle."""
    from playwright.sync_api import expect

    page = browser.new_page()
    page.add_init_script("delete window.requestIdleCallback")
    page.goto(f"{address}book/api.html")
    last = page.locator("section > dl.py > dd").last
    assert not last.evaluate(LAID_OUT)
    name = page.locator("section > dl.py > dt").last.get_attribute("id")
    page.goto(f"{address}book/api.html#{name}")
    expect(page.locator("section > dl.py > dt").last).to_be_in_viewport()
    assert last.evaluate(LAID_OUT)
    page.close()


@pytest.mark.parametrize(("tag", "name"), [("div", "cell_output"), ("dl", "py")])
def test_the_ring_of_the_focus_is_seen_where_layout_waits(
    browser: Any, tag: str, name: str
) -> None:
    """It is drawn outside of what fills its box, and the box clips."""
    css = (Path(__file__).parents[2] / "book/assets/book.css").read_text(encoding="utf-8")
    page = browser.new_page()
    page.set_content(
        f"<style>{css} body {{ margin: 0 }} .box {{ margin: 50px }} .box > * {{ height: 40px; "
        "margin: 0; outline: 3px solid red }</style><article class=bd-article><section>"
        f"<{tag} class='{name} box'><dd></dd></{tag}></section></article>"
    )
    pixel = page.screenshot(clip={"x": 48, "y": 70, "width": 1, "height": 1})
    page.close()
    assert Image.open(io.BytesIO(pixel)).convert("RGB").getpixel((0, 0)) == (255, 0, 0)


# -- what a reader does -------------------------------------------------------------------------


def test_search_finds_words_without_a_network(browser: Any, address: str) -> None:
    with visit(browser, f"{address}search.html?q=temperature") as page:
        page.wait_for_selector("#search-results .search li")
        found = page.locator("#search-results .search li a").all_inner_texts()
        assert any("Glossary" in title or "temperature" in title.lower() for title in found)


def test_the_first_page_leads_to_the_book(browser: Any, address: str) -> None:
    with visit(browser, address) as page:
        page.wait_for_url("**/book/intro.html")
        assert page.locator("article h1").count() == 1


def test_the_theme_button_changes_the_figures_too(browser: Any, address: str) -> None:
    with visit(browser, f"{address}book/intro.html") as page:
        ink = """() => getComputedStyle(document.querySelector(".book-cover svg")).color"""
        shades = {}
        for _ in range(3):
            theme = page.evaluate("document.documentElement.dataset.theme")
            shades[theme] = page.evaluate(ink)
            page.locator(".theme-switch-button:visible").first.click()
        assert set(shades) == set(THEMES)
        assert shades["light"] != shades["dark"]


def test_a_saved_book_opens_without_a_server(browser: Any, address: str) -> None:
    """From the disk: console silent, nothing asked of anyone, formulas set, figures drawn."""
    with visit(browser, (BUILT / "book" / f"{RUNNING[0]}.html").as_uri()) as page:
        typeset(page)
        page.wait_for_selector("article svg.ct-figure")
        assert (
            page.locator("article mjx-container").count() == page.locator("article .math").count()
        )


# -- widgets on their pages ---------------------------------------------------------------------

SPOKEN = """(widget) => [
  ...[...widget.querySelectorAll("[role=status], output, [role=img]")]
    .map((e) => e.textContent + (e.getAttribute("aria-label") || "")),
  ...[...widget.querySelectorAll("[aria-valuetext]")].map((e) => e.getAttribute("aria-valuetext")),
].join("|")"""

TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def operate(page: Any, control: Any) -> None:
    """Move one control by keyboard, in the direction in which it can move."""
    control.focus()
    kind = control.evaluate("(e) => e.type")
    if kind == "checkbox":
        page.keyboard.press("Space")
    elif kind == "range":
        at_end = control.evaluate("(e) => Number(e.value) >= Number(e.max)")
        page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    else:
        at_end = control.evaluate("(e) => e.selectedIndex === e.options.length - 1")
        page.keyboard.press("ArrowUp" if at_end else "ArrowDown")


def click(page: Any, widget: Any) -> None:
    """Move the first slider of a widget, or its first choice, by mouse."""
    slider = widget.locator("input[type=range]")
    if slider.count():
        slider.first.scroll_into_view_if_needed()  # a picture of the widget may have moved it
        box = slider.first.bounding_box()
        at_end = slider.first.evaluate("(e) => Number(e.value) >= Number(e.max)")
        page.mouse.click(
            box["x"] + (4 if at_end else box["width"] - 4), box["y"] + box["height"] / 2
        )
    else:
        choice = widget.locator("select").first
        current = choice.evaluate("(e) => e.selectedIndex")
        choice.select_option(index=1 if current == 0 else 0)


def answered(page: Any, widget: Any, before: str) -> None:
    """Wait until a widget says something other than before."""
    page.wait_for_function(
        f"([widget, before]) => ({SPOKEN})(widget) !== before",
        arg=[widget.element_handle(), before], timeout=ANSWER_MS,
    )  # fmt: skip


def open_first_solution(page: Any) -> None:
    for folded in page.locator("article .solution.dropdown").all()[:1]:
        content = folded.locator("section").first
        assert not content.is_visible()
        folded.locator("button").first.focus()
        page.keyboard.press("Enter")
        content.wait_for(state="visible")


@pytest.mark.parametrize("name", RUNNING)
def test_everything_answers_keyboard_and_mouse(browser: Any, address: str, name: str) -> None:
    with visit(browser, f"{address}book/{name}.html") as page:
        open_first_solution(page)
        for widget in page.locator(".player, .explorer").all():
            widget.scroll_into_view_if_needed()
            controls = widget.locator("input[type=range], input[type=checkbox], select").all()
            assert controls, "a widget without a native control"
            picture = widget.screenshot()
            for control in controls:
                before = widget.evaluate(SPOKEN)
                operate(page, control)
                answered(page, widget, before)
            drawn = widget.screenshot()
            assert drawn != picture, "moved, and drew nothing"
            before = widget.evaluate(SPOKEN)
            click(page, widget)
            answered(page, widget, before)
            assert widget.screenshot() != drawn, "clicked, and drew nothing"


DRAGGED = [name for name in RUNNING if re.search(r"Formula\(", source(name))]


def test_the_book_has_something_to_drag() -> None:
    assert len(DRAGGED) >= 2


@pytest.mark.parametrize("name", DRAGGED)
def test_every_mark_can_be_dragged(browser: Any, address: str, name: str) -> None:
    """In at least one of four directions, and picture, slider and words go with it."""
    with visit(browser, f"{address}book/{name}.html") as page:
        widget = page.locator(".player", has=page.locator(".mark")).first
        widget.scroll_into_view_if_needed()
        marks = widget.locator(".mark").all()
        assert marks
        for mark in marks:
            picture, before = widget.locator(".stage").screenshot(), widget.evaluate(SPOKEN)
            for across, down in [(80, 0), (-160, 0), (80, 80), (0, -160)]:
                box = mark.bounding_box()
                x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
                page.mouse.move(x, y)
                page.mouse.down()
                page.mouse.move(x + across, y + down, steps=3)
                page.mouse.up()
                page.evaluate(TWO_FRAMES)
                # Letting go speaks in any case: what counts is another picture.
                if (drawn := widget.locator(".stage").screenshot()) != picture:
                    break
            assert drawn != picture, "dragged, and drew nothing"
            answered(page, widget, before)


def test_the_book_has_widgets_and_solutions(address: str) -> None:
    pages = [(BUILT / "book" / f"{name}.html").read_text(encoding="utf-8") for name in RUNNING]
    assert sum(page.count("data-ct-widget=") for page in pages) >= 20
    assert sum("solution dropdown" in page for page in pages) >= 5


def test_the_list_of_pages_is_complete() -> None:
    """Besides the sources of modules, nothing was built that the tests above do not open."""
    built = {p.relative_to(BUILT).with_suffix("").as_posix() for p in BUILT.rglob("*.html")}
    others = {name for name in built if name.startswith(("_modules/", "_static/"))}
    assert built - others - {"index"} == set(NAMES)


@pytest.mark.parametrize("theme", THEMES)
def test_sources_of_modules_read_well(browser: Any, address: str, theme: str) -> None:
    """One page stands for all: they share a template, and hold code alone."""
    name = "_modules/contrastive_tutorial/losses/ntxent.html"
    assert (BUILT / name).is_file()
    with visit(browser, f"{address}{name}", theme, "phone") as page:
        assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
