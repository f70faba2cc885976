"""Everything in the book that depends on where the repository lives.

pyproject.toml's ``[project.urls] Repository`` is the one place that holds the address. From it come
the repository and issue buttons, the Colab button of every executable page, and the address that
social networks are told the pages have.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx

BRANCH = "main"
PLACEHOLDER = "{{ repository }}"
COLAB = "https://colab.research.google.com"

# The theme adds its buttons at 501, and the list is drawn only once all handlers have run.
AFTER_THE_THEME = 900


def repository_url(root: Path) -> str:
    """The address in ``root/pyproject.toml``, without a trailing slash or ``.git``."""
    with (root / "pyproject.toml").open("rb") as file:
        url: str = tomllib.load(file)["project"]["urls"]["Repository"]
    return url.rstrip("/").removesuffix(".git")


def owner_and_name(url: str) -> tuple[str, str]:
    owner, name = urlsplit(url).path.strip("/").split("/")
    return owner, name


def pages_url(url: str) -> str:
    """Where GitHub Pages publishes the book of the repository at ``url``."""
    owner, name = owner_and_name(url)
    return f"https://{owner.lower()}.github.io/{name}/"


def notebook_path(pagename: str) -> str:
    """The Colab notebook of a page, relative to the repository root.

    >>> notebook_path("book/06-simclr")
    'book/colab/06-simclr.ipynb'
    """
    folder, _, page = pagename.rpartition("/")
    return f"{folder}/colab/{page}.ipynb"


def colab_url(url: str, pagename: str) -> str:
    owner, name = owner_and_name(url)
    return f"{COLAB}/github/{owner}/{name}/blob/{BRANCH}/{notebook_path(pagename)}"


def set_addresses(app: Sphinx, config: Any) -> None:
    url = repository_url(Path(app.srcdir))
    config.html_baseurl = pages_url(url)
    config.html_theme_options.update(
        {
            "repository_url": url,
            "repository_branch": BRANCH,
            "path_to_docs": "",
            "navbar_persistent": [],
            "use_repository_button": True,
            "use_issues_button": True,
            "use_edit_page_button": False,
            "launch_buttons": {"colab_url": COLAB, "notebook_interface": "jupyterlab"},
        }
    )


def fill_in_address(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace ``{{ repository }}``; MyST's own substitutions leave code blocks alone."""
    source[0] = source[0].replace(PLACEHOLDER, repository_url(Path(app.srcdir)))


def point_colab_button_at_notebook(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """The theme links Colab to the page's source, which is Markdown and which Colab cannot open."""
    url = colab_url(repository_url(Path(app.srcdir)), pagename)
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []) if isinstance(group, dict) else []:
            if button.get("text") == "Colab":
                button["url"] = url


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", set_addresses)
    app.connect("source-read", fill_in_address)
    app.connect("html-page-context", point_colab_button_at_notebook, priority=AFTER_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
