"""The system's Chromium without a display and without a network, for tests of saved pages."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
EXECUTABLE = next((found for name in NAMES if (found := shutil.which(name))), None)


_MISSING = "no Chromium on PATH: install one (apt-get install chromium) to test the widgets alive"
needs_chromium = pytest.mark.skipif(EXECUTABLE is None, reason=_MISSING)


@functools.cache
def browser() -> Any:
    """The one Chromium of this process: it finds no host but this machine. Each test opens a
    context of its own, which shares nothing with another's.
    """
    if EXECUTABLE is None:
        pytest.skip(_MISSING)
    from playwright.sync_api import sync_playwright

    playwright = sync_playwright().start()
    atexit.register(playwright.stop)
    return playwright.chromium.launch(
        executable_path=EXECUTABLE,
        args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
    )


@contextlib.contextmanager
def opened(path: Path | str, **context: Any) -> Iterator[Any]:
    """A page that shows the file ``path``; at the end, its console must have stayed silent.

    ``path`` may also be the address of a page on this machine: its server alone may be asked.
    ``context`` goes to Playwright's ``new_context``: ``color_scheme``, ``reduced_motion``,
    ``viewport``.
    """
    address = path if isinstance(path, str) else path.as_uri()
    allowed = ("file:", "data:", "blob:")
    if isinstance(path, str):
        allowed = (path.rpartition("/")[0] + "/", "data:", "blob:")
    own = browser().new_context(**context)
    try:
        page = own.new_page()
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
        page.goto(address)
        yield page
        assert complaints == []
        assert [url for url in requests if not url.startswith(allowed)] == []
    finally:
        own.close()
