"""Below an exercise that asks for code, the way to the cell where it is written.

The address is made of the repository's (``book_address``), and ``make_colab`` gives the cell the
label of its exercise as its id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from book_address import colab_url, repository_url
from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import is_exercise_node, is_solution_node

FIELD = '"sealed":'  # in the HTML of widgets.fields.Field


def cells_below(exercise: nodes.Element) -> list[nodes.Element]:
    """The cells between an exercise and what ends it: a solution, or another exercise."""
    found = []
    for node in exercise.parent.children[exercise.parent.index(exercise) + 1 :]:
        if is_exercise_node(node) or is_solution_node(node) or isinstance(node, nodes.section):
            break
        if isinstance(node, nodes.Element) and "cell" in node.get("classes", []):
            found.append(node)
    return found


def needs_a_kernel(code: str, has_field: bool) -> bool:
    """Whether what a reader is to do in these cells takes more than a field.

    >>> needs_a_kernel("answer = ...", has_field=True)
    False
    >>> needs_a_kernel("def f(x):\\n    return ...", has_field=True)
    True
    """
    return "return ..." in code or ("..." in code and not has_field)


def link_exercises(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if app.builder.format != "html":
        return
    url = colab_url(repository_url(Path(app.srcdir)), docname)
    for exercise in list(doctree.findall(is_exercise_node)):
        cells = cells_below(exercise)
        code = "\n".join(b.astext() for cell in cells for b in cell.findall(nodes.literal_block))
        fields = any(FIELD in raw.astext() for cell in cells for raw in cell.findall(nodes.raw))
        if not needs_a_kernel(code, fields):
            continue
        line = nodes.paragraph(classes=["book-open"])
        aim = f"{url}#scrollTo={exercise['label']}"
        line += nodes.reference("", "Solve it in Colab", refuri=aim, internal=False)
        line += nodes.Text(". There, Runtime → Run before runs the cells that it needs.")
        exercise += line


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", link_exercises)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
