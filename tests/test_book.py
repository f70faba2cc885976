"""The built book: every page is there, alive offline, and its pictures have words.

Needs `make book`; without `_build/html` these tests are skipped and say so (`make test` builds it).
"""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"

pytestmark = pytest.mark.skipif(
    not (HTML / "index.html").exists(), reason="the book is not built: run `make book` first"
)


def listed():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.loaded, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "img":
            self.images.append(found)
        if tag in ("img", "script", "iframe", "source", "video", "audio") and found.get("src"):
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload", "modulepreload"):
            self.loaded.append(found["href"])


@pytest.fixture(scope="module", params=listed())
def page(request):
    path = HTML / f"{request.param}.html"
    return request.param, path, path.read_text(encoding="utf-8")


def test_the_page_was_built_and_nothing_failed(page):
    name, path, text = page
    assert path.exists()
    assert not (HTML / "reports" / f"{name}.err.log").exists()
    assert "Traceback (most recent call last)" not in text


def test_nothing_is_asked_of_another_host(page):
    _, path, text = page
    for address in Page(text).loaded:
        assert not re.match(r"(https?:)?//", address), address
        if not address.startswith("data:"):
            file = (path.parent / address.split("?")[0].split("#")[0]).resolve()
            assert file.exists(), address


def test_every_picture_has_words(page):
    _, _, text = page
    for image in Page(text).images:
        alt = image.get("alt")
        assert alt is not None, image.get("src", "")[:80]
        assert not re.search(r"\.(png|svg|jpe?g|webp)$", alt), alt


def test_cells_that_draw_leave_a_picture(page):
    name, _, text = page
    source = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    drawn = source.count("plots.show(")
    assert len(re.findall(r'role="img"', text)) >= drawn


def test_widgets_are_recorded_not_dead(page):
    name, _, text = page
    source = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    assert "application/vnd.jupyter.widget-view+json" not in text
    wanted = len(re.findall(r"^(?:interact|EmbeddingExplorer)\(", source, re.MULTILINE))
    assert text.count("data-ct-widget=") >= wanted


def test_a_page_stays_light(page):
    _, path, _ = page
    assert path.stat().st_size <= 3_000_000
