"""What the tools write that a screen reader stumbles over, mended on its way to the page."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

# A list has list items: the role that docutils gives to its entries was withdrawn in ARIA 1.3.
ROLES = {
    'role="doc-biblioentry"': 'role="listitem"',
}


def mend_roles(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    for wrong, right in ROLES.items():
        if "body" in context:
            context["body"] = context["body"].replace(wrong, right)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", mend_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
