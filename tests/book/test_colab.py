"""The notebooks that the Colab buttons open: in step with their pages, and runnable on Colab."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import book_index
import make_colab
import nbformat
import pytest
from book_index import Book, UntranslatableError, index_page, read_book
from book_translate import Translator
from packaging.specifiers import SpecifierSet
from pybtex.database import Entry, Person

ROOT = Path(__file__).resolve().parents[2]
URL = "https://github.com/someone/some-book"
SITE = "https://someone.github.io/some-book/book"

FRONT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""


def paper(*names, **fields):
    return Entry("article", fields=fields, persons={"author": [Person(name) for name in names]})


def small_book(**pages):
    """A book of the given pages (``_`` in a name stands for ``-``) and two papers."""
    sources = {name.replace("_", "-"): textwrap.dedent(text) for name, text in pages.items()}
    book = Book(
        url=URL,
        requirements=("scipy>=1.11", "umap-learn>=0.5.7"),
        pages=tuple(sources),
        sources=sources,
        papers={
            "one": paper('van den Oord, A{\\"a}ron', year="2018", url="https://example.org/cpc"),
            "two": paper("Ioffe, Sergey", "Szegedy, Christian", year="2015", doi="10.1/x"),
            "many": paper("Chen, Ting", "Hinton, Geoffrey", "Kornblith, Simon", year="2020"),
        },
    )
    for page in book.pages:
        index_page(book, page)
    return book


def translate(text, **others):
    book = small_book(**others, page=text)
    return "\n".join(Translator(book, "page").blocks(book.sources["page"].split("\n")))


def cells_of(text):
    """The cells of the notebook of a page."""
    return nbformat.reads(make_colab.notebook(small_book(page=FRONT + text), "page"), 4).cells


# -- in step ------------------------------------------------------------------------------------


def test_every_executable_page_has_its_notebook_and_none_is_stale():
    assert make_colab.stale() == [], "run `make colab` and commit book/colab"


def test_drift_is_seen(tmp_path):
    root = tmp_path / "copy"
    (root / "book").mkdir(parents=True)
    for name in ("pyproject.toml", "_toc.yml"):
        shutil.copy(ROOT / name, root / name)
    for file in [*(ROOT / "book").glob("*.md"), ROOT / "book" / "references.bib"]:
        shutil.copy(file, root / "book" / file.name)
    shutil.copytree(ROOT / "book" / "colab", root / "book" / "colab")
    notebook = next((root / "book" / "colab").glob("*.ipynb"))
    page = root / "book" / f"{notebook.stem}.md"
    page.write_text(page.read_text() + "\nOne more sentence.\n")
    assert make_colab.stale(root) == [f"{notebook.name}: differs from its page"]
    notebook.rename(notebook.with_name("99-nothing.ipynb"))
    assert make_colab.stale(root) == [
        "99-nothing.ipynb: no page of the book makes it",
        f"{notebook.name}: missing",
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "book" / "colab").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_notebooks_are_clean(path):
    read = nbformat.read(path, as_version=4)
    nbformat.validate(read)
    assert read.metadata["accelerator"] == "GPU"
    assert read.metadata["colab"]["name"] == path.name
    ids = [cell.id for cell in read.cells]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in read.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert "google.colab" in code[0].source
    for cell in read.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"^\s*(`{3,}|:{3,})\{", cell.source, re.M), cell.source
            assert not re.search(r"\{[a-z:]+\}`", cell.source), cell.source
            assert "{{" not in cell.source, cell.source
            assert cell.source.count("<details>") == cell.source.count("</details>")


# -- translation --------------------------------------------------------------------------------


def test_admonitions_become_quotes():
    assert (
        translate("""\
        # Page

        ```{admonition} Predict $x$
        :class: question
        First.

        Second.
        ```
        """).rstrip()
        == "# Page\n\n> **Predict $x$**\n>\n> First.\n>\n> Second."
    )
    assert "> **Warning**\n>\n> Careful." in translate(":::{warning}\nCareful.\n:::\n")


def test_folded_admonitions_stay_folded():
    shown = translate("```{tip} \n:class: dropdown\nHidden **text**.\n```\n")
    assert shown.startswith("<details>\n<summary><b>Tip</b></summary>\n\nHidden **text**.\n\n</det")


def test_nested_directives_are_translated_inside_out():
    shown = translate("````{note}\nOuter.\n```{math}\nx\n```\n````\n")
    assert shown.split("\n")[:6] == ["> **Note**", ">", "> Outer.", "> $$", "> x", "> $$"]


def test_code_blocks_are_copied_and_not_read():
    text = "```python\nx = {term}`nothing`\n```\n"
    assert translate(text).strip() == text.strip()
    with_address = "```bash\npip install git+{{ repository }}\n```"
    assert URL in translate(with_address)


def test_exercises_are_numbered_across_pages_and_solutions_fold():
    shown = translate(
        "# Page\n\n```{exercise} Named\n:label: ex-second\n\nTwo, after {ref}`ex-first`."
        "\n```\n\n```{solution} ex-second\n:class: dropdown\n\nIt is two.\n```\n",
        earlier="# Earlier\n\n```{exercise}\n:label: ex-first\nOne.\n```\n",
    )
    assert "> **Exercise 2 (Named)**\n>\n> Two, after" in shown
    assert f"[Exercise 1]({SITE}/earlier.html#ex-first)" in shown
    assert "<summary><b>Solution</b></summary>\n\nIt is two.\n\n</details>" in shown


def test_references_become_links():
    others = {"other": "# Other page\n\n(here)=\n## Here\n\n$$\na\n$$ (eq-other)\n"}
    cases = {
        "{term}`view`": f"[view]({SITE}/glossary.html#term-view)",
        "{term}`it <hard negative>`": f"[it]({SITE}/glossary.html#term-hard-negative)",
        "{cite:p}`one`": "([van den Oord, 2018](https://example.org/cpc))",
        "{cite:t}`two`": "[Ioffe and Szegedy (2015)](https://doi.org/10.1/x)",
        "{cite:p}`many,two`": "(Chen et al., 2020; [Ioffe and Szegedy, 2015](https://doi.org/10.1/x))",
        "{doc}`other`": f"[Other page]({SITE}/other.html)",
        "[words](other.md)": f"[words]({SITE}/other.html)",
        "[words](other.md#here)": f"[words]({SITE}/other.html#here)",
        "[file](../results/README.md)": f"[file]({URL}/blob/main/results/README.md)",
        "[out](https://example.org/x)": "[out](https://example.org/x)",
        "{ref}`here`": f"[Other page]({SITE}/other.html#here)",
        "{ref}`there <here>`": f"[there]({SITE}/other.html#here)",
        "{eq}`eq-other`": f"[(1)]({SITE}/other.html#equation-eq-other)",
        "{py:func}`~contrastive_tutorial.losses.nt_xent`": (
            f"[`nt_xent`]({SITE}/api.html#contrastive_tutorial.losses.nt_xent)"
        ),
        "{py:mod}`contrastive_tutorial.losses.ntxent`": (
            f"[`contrastive_tutorial.losses.ntxent`]({SITE}/api.html#contrastive_tutorial.losses.ntxent)"
        ),
        "{class}`torch.Tensor`": "`torch.Tensor`",
        "{math}`x < y`": "$x < y$",
        "{{ repository }}": URL,
    }
    for text, wanted in cases.items():
        assert translate(text, **others) == wanted


def test_labelled_equations_carry_their_number():
    shown = translate("$$\na\n$$ (eq-a)\n\nand\n\n$$\nb\n$$ (eq-b)\n\nSee {eq}`eq-b`.\n")
    assert "$$\na \\tag{1}\n$$" in shown
    assert "$$\nb \\tag{2}\n$$" in shown
    assert "See (2)." in shown
    shown = translate("```{math}\n:label: eq-c\nc\n```\n\n{eq}`eq-c`\n")
    assert "$$\nc \\tag{1}\n$$" in shown


def test_figures_point_at_the_repository_and_keep_their_words():
    shown = translate("```{figure} assets/a.svg\n:alt: A circle\nThe caption.\n```\n")
    assert shown.startswith(f"![A circle]({URL}/raw/main/book/assets/a.svg)")
    assert "The caption." in shown


def test_comments_targets_and_definition_lists():
    shown = translate("% a comment\n(label)=\n## Title\n\nright\n: It holds.\n")
    assert "comment" not in shown
    assert "(label)" not in shown
    assert "- **right.** It holds." in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{glue}`x`", r"no translation for the role \{glue\}"),
        ("```{tab-set}\n```", r"no translation for the directive \{tab-set\}"),
        ("{cite:p}`nobody`", "no translation for the citation 'nobody'"),
        ("{eq}`eq-none`", "no translation for the equation 'eq-none'"),
        ("{ref}`none`", "no translation for the reference 'none'"),
        ("```{note}\nnever closed", "no translation for a fence that is never closed"),
    ],
)
def test_what_a_notebook_cannot_show_is_refused(text, message):
    with pytest.raises(UntranslatableError, match=r"book/page\.md: " + message):
        translate(text)


def test_gated_solutions_fold_text_and_code():
    cells = cells_of(
        "# Page\n\n```{exercise}\n:label: ex-a\nWhat?\n```\n\n"
        "````{solution-start} ex-a\n:class: dropdown\n````\n\nBecause.\n\n"
        "```{code-cell} ipython3\nprint(1)\n```\n\n````{solution-end}\n````\n\nNext.\n"
    )
    kinds = [cell.cell_type for cell in cells]
    assert kinds == ["markdown", "markdown", "markdown", "code", "code", "markdown"]
    assert cells[1].source.startswith("<details>")
    assert "Because." in cells[1].source
    assert "google.colab" in cells[3].source
    assert cells[4].source.startswith("#@title Solution")
    assert cells[4].metadata["cellView"] == "form"
    assert cells[5].source == "Next."


def test_run_all_passes_over_solutions(capsys):
    code = 'text = """a\n  b"""\n\ndef f():\n    return 1\n\nprint(text, f())'
    guarded = make_colab.guarded(code)
    exec(guarded, {})
    assert capsys.readouterr().out == ""
    exec(guarded.replace("False", "True", 1), {})
    assert capsys.readouterr().out == "a\n  b 1\n"


@pytest.mark.parametrize("page", [p.stem for p in (ROOT / "book" / "colab").glob("*.ipynb")])
def test_no_cell_needs_a_solution(page):
    """What a later cell uses is defined outside solutions, too."""
    cells = nbformat.read(ROOT / "book" / "colab" / f"{page}.ipynb", as_version=4).cells
    known, only_solved = set(), set()
    for cell in cells:
        if cell.cell_type != "code" or "google.colab" in cell.source:
            continue
        names = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Name)]
        bound = bound_names(ast.parse(cell.source))
        if "show_solution" in bound:
            only_solved |= bound - known
            continue
        used = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        assert not (used - bound) & only_solved, cell.source
        known |= bound
        only_solved -= bound


def bound_names(tree):
    """Names that a cell defines at its top level, or in an ``if``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


