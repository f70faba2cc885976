"""How soon a page of the built book answers its reader, and how fast the explorer redraws.

    python benchmarks/pages.py [--repeats 5] [--pages book/intro book/09-three-experiments]
                               [--json benchmarks/results/pages.json]

Needs a built book (`make book`) and Chromium. Pages come from a server on this machine, into a
browser that starts each visit with an empty cache. *Interactive* is the later of two moments: the
page's scripts have run (DOMContentLoaded), and the last task of more than 50 ms has ended, provided
a second without another such task follows. Figures are medians over the visits, a whole round of
pages at a time, so that a slow spell of the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import os
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "_build" / "html"
EXPLORER = "book/09-three-experiments"
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET_MS = 1_000

WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longTasks.push([task.startTime, task.duration]);
}).observe({ type: "longtask", buffered: true });
"""

SETTLED = """(quiet) => {
  const [page] = performance.getEntriesByType("navigation");
  if (!page.loadEventEnd) return null;
  const last = Math.max(page.domContentLoadedEventEnd,
    ...window.longTasks.map(([start, duration]) => start + duration));
  if (performance.now() - Math.max(last, page.loadEventEnd) < quiet) return null;
  return { interactive: last, loaded: page.loadEventEnd,
    blocked: window.longTasks.reduce((sum, [, duration]) => sum + duration - 50, 0) };
}"""

# From the move of the slider until the browser has handed the frame over.
REDRAW = """async (explorer) => {
  const slider = explorer.querySelector("input[type=range]");
  const frame = () => new Promise(requestAnimationFrame);
  const times = [];
  for (let i = 0; i < 40; i++) {
    const at = i % (Number(slider.max) + 1);
    if (Number(slider.value) === at) continue;
    await frame();
    const start = performance.now();
    slider.value = at;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await frame(); // runs after the explorer's own callback of this frame
    explorer.querySelectorAll("canvas").forEach((c) => c.getContext("2d").getImageData(0, 0, 1, 1));
    times.push(performance.now() - start);
    await frame();
  }
  return times;
}"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder behind a web server that compresses what most servers compress."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            path = Path(self.translate_path(self.path))
            if not path.is_file():
                self.send_error(404)
                return
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", self.guess_type(str(path)))
            if path.suffix in COMPRESSED:
                data = compressed(path)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@functools.cache
def compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes())


def visit(browser: Any, url: str) -> dict[str, float]:
    """One visit with an empty cache: milliseconds since it was asked for, and bytes received."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(WATCH)
    page = context.new_page()
    received = [0]
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.loadingFinished",
        lambda event: received.append(event["encodedDataLength"]),
    )
    page.goto(url, wait_until="load")
    found = page.wait_for_function(SETTLED, arg=QUIET_MS, timeout=120_000).json_value()
    context.close()
    return {
        "interactive_ms": found["interactive"],
        "loaded_ms": found["loaded"],
        "blocked_ms": found["blocked"],
        "kilobytes": sum(received) / 1000,
    }


def redraws(browser: Any, url: str) -> list[float]:
    """Milliseconds of each redraw of the explorer's three panels."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(url, wait_until="networkidle")
    explorer = page.locator(".explorer").first
    explorer.scroll_into_view_if_needed()
    times: list[float] = explorer.evaluate(REDRAW)
    context.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pages", nargs="*", help="such as book/intro; by default all")
    parser.add_argument("--built", type=Path, default=BUILT, help="the folder of the built book")
    parser.add_argument("--json", type=Path, help="keep the figures here")
    arguments = parser.parse_args()
    found = sorted((arguments.built / "book").glob("*.html"))
    there = [f"book/{path.stem}" for path in found]
    pages = arguments.pages or there
    if unknown := sorted(set(pages) - set(there)):  # or the answer "not found" would be measured
        parser.error(f"no such page: {', '.join(unknown)}; expected some of {', '.join(there)}")
    executable = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if not pages or executable is None:
        parser.error("needs a built book (`make book`) and Chromium (apt-get install chromium)")

    from playwright.sync_api import sync_playwright

    visits: dict[str, list[dict[str, float]]] = {name: [] for name in pages}
    with sync_playwright() as playwright, served(arguments.built) as address:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
        )
        visit(browser, f"{address}{pages[0]}.html")  # files come from the disk once
        for _ in range(arguments.repeats):
            for name in pages:
                visits[name].append(visit(browser, f"{address}{name}.html"))
        moves = redraws(browser, f"{address}{EXPLORER}.html") if EXPLORER in pages else []
        version = browser.version
        browser.close()

    rows = [
        {"page": name.removeprefix("book/")}
        | {key: statistics.median(one[key] for one in seen) for key in seen[0]}
        for name, seen in visits.items()
    ]
    load = round(os.getloadavg()[0], 1)
    print(f"Chromium {version}, {os.cpu_count()} cores, load average {load}")
    print(f"{'page':28}" + "".join(f"{key:>16}" for key in list(rows[0])[1:]))
    for row in rows:
        print(f"{row['page']:28}" + "".join(f"{row[key]:16,.0f}" for key in list(row)[1:]))
    if moves:
        print(f"explorer, {len(moves)} moves: median {statistics.median(moves):.1f} ms, "
              f"slowest {max(moves):.1f} ms")  # fmt: skip
    if arguments.json:
        keep(arguments.json, rows, moves, version, load, arguments.repeats)


def keep(
    path: Path, rows: list[dict[str, Any]], moves: list[float], version: str, load: float, n: int
) -> None:
    from common import origin
    from torch import device

    for row in rows:
        row.update({key: round(value) for key, value in row.items() if key != "page"})
    explorer = (
        {"redraw median ms": statistics.median(moves), "redraw slowest ms": max(moves)}
        if moves
        else {}
    )
    content = {
        "title": "Pages of the built book in Chromium",
        **origin(device("cpu")),
        "load_average": load,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "settings": {"chromium": version, "visits": n, "cache": "empty", **explorer},
        "rows": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
