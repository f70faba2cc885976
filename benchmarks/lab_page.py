"""What the lab asks of the page it stands in: memory over 50 starts, and the work of a frame.

    python benchmarks/lab_page.py [--starts 50] [--json FILE]

A page of its own, opened from the disk in Chromium, trains the default question's two networks for
a few steps, again and again.

*Memory*, after garbage was collected: the JavaScript heap of the page and of both workers, and the
WebAssembly memory of both; and what the system says: the private memory of the processes of pages,
garbage, compiled code and pictures included. Each less that of an empty page in the lab's place.

*Work of a frame*: processor time of the main thread (the browser's own trace), while both networks
train. Other load delays a frame, but does not make its work more. A page that needs less than 4 ms
leaves three quarters of the 16.7 ms of a frame at 60 a second to everything else.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from common import write
from pages import CHROMIUM
from playwright.sync_api import Browser, Page, sync_playwright

from contrastive_tutorial.widgets import Lab

PATIENCE_MS = 600_000
FLAGS = ["--no-sandbox"]
TRACED = ["-*", "toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
TASK = "ThreadControllerImpl::RunTask"

# The memory of a worker's engine, where a worker can be asked for it.
HOOK = """
const Real = window.Blob;
window.Blob = class extends Real {
  constructor(parts, options) {
    super([`{
      const Instance = WebAssembly.Instance;
      WebAssembly.Instance = function (...all) {
        const made = new Instance(...all);
        self.engine = made.exports.memory;
        return made;
      };
    }\\n`, ...parts].slice(options?.type === "text/javascript" ? 0 : 1), options);
  }
};
"""
#: What DevTools tells of a heap, buffers outside of it included; WebAssembly's is none of them.
HEAP = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")


def ready(page: Page) -> None:
    for side in "AB":
        place = page.locator(".side", has_text=f"{side}: ")
        place.get_by_text(re.compile("ready:|steps/s")).wait_for(timeout=PATIENCE_MS)


def trained(page: Page, name: str = "Train again") -> None:
    """Press the button and wait for the end of both runs."""
    page.get_by_role("button", name=name, exact=True).click()
    ended = page.locator("[role=status]", has_text="Both runs have ended.")
    ended.first.wait_for(timeout=PATIENCE_MS)


def private_mb(browser: Browser) -> float:
    """Memory that the processes of pages share with no other, the spare ones among them."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    kilobytes = 0
    for one in found:
        if one["type"] == "renderer":
            text = Path(f"/proc/{one['id']}/smaps_rollup").read_text()
            parts = re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB$", text, re.MULTILINE)
            kilobytes += sum(map(int, parts))
    return kilobytes / 1e3


class Heaps:
    """Asks the page and every worker that it starts how large its heap is, by DevTools."""

    def __init__(self, page: Page) -> None:
        self.page, self.workers = page, list[str]()
        self.answers: list[dict[str, Any]] = []
        self.session = page.context.new_cdp_session(page)
        self.session.on(
            "Target.attachedToTarget", lambda event: self.workers.append(event["sessionId"])
        )
        self.session.on(
            "Target.receivedMessageFromTarget",
            lambda event: self.answers.append(json.loads(event["message"])),
        )
        settings = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        self.session.send("Target.setAutoAttach", settings)

    def megabytes(self) -> tuple[float, float]:
        """Of the page, and of all workers, once garbage was collected."""
        self.session.send("HeapProfiler.collectGarbage")
        own = self.session.send("Runtime.getHeapUsage")
        self.answers.clear()
        for name in self.workers:
            for number, method in enumerate(
                ("HeapProfiler.collectGarbage", "Runtime.getHeapUsage")
            ):
                message = json.dumps({"id": number, "method": method})
                self.session.send(
                    "Target.sendMessageToTarget", {"sessionId": name, "message": message}
                )
        while len(found := [a["result"] for a in self.answers if a.get("id") == 1]) < len(
            self.workers
        ):
            self.page.wait_for_timeout(50)
        return sum(own[n] for n in HEAP) / 1e6, sum(one[n] for one in found for n in HEAP) / 1e6


