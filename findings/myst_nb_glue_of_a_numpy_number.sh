#!/usr/bin/env bash
# A number from NumPy that is glued into a page of myst-nb is missing there once it gets a format.
# Versions: myst-nb 1.4.0, sphinx 7.4.7, myst-parser 3.0.1, ipykernel 7.4.0, numpy 2.4.6.
# Expected (a first guess): {glue:text}`accuracy:.2f` prints 0.88, and {glue}`accuracy` prints
# 0.8765, for a mean by NumPy as for a float.
# Seen: NumPy's number is kept by its representation: the sentence says np.float64(0.8765), and
# with a format there is nothing between its words, with a warning that the text is no float.
# glue("accuracy", float(mean)) gives the guess.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  myst-nb==1.4.0 sphinx==7.4.7 myst-parser==3.0.1 ipykernel==7.4.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import subprocess
import sys
from pathlib import Path

page = '''---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: P}
---
# Page

```{code-cell} ipython3
import numpy as np
from myst_nb import glue
glue("theirs", np.mean([0.8765]), display=False)
glue("ours", float(np.mean([0.8765])), display=False)
```

From NumPy <{glue}`theirs`> <{glue:text}`theirs:.2f`> end.

From Python <{glue}`ours`> <{glue:text}`ours:.2f`> end.
'''
folder = Path(sys.prefix, "book")
folder.mkdir()
(folder / "index.md").write_text(page)
(folder / "conf.py").write_text("extensions = ['myst_nb']\nnb_execution_mode = 'force'\n")
build = [sys.executable, "-m", "sphinx", "-q", "-b", "text", folder, folder / "made"]
subprocess.run(build, check=True, capture_output=True)
said = [line for line in (folder / "made/index.txt").read_text().split("\n") if "From" in line]
print("\n".join(said))
assert said == ["From NumPy <np.float64(0.8765)> <> end.", "From Python <0.8765> <0.88> end."]
PYTHON