def test_code_that_the_page_folds_is_folded_in_the_notebook():
    checks, folded, shown = cells_of(
        "# Page\n\n```{code-cell} ipython3\n:tags: [remove-input]\n\ncheck_number(1)\n```\n\n"
        "```{code-cell} ipython3\n:tags: [hide-input]\n\nprint(1)\n```\n\n"
        "```{code-cell} ipython3\nprint(2)\n```\n"
    )[-3:]
    assert checks.source.startswith("#@title Check your answer")
    assert folded.source.startswith("#@title Code")
    assert folded.source.endswith("\nprint(1)")
    assert folded.metadata["cellView"] == "form"
    assert shown.source == "print(2)"
    assert "cellView" not in shown.metadata


def test_the_address_comes_from_pyproject_alone():
    book = read_book()
    for path, text in make_colab.notebooks().items():
        holders = set(re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", text))
        own = {link for link in holders if link.rstrip("\\n").startswith(book.url)}
        assert own == {book.url}, path.name


# -- on Colab -----------------------------------------------------------------------------------

REPORT = """\
import json, sys
import numpy, torch, contrastive_tutorial
print("REPORT" + json.dumps({
    "numpy": [numpy.__version__, numpy.__file__],
    "torch": [torch.__version__, torch.__file__],
    "own": contrastive_tutorial.__file__,
    "cwd": __import__("os").getcwd(),
}))
"""


def committed_copy(folder):
    """The working tree as a repository of its own, for the set-up cell to clone."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\n")  # fmt: skip
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)

    def git(*arguments):
        who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch", "main")
    git("add", "--all", "--force")
    git("commit", "--quiet", "--no-verify", "-m", "copy")
    return folder


def colab_like(folder):
    """An interpreter with today's packages, without ours, in which ``google.colab`` is loaded."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(
        subprocess.run(
            [python, "-c", where], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    # A plain path in a .pth file adds that folder's packages, but not its editable installs.
    packages = {str(Path(dist.locate_file(""))) for dist in metadata.distributions(name="torch")}
    (site / "preinstalled.pth").write_text("\n".join(packages) + "\n")
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").write_text('"""Stands in for Colab\'s own."""\n')
    (site / "zz-colab.pth").write_text("import google.colab\n")
    return python, site


def run_on_colab(notebook, setup, python, folder):
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    spec = folder / "kernels" / "colab"
    spec.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "colab", "language": "python"})
    )
    content = folder / "content"
    content.mkdir()
    manager = AsyncKernelManager(
        kernel_name="colab",
        kernel_spec_manager=KernelSpecManager(
            kernel_dirs=[str(folder / "kernels")], ensure_native_kernel=False
        ),
    )
    # A cell that moves widgets may be seen to end only after all its time: see test_widgets.run.
    client = NotebookClient(
        notebook,
        km=manager,
        timeout_func=lambda cell: 180 if cell is setup else 45,
        resources={"metadata": {"path": str(content)}},
    )
    client.execute()
    return client.nb


