"""The built book in a real browser, without a network: every page, both themes, wide and narrow.

Name resolution is blocked, the book is served from 127.0.0.1, and every widget is operated.
"""

import functools
import http.server
import threading

import pytest
from headless import EXECUTABLE, needs_chromium
from test_book import BUILT as HTML
from test_book import PAGES

pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.skipif(
        not (HTML / "index.html").exists(), reason="the book is not built: run `make book` first"
    ),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(Quiet, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=EXECUTABLE,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield started
        started.close()


class Visit:
    """One open page with everything it complained about and asked for."""

    def __init__(self, browser, url, width, theme):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
        )
        self.page = context.new_page()
        self.complaints, self.asked, self.failed = [], [], []
        self.page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.failed.append(request.url))
        self.page.on("response", lambda r: self.failed.append(r.url) if r.status >= 400 else None)
        self.page.goto(url, wait_until="load")
        self.page.wait_for_timeout(400)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", [f"book/{page}" for page in PAGES])
def test_page_loads_whole_and_alone(browser, address, name, width, theme):
    visit = Visit(browser, f"{address}/{name}.html", width, theme)
    page = visit.page
    assert visit.complaints == []
    assert visit.failed == []
    assert [u for u in visit.asked if not u.startswith((address, "data:", "blob:"))] == []
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    overflow = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0, f"{overflow} px of horizontal scroll"
    page.context.close()


def test_formulas_are_typeset(browser, address):
    visit = Visit(browser, f"{address}/book/09-three-experiments.html", 1280, "light")
    visit.page.wait_for_selector("mjx-container", timeout=10_000)
    assert visit.page.locator("mjx-container").count() >= 3
    visit.page.context.close()


def shown(widget):
    """The picture and the spoken text of a recorded player, through its shadow root."""
    return widget.evaluate(
        """host => {
            const root = host.shadowRoot || [...host.querySelectorAll('*')]
                .map(e => e.shadowRoot).find(Boolean) || host;
            const picture = root.querySelector('.stage');
            const spoken = root.querySelector('[aria-live]');
            return [picture ? picture.innerHTML : '', spoken ? spoken.textContent : ''];
        }"""
    )


def test_the_embedding_widget_is_alive(browser, address):
    visit = Visit(browser, f"{address}/book/09-three-experiments.html", 1280, "light")
    widget = visit.page.locator("[data-ct-widget]").first
    widget.scroll_into_view_if_needed()
    slider = widget.locator("input[type=range], select").first
    before = shown(widget)
    assert "<img" in before[0] or "<svg" in before[0]
    slider.focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_timeout(300)
    moved = shown(widget)
    assert moved[0] != before[0]
    assert moved[1] != before[1]
    assert "kNN accuracy" in moved[1]
    choices = widget.locator("select")
    choices.first.select_option(index=1)
    visit.page.wait_for_timeout(300)
    assert shown(widget)[0] != moved[0]
    assert visit.complaints == []
    visit.page.context.close()
