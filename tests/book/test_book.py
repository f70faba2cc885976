"""The built book: complete, self-contained, described in words, and in step with its sources."""

import base64
import doctest
import io
import json
import os
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urljoin, urlsplit

import book_address
import book_cache
import book_downloads
import book_index
import book_pages
import book_side_by_side
import make_colab
import matplotlib.pyplot as plt
import nbformat
import pytest
from blank import blank_figures
from bs4 import BeautifulSoup
from jupyter_cache import get_cache
from myst_nb.core.config import NbParserConfig
from myst_parser.config.main import MdParserConfig
from pages import BUILT, EXECUTABLE, PAGES, ROOT, source
from PIL import Image

from contrastive_tutorial.report import style

COLAB = "colab.research.google.com"
MATHJAX_FONT_FAMILIES = ("Main", "Math", "AMS", "Size1")


@pytest.fixture(scope="session")
def built():
    if not (BUILT / "index.html").is_file():
        assert not os.environ.get("CONTRASTIVE_TUTORIAL_BUILT"), "`make book` left no book"
        pytest.skip("no built book in _build/html: run `make book` first")
    return BUILT


@pytest.fixture(scope="session")
def soup(built):
    parsed = {}

    def parse(name):
        if name not in parsed:
            text = (built / name).read_text(encoding="utf-8")
            parsed[name] = BeautifulSoup(text, "html.parser")
        return parsed[name]

    return parse


@pytest.fixture(scope="session")
def ids(built):
    """File -> the anchors in it."""
    known = {}

    def find(name):
        if name not in known:
            text = (built / name).read_text(encoding="utf-8")
            known[name] = set(re.findall(r'\sid="([^"]+)"', text))
        return known[name]

    return find


def every_file(built):
    return sorted(path.relative_to(built).as_posix() for path in built.rglob("*.html"))


# -- the sources --------------------------------------------------------------------------------


def test_the_table_of_contents_is_the_book():
    assert sorted(PAGES) == sorted(path.stem for path in (ROOT / "book").glob("*.md"))
    assert len(EXECUTABLE) >= 2


