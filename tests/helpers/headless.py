"""The system's Chromium without a display and without a network, for tests of saved pages."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
EXECUTABLE = next((found for name in NAMES if (found := shutil.which(name))), None)

needs_chromium = pytest.mark.skipif(
    EXECUTABLE is None,
    reason="no Chromium on PATH: install one (apt-get install chromium) to test the widgets alive",
)


@contextlib.contextmanager
def opened(path: Path, **context: Any) -> Iterator[Any]:
    """A page that shows the file ``path``; at the end, its console must have stayed silent.

    ``context`` goes to Playwright's ``new_context``: ``color_scheme``, ``reduced_motion``,
    ``viewport``.
    """
    from playwright.sync_api import sync_playwright

    assert EXECUTABLE is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=EXECUTABLE,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND"],
        )
        try:
            page = browser.new_context(**context).new_page()
            complaints: list[str] = []
            requests: list[str] = []
            page.on(
                "console",
                lambda message: (
                    complaints.append(message.text) if message.type in ("error", "warning") else 0
                ),
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(path.as_uri())
            yield page
            assert complaints == []
            assert [
                url for url in requests if not url.startswith(("file:", "data:", "blob:"))
            ] == []
        finally:
            browser.close()
