"""One piece of HTML that works alone: a JavaScript module, its data, and nothing else.

A widget is one dependency-free file in ``static/`` in the form that anywidget calls AFM: it ends
with ``export default { render };`` and ``render({ model, el })`` draws into ``el`` what
``model.get(name)`` holds. The same file runs as an anywidget and, through :func:`fragment`, as a
plain ``<script>``: no ``import``, no module loader, no request to any host, so it works in
JupyterLab, Colab's one-frame-per-output, VS Code, a static page and a file opened from the disk.
:func:`save_module` writes a widget as a module again, with its data, for sites that load modules.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import atomic_write

STATIC = resources.files("contrastive_tutorial.widgets") / "static"
EXPORT = "export default { render };"

_PARTS = re.compile(
    r'<script type="application/json">(?P<data>.*?)</script>'
    r".*\nconst afm = \(function \(\) \{\n(?P<module>.*?)\n\}\)\(\);\nfunction makeModel",
    re.DOTALL,
)


def module_source(name: str) -> str:
    """Text of ``static/<name>.js``, an AFM module, after ``common.js`` if it takes a theme.

    ``"live/floor+live"`` is one module of two files, in this order.
    """
    source = "".join(static(f"{part}.js") for part in name.split("+"))
    return static("common.js") + source if "followTheme(" in source else source


def static(name: str) -> str:
    """Text of a file in ``static/``."""
    return (STATIC / name).read_text(encoding="utf-8")


def squeezed(source: str) -> str:
    """JavaScript without its indentation and comments.

    A comment after code that holds a quotation mark stays: it may be part of a string.

    >>> squeezed("// what's done\\n  f('//'); // here\\n")
    "f('//');"
    """
    text = re.sub(r"/\*\*.*?\*/", "", source, flags=re.DOTALL)
    text = re.sub(r"^[ \t]*//[^`\n]*$|(^|\s)//[^\"'`\n]*$", "", text, flags=re.MULTILINE)
    return "\n".join(line for each in text.splitlines() if (line := each.strip()))


def clean(text: str) -> str:
    """``text`` with lone surrogates replaced: they fit into no file.

    >>> clean("K\\ud800")
    'K?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def json_for_script(value: Any) -> str:
    """JSON that may stand inside ``<script>``: no ``<``, ``>`` or ``&``, ASCII only.

    >>> json_for_script("</script><!-- é")
    '"\\\\u003c/script\\\\u003e\\\\u003c!-- \\\\u00e9"'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def fragment(name: str, state: dict[str, Any], fallback: str, still: str = "") -> str:
    """HTML of one widget; equal arguments give equal bytes.

    Args:
        name: of the JavaScript file in ``static/``, or of several, as in :func:`module_source`.
        state: what ``model.get`` returns, JSON types only.
        fallback: plain text for a place where scripts do not run.
        still: HTML of a picture for such a place.
    """
    source = module_source(name)
    assert source.count(EXPORT) == 1, f"{name}.js must end with {EXPORT!r}"
    assert "</script" not in source.lower(), f"{name}.js would end its own script element"
    assert "<!--" not in source, f"{name}.js would open an HTML comment"
    data = json_for_script(state)
    key = hashlib.sha256((name + data).encode()).hexdigest()[:16]
    module = squeezed(source).replace(EXPORT, "return { render };")
    host = squeezed(static("host.js")).replace("/*KEY*/", key).replace("/*MODULE*/", module)
    noscript = f"<noscript>{still}</noscript>" if still else ""
    return (
        f'<div class="ct-widget" data-ct-widget="{key}">'
        f'<p class="ct-fallback">{html.escape(clean(fallback))}</p>'
        f'<script type="application/json">{data}</script>{noscript}</div>\n'
        f"<script>{host}</script>"
    )


def save_module(widget: Any, path: str | Path) -> Path:
    """Write a widget as one JavaScript module, as the ``anywidget`` directive of MyST takes it.

    The file holds the widget's data too, so that a page of Jupyter Book 2 needs nothing else::

        ```{anywidget} lab.mjs
        ```

    A JSON object in the body of the directive changes single entries of that data, such as
    ``{"k": 5}`` for an explorer that begins at five subsets.

    Args:
        widget: a :class:`Lab`, :class:`Player`, :class:`EmbeddingExplorer` or another of this room
            that has ``html``.
        path: of the file, which ends in ``.mjs`` or ``.js``.

    Raises:
        InputError: if ``widget`` is none of ours, or ``path`` has another ending.
    """
    if Path(path).suffix not in (".mjs", ".js"):
        raise InputError(f"path: expected a file that ends in .mjs or .js, got {str(path)!r}")
    html_of_it = getattr(widget, "html", None)
    parts = _PARTS.search(html_of_it) if isinstance(html_of_it, str) else None
    if parts is None:
        raise InputError(
            f"widget: expected a recorded widget of this package, got {type(widget).__name__}; "
            "with a kernel, interact(..., static=True) records one"
        )
    module = static("module.js").replace("/*MODULE*/", parts["module"])
    atomic_write(path, module.replace("/*STATE*/", parts["data"]).encode())
    return Path(path)


def page(body: str, title: str) -> str:
    """A whole HTML page around a fragment, for ``save_html``; follows the reader's theme."""
    frame = static("page.html").replace("<!--TITLE-->", html.escape(clean(title)))
    return frame.replace("<!--BODY-->", body)


class Piece:
    """A widget that is one piece of HTML: what the last line of a cell asks of it.

    Notebooks and the book show the HTML, the PDF and GitHub's preview the picture, if there is one,
    and everything else the sentence.

    Attributes:
        html: the self-contained piece of HTML.
        png: a picture in its place, or ``None``.
        summary: one sentence in the place of both.
        title: of the page that :meth:`save_html` writes.
    """

    html: str
    summary: str
    title: str
    png: Any = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = {"text/html": self.html, "text/plain": self.summary}
        if self.png is not None:
            bundle["image/png"] = base64.b64encode(self.png).decode("ascii")
        return bundle

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summary!r})"

    def save_html(self, path: str | Path) -> Path:
        """Write one HTML file that works from the disk, without a network."""
        atomic_write(path, page(self.html, self.title).encode())
        return Path(path)

    def still(self, width: int) -> str:
        """The picture as an HTML image of so many pixels, for readers without JavaScript."""
        data = base64.b64encode(self.png).decode("ascii")
        alt = html.escape(self.summary, quote=True)
        return f'<img alt="{alt}" width="{width}" src="data:image/png;base64,{data}">'


def png_of(figure: Any, dpi: int) -> bytes:
    """A matplotlib figure as PNG, the same bytes for the same figure; the figure is closed."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()
