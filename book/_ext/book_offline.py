"""The built book asks no other host for anything: formulas and their fonts come from the book.

MathJax is copied out of an installed package rather than kept in the repository: of its 24 MB, the
book needs one script and its fonts. What a page loads is kept small on the way: budget 3 MB.
"""

from __future__ import annotations

import shutil
from importlib.metadata import files
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PACKAGE = "sphinx-mathjax-offline"
SCRIPT = "tex-mml-chtml.js"
FONTS = "output/chtml/fonts/woff-v2"


def mathjax_folder() -> Path:
    """The folder of the installed package that holds MathJax's scripts."""
    for file in files(PACKAGE) or []:
        if file.name == SCRIPT:
            return Path(str(file.locate())).parent
    raise FileNotFoundError(f"{SCRIPT} is not in the installed {PACKAGE}: reinstall the book extra")


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    (target / FONTS).mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / SCRIPT, target / SCRIPT)
    for font in sorted((source / FONTS).glob("*.woff")):
        shutil.copy2(font, target / FONTS / font.name)


def drop_icon_script(app: Sphinx, error: Exception | None) -> None:
    """Empty the theme's 1.5 MB icon script: its style sheet draws the same icons from a font."""
    script = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if error is None and script.exists():
        script.write_text("/* the icons come from the font in pydata-sphinx-theme.css */\n")


def set_theme_mode(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Name the mode that the theme falls back to anyway; left empty, it logs a console error."""
    context["default_mode"] = "auto"


def setup(app: Sphinx) -> dict[str, Any]:
    # Jupyter Book sets the options of sphinx_comments, which _config.yml leaves out, all the same.
    app.add_config_value("comments_config", {}, "html", [dict])
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", drop_icon_script)
    app.connect("html-page-context", set_theme_mode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
