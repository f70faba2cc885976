#!/usr/bin/env bash
# A notebook that goes through jupytext's MyST format comes back with text turned into code.
# Versions: jupytext 1.19.6, nbformat 5.11.1.
# Expected (a first guess): each Markdown cell comes back as it was, as it does through
# py:percent: a fenced example in a Markdown cell is an example.
# Seen: a Markdown cell that shows a {code-cell} fence comes back as a code cell, which then runs;
# a Markdown cell with a line +++ comes back as two.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  jupytext==1.19.6 nbformat==5.11.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import jupytext
from nbformat.v4 import new_markdown_cell, new_notebook

cells = [new_markdown_cell("```{code-cell}\nprint(1)\n```"), new_markdown_cell("one\n\n+++\n\ntwo")]


def back(form):
    text = jupytext.writes(new_notebook(cells=cells), fmt=form)
    return [(cell.cell_type, cell.source) for cell in jupytext.reads(text, fmt=form).cells]


myst, percent = back("md:myst"), back("py:percent")
print("md:myst   ", myst)
print("py:percent", percent)
assert [source for _, source in percent] == [cell.source for cell in cells]
assert myst == [("code", "print(1)"), ("markdown", "one"), ("markdown", "two")]
PYTHON