def outputs_of(cell):
    return "".join(out.get("text", "") for out in cell.outputs if out.output_type == "stream")


@pytest.mark.skipif(shutil.which("git") is None, reason="the set-up cell clones with git")
def test_a_notebook_runs_on_colab_and_numpy_and_torch_stay(tmp_path, monkeypatch):
    import numpy
    import torch

    book = read_book()
    origin = committed_copy(tmp_path / "origin")
    python, site = colab_like(tmp_path / "venv")
    path = ROOT / "book" / "colab" / "claims.ipynb"
    notebook = nbformat.read(path, as_version=4)
    setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert setup.source.count(book.url) == 1
    setup.source = setup.source.replace(book.url, origin.as_uri())
    notebook.cells.append(nbformat.v4.new_code_cell(REPORT))
    # The build backend is installed here: with isolation, pip would fetch it from the network.
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("CONTRASTIVE_TUTORIAL_BOOK", raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)

    done = run_on_colab(notebook, setup, python, tmp_path)

    report = json.loads(outputs_of(done.cells[-1]).partition("REPORT")[2])
    assert report["numpy"] == [numpy.__version__, numpy.__file__]
    assert report["torch"] == [torch.__version__, torch.__file__]
    assert Path(report["own"]).is_relative_to(site), "the notebook ran on another copy of ours"
    assert report["cwd"].endswith(f"{os.sep}book")
    installed = {p.name.lower() for p in site.iterdir()}
    assert not {"numpy", "torch", "torchvision"} & installed


