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

# What is checked with these has a field in the page.
IN_THE_PAGE = ("check_number(", "check_choice(")


def code_below(exercise: nodes.Element) -> str:
    """The code of the cells between an exercise and what ends it: a solution, or another."""
    found = []
    after = exercise.parent.children[exercise.parent.index(exercise) + 1 :]
    for node in after:
        if is_exercise_node(node) or is_solution_node(node) or isinstance(node, nodes.section):
            break
        if isinstance(node, nodes.Element) and "cell" in node.get("classes", []):
            found += [block.astext() for block in node.findall(nodes.literal_block)]
    return "\n".join(found)


def needs_a_kernel(code: str) -> bool:
    """Whether what a reader is to do in these cells takes more than a field.

    >>> needs_a_kernel("answer = ...\\ncheck_number('a', answer, 1)")
    False
    >>> needs_a_kernel("def f(x):\\n    return ...\\ncheck_function('f', f, g, [1])")
    True
    """
    return "..." in code and not (
        any(name in code for name in IN_THE_PAGE) and "def " not in code and "check_f" not in code
    )


def link_exercises(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if app.builder.format != "html":
        return
    url = colab_url(repository_url(Path(app.srcdir)), docname)
    for exercise in list(doctree.findall(is_exercise_node)):
        if not needs_a_kernel(code_below(exercise)):
            continue
        line = nodes.paragraph(classes=["book-open"])
        aim = f"{url}#scrollTo={exercise['label']}"
        line += nodes.reference("", "Solve it in Colab", refuri=aim, internal=False)
        line += nodes.Text(". There, Runtime → Run before runs the cells that it needs.")
        exercise += line


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-resolved", link_exercises)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