def test_names_of_pages_make_stable_addresses():
    assert [page for page in PAGES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", page)] == []


@pytest.mark.parametrize("page", EXECUTABLE)
def test_executable_pages_link_the_glossary(page):
    assert "{term}`" in source(page)


def test_glossary_terms_are_explained_once():
    terms = re.findall(r"(?m)^(\w[^\n]*)\n  \S", source("glossary"))
    assert len(terms) >= 40
    assert len({term.lower() for term in terms}) == len(terms)


# -- the extensions -----------------------------------------------------------------------------


@pytest.mark.parametrize("module", [book_address, book_index, book_pages], ids=lambda m: m.__name__)
def test_examples_in_the_extensions(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def config():
    return SimpleNamespace(html_theme_options={}, html_baseurl="")


@pytest.mark.parametrize("ending", ["", "/", ".git"])
def test_changing_pyproject_changes_every_address(tmp_path, ending):
    project = f'[project.urls]\nRepository = "https://github.com/Someone/a-book{ending}"\n'
    (tmp_path / "pyproject.toml").write_text("[project]\n" + project)
    app, settings = SimpleNamespace(srcdir=tmp_path), config()
    book_address.set_addresses(app, settings)
    assert settings.html_theme_options["repository_url"] == "https://github.com/Someone/a-book"
    assert settings.html_baseurl == "https://someone.github.io/a-book/"
    colab = {"text": "Colab", "url": "https://elsewhere"}
    other = {"text": "Binder", "url": "https://binder"}
    context = {"header_buttons": [{"buttons": [colab, other]}, {"type": "javascript"}]}
    book_address.point_colab_button_at_notebook(app, "book/06-simclr", "page.html", context, None)
    assert colab["url"] == (
        "https://colab.research.google.com/github/Someone/a-book/blob/main/book/colab/06-simclr.ipynb"
    )
    assert other["url"] == "https://binder"
    text = ["clone {{ repository }} now"]
    book_address.fill_in_address(app, "book/intro", text)
    assert text == ["clone https://github.com/Someone/a-book now"]


def small_tree(root):
    for name in (
        "contrastive_tutorial/a.py",
        "results/x/r.json",
        "contrastive_tutorial/verdicts/claims.yml",
        "pyproject.toml",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.mark.parametrize(
    "name", ["contrastive_tutorial/a.py", "contrastive_tutorial/static/b.js", "results/x/r.json"]
)
def test_a_change_of_code_or_records_changes_the_cache(tmp_path, name):
    before = book_cache.digest(small_tree(tmp_path))
    assert book_cache.digest(tmp_path) == before
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("changed")
    assert book_cache.digest(tmp_path) != before


def test_a_renamed_file_changes_the_cache_and_bytecode_does_not(tmp_path):
    before = book_cache.digest(small_tree(tmp_path))
    (tmp_path / "contrastive_tutorial" / "__pycache__").mkdir()
    (tmp_path / "contrastive_tutorial" / "__pycache__" / "a.pyc").write_text("x")
    assert book_cache.digest(tmp_path) == before
    (tmp_path / "contrastive_tutorial" / "a.py").rename(tmp_path / "contrastive_tutorial" / "b.py")
    assert book_cache.digest(tmp_path) != before


PAGE = """---
jupytext: {{text_representation: {{extension: .md, format_name: myst}}}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---

# A page

```{{code-cell}} ipython3
{code}
```
"""


def test_pages_are_executed_side_by_side_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for name in ("OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1048576")  # the reader's, which has the last word
    names = ("OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
    ask = f"import os; print(*(os.environ[name] for name in {names}))"
    codes = {"one": "print('first')", "two": ask, "broken": "1 / 0"}
    for name, code in codes.items():
        (tmp_path / f"{name}.md").write_text(PAGE.format(code=code))
    (tmp_path / "prose.md").write_text("# No code\n")
    settings = NbParserConfig(
        execution_mode="cache", execution_cache_path=str(tmp_path / "cache"), execution_timeout=60
    )
    env = SimpleNamespace(
        mystnb_config=settings,
        myst_config=MdParserConfig(),
        doc2path=lambda name: str(tmp_path / f"{name}.md"),
    )
    book_side_by_side.execute_all(None, env, ["broken", "one", "prose", "two"])
    records = get_cache(tmp_path / "cache").list_cache_records()
    shown = {}
    for record in records:
        notebook = get_cache(tmp_path / "cache").get_cache_bundle(record.pk).nb
        (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code")
        shown[Path(record.uri).stem] = cell.outputs[0].text.strip()
    # 8 cores for at most 4 pages at once; a gigabyte of freed memory stays with each.
    assert shown == {"one": "first", "two": f"2 {1 << 30} 1048576"}
    assert not {"OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_"} & set(os.environ)
    assert os.environ["MALLOC_MMAP_THRESHOLD_"] == "1048576"


def test_only_the_cache_in_use_is_kept(tmp_path):
    small_tree(tmp_path)
    build = tmp_path / "_build"
    for name in (".jupyter_cache-old", "html"):
        (build / name).mkdir(parents=True)
    settings = SimpleNamespace(book_digest="", nb_execution_cache_path="")
    book_cache.choose_cache(SimpleNamespace(srcdir=tmp_path, outdir=build / "html"), settings)
    assert settings.nb_execution_cache_path == str(build / f".jupyter_cache-{settings.book_digest}")
    assert not (build / ".jupyter_cache-old").exists()
    assert (build / "html").exists()


def test_the_archive_of_records_is_a_function_of_the_records(tmp_path):
    results = tmp_path / "results"
    (results / "cpu").mkdir(parents=True)
    (results / "cpu" / "b.json").write_text("{}")
    (results / ".hidden").write_text("")
    (results / "README.md").write_text("fields")
    book_downloads.write_archive(results, tmp_path / "one.zip")
    os.utime(results / "README.md", (1, 1_000_000_000))
    book_downloads.write_archive(results, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["results/README.md", "results/cpu/b.json"]


def test_every_public_name_has_a_place_and_words():
    """One place in the API page each, and a docstring there."""
    seen = {}
    for module, names in book_pages.rooms(source("api")).items():
        for name in names:
            value = getattr(module, name)
            assert id(value) not in seen, f"{module.__name__}.{name} and {seen[id(value)]}"
            seen[id(value)] = f"{module.__name__}.{name}"
            assert (value.__doc__ or "").strip(), f"{module.__name__}.{name} has no docstring"
    assert len(seen) > 50


# -- the built pages ----------------------------------------------------------------------------


def test_every_page_is_built(built):
    assert [page for page in PAGES if not (built / "book" / f"{page}.html").is_file()] == []
    assert sorted(path.stem for path in (built / "book").glob("*.html")) == sorted(PAGES)


def test_no_page_failed_to_run(built):
    assert list((built / "reports").rglob("*")) == []


@pytest.mark.parametrize("page", EXECUTABLE)
def test_outputs_are_there_and_hold_no_errors(soup, page):
    article = soup(f"book/{page}.html").find("article")
    assert article.select("div.cell_output"), "no output at all: was the page executed?"
    assert article.select(".stderr, .traceback") == []


@pytest.mark.parametrize("page", EXECUTABLE)
def test_no_figure_is_blank(built, soup, page):
    article = soup(f"book/{page}.html").find("article")
    assert blank_figures(article, lambda name: (built / "book" / unquote(name)).read_bytes()) == []


def _drawn(what):
    """A cell's output as the page holds it: an inline drawing, a file, and pixels."""
    fig, axes = plt.subplots()
    what(axes)
    pixels, file = io.BytesIO(), io.BytesIO()
    fig.savefig(pixels, format="png")
    fig.savefig(file, format="svg")
    packed = base64.b64encode(pixels.getvalue()).decode()
    outputs = {
        "inline": style.picture(fig, "What it shows.").svg,
        "file": '<img src="a.svg" alt="A file.">',
        "pixels": f'<img src="data:image/png;base64,{packed}" alt="Pixels.">',
    }
    read = {"a.svg": file.getvalue()}.__getitem__
    return {
        name: blank_figures(
            BeautifulSoup(f'<div class="cell_output">{output}</div>', "html.parser"), read
        )
        for name, output in outputs.items()
    }


@pytest.mark.parametrize(
    ("what", "blank"),
    [
        (lambda axes: None, ["inline", "file"]),
        (lambda axes: axes.set(title="Nothing", xlabel="x", ylim=(0, 5)), ["inline", "file"]),
        (lambda axes: axes.set_axis_off(), ["inline", "file", "pixels"]),
        (lambda axes: axes.plot([0, 1], [0, 1]), []),
        (lambda axes: axes.scatter([0], [1]), []),
        (lambda axes: axes.bar([0], [1]), []),
        (lambda axes: axes.axhline(0.5), []),
        (lambda axes: axes.imshow([[0, 1]]), []),
        (lambda axes: (axes.imshow([[0, 1]]), axes.set_axis_off()), []),
        (lambda axes: axes.errorbar([0], [1], xerr=0.2, fmt="none"), []),
    ],
)
def test_a_blank_figure_is_found_and_a_drawn_one_is_not(what, blank):
    assert [name for name, found in _drawn(what).items() if found] == blank


def test_every_image_has_words(built, soup):
    silent, count = [], 0
    for name in every_file(built):
        for image in soup(name).select("img"):
            alt = (image.get("alt") or "").strip()
            count += 1
            if not alt or alt.rpartition(".")[2] in ("png", "svg", "jpg") or "/" in alt.split()[0]:
                silent.append((name, str(image)[:100]))
        for drawing in soup(name).select("article svg"):
            count += 1
            described = drawing.get("role") == "img" and drawing.get("aria-label")
            hidden = {"aria-hidden": "true"}
            decoration = drawing.get("aria-hidden") or drawing.find_parent(attrs=hidden)
            if not described and not decoration:
                silent.append((name, str(drawing)[:100]))
    assert silent == []
    assert count > len(PAGES)


LOADING = (
    ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"),
    ("audio", "src"), ("embed", "src"), ("object", "data"), ("link", "href"), ("use", "href"),
    ("form", "action"),
)  # fmt: skip


def test_nothing_is_loaded_from_another_host(built, soup):
    outside = []
    for name in every_file(built):
        for tag, attribute in LOADING:
            for element in soup(name).select(f"{tag}[{attribute}]"):
                address = element[attribute]
                if element.name == "link" and {"canonical", "next", "prev"} & set(element["rel"]):
                    continue
                if urlsplit(address).netloc:
                    outside.append((name, address))
    for sheet in built.rglob("*.css"):
        found = re.findall(
            r"url\(['\"]?(?:https?:)?//[^)]+\)|@import\s+['\"]https?:", sheet.read_text()
        )
        outside += [(sheet.name, hit) for hit in found]
    assert outside == []


def test_links_inside_the_book_lead_somewhere(built, soup, ids):
    broken = []
    for page in PAGES:
        name = f"book/{page}.html"
        for anchor in soup(name).select("a[href]"):
            target = urlsplit(urljoin(name, anchor["href"]))
            if target.scheme or target.netloc or not target.path:
                continue
            file = built / unquote(target.path)
            if not file.is_file():
                broken.append((name, anchor["href"]))
            elif target.fragment and file.suffix == ".html":
                known = ids(file.resolve().relative_to(built).as_posix())
                if unquote(target.fragment) not in known:
                    broken.append((name, anchor["href"]))
    assert broken == []


def test_formulas_and_their_fonts_come_from_the_book(built, soup):
    folder = built / "_static" / "mathjax"
    fonts = " ".join(path.name for path in folder.rglob("*.woff"))
    assert all(f"MathJax_{family}" in fonts for family in MATHJAX_FONT_FAMILIES)
    assert (folder / "tex-mml-chtml.js").is_file()
    with_math = [page for page in PAGES if soup(f"book/{page}.html").select(".math")]
    assert with_math
    for page in with_math:
        scripts = [tag.get("src", "") for tag in soup(f"book/{page}.html").select("script")]
        assert any("mathjax/tex-mml-chtml.js" in script for script in scripts), page


def test_no_widget_waits_for_a_kernel(built):
    for name in every_file(built):
        text = (built / name).read_text(encoding="utf-8")
        assert "application/vnd.jupyter.widget-view" not in text, name
        assert not re.search(r"thebe|require\.min\.js|embed-amd", text), name


@pytest.mark.parametrize("page", EXECUTABLE)
def test_the_colab_button_opens_the_pages_notebook(soup, page):
    links = [a["href"] for a in soup(f"book/{page}.html").select("a[href]") if COLAB in a["href"]]
    path = book_address.notebook_path(f"book/{page}")
    url = book_address.colab_url(book_address.repository_url(ROOT), f"book/{page}")
    assert links[0] == url
    assert url.endswith(path)
    cells = json.loads((ROOT / path).read_text("utf-8"))["cells"]
    places = {f"{url}#scrollTo={cell['metadata'].get('id')}" for cell in cells}
    assert set(links) <= {url} | places  # the button, and exercises that lead to their cell


@pytest.mark.parametrize("page", [page for page in PAGES if page not in EXECUTABLE])
def test_pages_without_code_offer_no_colab(soup, page):
    assert not [a for a in soup(f"book/{page}.html").select("a[href]") if COLAB in a["href"]]


@pytest.mark.parametrize("page", PAGES)
def test_pages_link_the_repository_and_its_issues(soup, page):
    links = {a["href"] for a in soup(f"book/{page}.html").select(".article-header-buttons a[href]")}
    url = book_address.repository_url(ROOT)
    assert url in links
    assert any(link.startswith(f"{url}/issues/new") for link in links)


@pytest.mark.parametrize("page", EXECUTABLE)
def test_notebooks_and_pages_number_alike(soup, page):
    """Sphinx counts exercises and equations, the generator counts them too: one result."""
    article = soup(f"book/{page}.html").find("article")
    in_page = re.findall(
        r"Exercise\s+(\d+)",
        " ".join(title.get_text() for title in article.select(".exercise .admonition-title")),
    )
    cells = nbformat.read(ROOT / "book" / "colab" / f"{page}.ipynb", as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert re.findall(r"> \*\*Exercise (\d+)", text) == in_page
    numbers = [span.get_text().strip("()¶# ") for span in article.select(".eqno")]
    assert re.findall(r"\\tag\{(\d+)\}", text) == numbers


def test_links_from_notebooks_into_the_book_lead_somewhere(built, ids):
    site = book_address.pages_url(book_address.repository_url(ROOT))
    broken, count = [], 0
    for path, text in make_colab.notebooks().items():
        for link in re.findall(re.escape(site) + r"[^)\s\"\\]*", text):
            count += 1
            target = urlsplit(link.removeprefix(site))
            page_is_there = (built / target.path).is_file()
            if not page_is_there or (target.fragment and target.fragment not in ids(target.path)):
                broken.append((path.name, link))
    assert count > len(EXECUTABLE)
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_describe_themselves_to_other_sites(soup, page):
    meta = {
        tag["property"]: tag["content"]
        for tag in soup(f"book/{page}.html").select("meta[property][content]")
    }
    site = book_address.pages_url(book_address.repository_url(ROOT))
    assert meta["og:url"] == f"{site}book/{page}.html"
    assert meta["og:image"] == f"{site}_static/share.png"
    assert len(meta["og:title"]) > 2
    assert 20 < len(meta["og:description"]) <= 210


def test_cover_favicon_and_preview_are_there(built, soup):
    cover = soup("book/intro.html").select_one(".book-cover [role=img]")
    assert "ten" in cover["aria-label"].lower()
    assert soup("book/intro.html").select_one("link[rel=icon]")["href"].endswith("favicon.svg")
    with Image.open(built / "_static" / "share.png") as image:
        assert image.size == (1200, 630)


def test_search_knows_the_words_of_the_book(built):
    index = (built / "searchindex.js").read_text(encoding="utf-8")
    for stem in ("temperatur", "anchor", "umap"):
        assert re.search(rf'"?\b{stem}"?:', index), stem


def test_the_api_pages_document_every_public_name(soup):
    documented = {tag["id"] for tag in soup("book/api.html").select("dt[id]")}
    missing = [
        f"{module.__name__}.{name}"
        for module, names in book_pages.rooms(source("api")).items()
        for name in names
        if f"{module.__name__}.{name}" not in documented
    ]
    assert missing == []


def test_the_build_says_what_it_was_built_with(soup):
    text = soup("book/built-with.html").find("article").get_text(" ")
    for name in ("torch", "numpy", "jupyter-book", "commit", "Python"):
        assert name in text
    for page in EXECUTABLE:
        assert f"book/{page}" in text, "the table of execution times misses a page"


def test_no_page_names_the_machine_it_was_built_on(built):
    private = {str(ROOT), str(Path.home())} - {"/", "/root"}
    for name in every_file(built):
        text = (built / name).read_text(encoding="utf-8")
        assert not [path for path in private if path in text], name


def test_records_can_be_taken_away(built):
    with zipfile.ZipFile(built / "_static" / "records.zip") as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
    wanted = {
        p.relative_to(ROOT).as_posix() for p in (ROOT / "results").rglob("*.json") if p.is_file()
    }
    assert wanted
    assert wanted <= names