@pytest.mark.parametrize(("gpu", "steps"), [(False, 60), (True, 600)])
def test_a_notebook_trains_longer_where_there_is_a_gpu(monkeypatch, gpu, steps):
    import torch

    from contrastive_tutorial import train

    path = ROOT / "book" / "colab" / "09-three-experiments.ipynb"
    source = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code")
    (line,) = re.findall(r"^PRESET = .*$", source, re.M)
    assert "preset=PRESET" in source
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    found = {}
    exec(line, {"torch": torch}, found)
    assert train.preset(found["PRESET"]).steps == steps
    assert source.index("import torch\n") < source.index(line)


#: Colab's image of August 2026, as `pip freeze` there prints it: what a notebook imports.
COLAB = {
    "numpy": "2.1.3", "torch": "2.11.0", "torchvision": "0.26.0", "pandas": "2.2.3",
    "scikit-learn": "1.6.1", "umap-learn": "0.5.12", "matplotlib": "3.10.0",
    "ipywidgets": "7.7.1",
}  # fmt: skip


def test_a_plain_installation_replaces_nothing_on_colab():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = {need.name: need for need in book_index.required(project, "notebook")}
    for name, version in COLAB.items():
        assert version in needs[name].specifier, f"{needs[name]} replaces {name} {version}"
    assert "3.13.15" in SpecifierSet(project["requires-python"])


