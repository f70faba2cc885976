#!/usr/bin/env bash
# papermill turns the parameter 123e4567 into infinity and 1_000 into a thousand.
# Versions: papermill 2.7.0, nbformat 5.11.1.
# Expected (a first guess): -p takes numbers as YAML or JSON writes them; an abbreviated commit, a
# run named 12_3 or an arm named inf stays text.
# Seen: whatever Python's int() or float() accepts becomes a number, so the notebook is recorded
# with another name than was asked for, and 007 with 7. The option -r keeps the text.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  papermill==2.7.0 nbformat==5.11.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import json
import subprocess
import sys
from pathlib import Path

import nbformat

folder = Path(sys.prefix)
source, made = folder / "in.ipynb", folder / "out.ipynb"
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("commit = run = arm = None")])
notebook.cells[0].metadata["tags"] = ["parameters"]
notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "P"}
nbformat.write(notebook, source)
asked = {"commit": "123e4567", "run": "12_3", "arm": "inf"}


def kept(option):
    given = [word for name, value in asked.items() for word in (option, name, value)]
    command = [sys.executable, "-m", "papermill", "--prepare-only", "--no-progress-bar"]
    subprocess.run([*command, str(source), str(made), *given], check=True, capture_output=True)
    return json.loads(made.read_text())["cells"][1]["source"]


usual, raw = "".join(kept("-p")), "".join(kept("-r"))
print("-p:", usual.split("\n")[1:], " -r:", raw.split("\n")[1:])
assert "commit = float('inf')" in usual and "run = 123" in usual and "arm = float('inf')" in usual
assert 'commit = "123e4567"' in raw and 'run = "12_3"' in raw
PYTHON
