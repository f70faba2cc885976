"""Write ``book/colab/*.ipynb``: each executable page of the book as a notebook for Colab.

Colab opens notebooks, not MyST, and shows MyST's directives as raw text. So every page is
translated, and a set-up cell goes before its first code cell. The result is a function of the
sources alone; ``--check`` says what is stale.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import sys
import tokenize
from pathlib import Path
from typing import Any

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from book_address import BRANCH, PLACEHOLDER  # noqa: E402
from book_index import NEVER_TOUCHED, Book, UntranslatableError, is_executable, read_book  # noqa: E402
from book_translate import Translator, fold  # noqa: E402

SOLUTION_FENCE = re.compile(
    r"^(?:`{3,}|:{3,})\{solution-(?P<edge>start|end)\}[^\n]*\n"
    r"(?::[\w-]+:[^\n]*\n)*\s*(?:`{3,}|:{3,})[ ]*$",
    re.MULTILINE,
)

EXERCISE_LABEL = re.compile(r"^[`:]{3,}\{exercise\}[^\n]*\n:label: *([\w-]+)", re.MULTILINE)

SETUP_NOTE = """\
*This notebook is [a page of the book]({page}), where its outputs are already computed. On Colab, \
run the next cell first, and choose* Runtime → Change runtime type *for a GPU; elsewhere the cell \
does nothing.*"""

SETUP = """\
# Set-up for Colab. Installs only what is missing: NumPy and PyTorch stay as they are.
import sys
from importlib import invalidate_caches, metadata, util
from pathlib import Path

if "google.colab" in sys.modules:
    checkout = Path("{name}")
    if Path.cwd().name != "book" and not checkout.exists():
        !git clone --quiet --depth 1 --branch {branch} {url} {{checkout}}
    if checkout.exists():
        %cd -q {{checkout}}/book
    if util.find_spec("contrastive_tutorial") is None:
        %pip install --quiet --no-deps ..
    present = {{dist.name.lower().replace("_", "-") for dist in metadata.distributions()}}
    needed = "{needed}"
    missing = [need for need in needed.split() if need.split(">")[0] not in present]
    if missing:
        kept = [f"{{name}}=={{metadata.version(name)}}" for name in "{kept}".split()]
        wanted = " ".join(f"'{{need}}'" for need in missing + kept)
        %pip install --quiet {{wanted}}
    invalidate_caches()
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    print("Training runs on", gpu or "the CPU. For a GPU: Runtime, Change runtime type, T4 GPU.")"""


def setup_source(book: Book) -> str:
    return SETUP.format(
        name=book.url.rpartition("/")[2],
        branch=BRANCH,
        url=book.url,
        needed=" ".join(book.requirements),
        kept=" ".join(NEVER_TOUCHED),
    )


def guarded(source: str) -> str:
    """The code of a solution, which *Run all* passes over until its reader asks for it.

    >>> print(guarded("print(1)"))
    #@title Solution (tick, then run; open to see the code)
    show_solution = False  #@param {type:"boolean"}
    if show_solution:
        print(1)
    """
    lines = source.split("\n")
    inside = {
        number
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        for number in range(token.start[0] + 1, token.end[0] + 1)
        if token.type == tokenize.STRING
    }
    indented = [
        line if number in inside or not line.strip() else "    " + line
        for number, line in enumerate(lines, start=1)
    ]
    return "\n".join(
        [
            "#@title Solution (tick, then run; open to see the code)",
            'show_solution = False  #@param {type:"boolean"}',
            "if show_solution:",
            *indented,
        ]
    )


def split_at_solutions(source: str) -> list[str]:
    """The pieces of a Markdown cell between the fences that open and close a gated solution.

    The fences' names, ``start`` and ``end``, stand between the pieces.
    """
    return SOLUTION_FENCE.split(source)


def notebook(book: Book, page: str) -> str:
    """The notebook of a page, as the text of its file."""
    translator = Translator(book, page)
    read = jupytext.reads(book.sources[page], fmt="md:myst")
    cells: list[Any] = []
    in_solution, label = False, ""
    for cell in read.cells:
        if cell.cell_type == "code":
            tags = list(cell.metadata.get("tags", []))
            metadata: dict[str, Any] = {"tags": tags} if tags else {}
            source = cell.source.replace(PLACEHOLDER, book.url)
            if in_solution:
                # Colab hides the code behind this title until it is asked for; Jupyter folds it.
                source = guarded(source)
                metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
            elif {"hide-input", "remove-input", "hide-cell", "remove-cell"} & set(tags):
                # Folded in the page, so folded here; it runs as any other cell does.
                checks = re.search(r"\b(check|judge)_?\w*\(", source)
                title = "Check your answer" if checks else "Code of what follows"
                source = f"#@title {title} (open to see the code)\n{source}"
                metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
            if not any(c.cell_type == "code" for c in cells):
                note = SETUP_NOTE.format(page=book.page(page))
                cells.append(nbformat.v4.new_markdown_cell(note))
                cells.append(nbformat.v4.new_code_cell(setup_source(book)))
            if label and not in_solution:
                metadata["id"] = label  # what Colab scrolls to; the page links to it
            label = ""
            cells.append(nbformat.v4.new_code_cell(source, metadata=metadata))
            continue
        labels = EXERCISE_LABEL.findall(cell.source)
        label = labels[-1] if labels else label
        for position, piece in enumerate(split_at_solutions(cell.source)):
            if position % 2:
                in_solution = piece == "start"
                continue
            text = "\n".join(translator.blocks(piece.split("\n"))).strip()
            if text and in_solution:
                text = "\n".join(fold("Solution", text.split("\n")))
            if text:
                cells.append(nbformat.v4.new_markdown_cell(re.sub(r"\n{3,}", "\n\n", text)))
    give_ids(cells)
    made = nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "accelerator": "GPU",
            "colab": {"name": f"{page}.ipynb", "provenance": [], "toc_visible": True},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    nbformat.validate(made)
    return nbformat.writes(made, version=4, indent=1) + "\n"


def give_ids(cells: list[Any]) -> None:
    """Ids from the cells' text: an edit changes one id, and two builds give the same."""
    seen: dict[str, int] = {}
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        digest = cell.metadata.get("id", digest)
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def notebooks(root: Path = ROOT) -> dict[Path, str]:
    """File -> text, for every executable page of the table of contents."""
    book = read_book(root)
    folder = root / "book" / "colab"
    return {
        folder / f"{page}.ipynb": notebook(book, page)
        for page in book.pages
        if is_executable(book.sources[page])
    }


def stale(root: Path = ROOT) -> list[str]:
    """What differs between ``book/colab`` and the sources, one line each."""
    wanted = notebooks(root)
    found = set((root / "book" / "colab").glob("*"))
    lines = [f"{path.name}: no page of the book makes it" for path in sorted(found - set(wanted))]
    for path, text in wanted.items():
        if path not in found:
            lines.append(f"{path.name}: missing")
        elif path.read_text(encoding="utf-8") != text:
            lines.append(f"{path.name}: differs from its page")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write book/colab/*.ipynb from the book's pages.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if anything is stale"
    )
    options = parser.parse_args(arguments)
    try:
        if options.check:
            differences = stale()
            print("\n".join(differences) or "book/colab is up to date")
            return 1 if differences else 0
        wanted = notebooks()
    except UntranslatableError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    folder = ROOT / "book" / "colab"
    folder.mkdir(exist_ok=True)
    for path in sorted(set(folder.glob("*.ipynb")) - set(wanted)):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