STAND_INS = """\
import json, os, sys, types
import torch  # before the stand-ins: it looks for plug-ins among the distributions
from importlib import metadata
from IPython.core.interactiveshell import InteractiveShell

cell, places = json.loads(sys.argv[1])
shell = InteractiveShell.instance()
lines, found = [], {}
shell.register_magic_function(lines.append, magic_name="pip")
shell.register_magic_function(lines.append, magic_name="cd")
shell.system = lines.append
top = os.getcwd()
for place, present in places.items():
    if place != "elsewhere":
        sys.modules["google.colab"] = types.ModuleType("google.colab")
        metadata.distributions = lambda: [types.SimpleNamespace(name=name) for name in present]
    os.chdir(os.path.join(top, place))
    shell.run_cell(cell).raise_error()
    found[place] = [*lines]
    lines.clear()
print("LINES" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def colab_book():
    """The book, and the names of what its notebooks need."""
    book = read_book()
    return book, [re.split("[<>=]", need)[0] for need in book.requirements]


@pytest.fixture(scope="module")
def lines_run(colab_book, tmp_path_factory):
    """What the set-up cell asks of pip, cd and the shell, by the directory where it runs."""
    book, names = colab_book
    top = tmp_path_factory.mktemp("colab")
    places = {  # what is installed there; on Colab, but for the first
        "elsewhere": [],
        "one missing/book": [name for name in names if name != "umap-learn"],
        "complete/book": [name.replace("-", "_").title() for name in names],
        "fresh": names,
        "cloned": names,
    }
    for place in places:
        (top / place).mkdir(parents=True)
    (top / "cloned" / book.url.rpartition("/")[2]).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STAND_INS, json.dumps([make_colab.setup_source(book), places])],
        cwd=top, capture_output=True, text=True, check=True,
        env=os.environ | {"IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))},
    )  # fmt: skip
    assert list((top / "elsewhere").iterdir()) == []
    return json.loads(done.stdout.partition("LINES")[2])


@pytest.mark.parametrize("place", ["elsewhere", "complete/book"])
def test_the_set_up_cell_does_nothing_elsewhere_or_when_nothing_is_missing(lines_run, place):
    assert lines_run[place] == []


def test_the_set_up_cell_pins_what_it_must_not_replace(lines_run, colab_book):
    book, names = colab_book
    assert "umap-learn" in names
    assert not {"numpy", "torch", "torchvision"} & set(names)
    (pip,) = lines_run["one missing/book"]
    kept = [f"'{name}=={metadata.version(name)}'" for name in ("numpy", "torch", "torchvision")]
    (umap,) = [f"'{need}'" for need in book.requirements if need.startswith("umap")]
    assert pip.split() == ["install", "--quiet", umap, *kept]


def test_the_set_up_cell_clones_once(lines_run, colab_book):
    url = colab_book[0].url
    (clone,) = lines_run["fresh"]
    assert clone.startswith("git clone --quiet --depth 1 --branch main " + url)
    assert lines_run["cloned"] == [f"-q {url.rpartition('/')[2]}/book"]