def memory(browser: Browser, page: Page, heaps: Heaps) -> dict[str, float]:
    """Megabytes, by where they are."""
    own, workers = heaps.megabytes()
    engines = [worker.evaluate("self.engine.buffer.byteLength") for worker in page.workers]
    found = {"page heap MB": own, "workers' heap MB": workers, "WebAssembly MB": sum(engines) / 1e6}
    return {**found, "sum MB": sum(found.values()), "private MB": private_mb(browser)}


def many_starts(browser: Browser, file: Path, count: int) -> dict[str, Any]:
    """What the page takes more than an empty one, after the first start and so on to the last."""
    empty = file.with_name("empty.html")
    empty.write_text("<!doctype html><title>empty</title>")
    page = browser.new_context().new_page()
    page.add_init_script(HOOK)
    heaps = Heaps(page)
    page.goto(empty.as_uri())
    base = memory(browser, page, heaps)
    page.goto(file.as_uri())
    ready(page)
    figures = {}
    for start in range(1, count + 1):
        trained(page, "Train" if start == 1 else "Train again")
        if start not in (1, 2, 5) and start % 10:
            continue
        now = memory(browser, page, heaps)
        found = {name: value - base[name] for name, value in now.items()}
        print(start, found, flush=True)
        figures[f"after {start} start{'s' * (start > 1)}"] = found
    page.context.close()
    return figures


def frames(browser: Browser, file: Path, viewport: dict[str, int]) -> dict[str, float]:
    """Milliseconds of the main thread's processor time, by frame, while both networks train."""
    page = browser.new_context(viewport=viewport).new_page()  # type: ignore[arg-type]
    page.goto(file.as_uri())
    ready(page)
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator(".side", has_text="step 2").first.wait_for(timeout=PATIENCE_MS)
    browser.start_tracing(page=page, categories=TRACED)
    page.wait_for_timeout(20_000)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    page.context.close()
    drawn = [e for e in events if e["name"] == "FireAnimationFrame"]
    main = max({(e["pid"], e["tid"]) for e in drawn}, key=lambda thread: sum(
        (e["pid"], e["tid"]) == thread for e in drawn))  # fmt: skip
    own = [e for e in events if (e["pid"], e["tid"]) == main and e["ph"] == "X" and "tdur" in e]
    tasks = sorted((e["ts"], e["tdur"] / 1e3) for e in own if e["name"] == TASK)
    begun = sorted(e["ts"] for e in drawn if (e["pid"], e["tid"]) == main)
    # All tasks from the end of one frame's script to that of the next: messages, script, drawing.
    work = [0.0] * (len(begun) + 1)
    for start, spent in tasks:
        work[sum(start > moment for moment in begun)] += spent
    seconds = (tasks[-1][0] - tasks[0][0]) / 1e6
    whole = work[1:-1]
    return {
        "frames drawn": len(whole),
        "drawn a second": len(whole) / seconds,
        "median ms a frame": statistics.median(whole),
        "95 of 100 below": statistics.quantiles(whole, n=20)[-1],
        "longest task ms": max(spent for _, spent in tasks),
        "share of a core": sum(spent for _, spent in tasks) / 1e3 / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    executable = next(found for name in CHROMIUM if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        few = {"steps": 2}
        short = Lab(a=few, b=few).save_html(Path(folder) / "short.html")
        whole = Lab().save_html(Path(folder) / "lab.html")
        sizes = {
            "1280 wide": {"width": 1280, "height": 900},
            "390 wide": {"width": 390, "height": 844},
        }
        work = {name: frames(browser, whole, size) for name, size in sizes.items()}
        print(work, flush=True)
        kept = many_starts(browser, short, options.starts) if options.starts else {}
        settings = {
            "chromium": browser.version, "starts": options.starts,
            "measured": "processor time of the main thread, and memory beyond an empty page's",
        }  # fmt: skip
        browser.close()
    figures = work | kept
    write("The lab's page", figures, settings, torch.device("cpu"), options.json)


if __name__ == "__main__":
    main()
