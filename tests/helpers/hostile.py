"""Records of somebody who means harm, and what the cells of a page make of them.

Run as a script, ``python hostile.py RESULTS PAGE...``, it executes the cells of each page that read
records, without those that train, and prints ``{page: [HTML of each output]}`` as JSON. The markers
are harmless: nothing here calls them.
"""

import ast
import base64
import html.parser
import json
import re
import sys
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MARK = "HOSTILE()"
ATTACK = f'"><img src=x onerror={MARK}></td></script><script>{MARK}</script>'
PAGES = sorted(
    path for path in (ROOT / "book").glob("*.md") if "find_results()" in path.read_text("utf-8")
)
_CELL = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?:(?::[^\n]*\n)*|---\n.*?^---\n)(?!---$)(.*?)^```", re.M | re.S
)
_TRAINS = re.compile(r"Experiment\(|\.train\(|\bfit\(|backward\(")
_WIDGET = re.compile(r'<script type="application/json">(.*?)</script>', re.S)


def poison(source, target):
    """Copy a folder of records, with an attack in every text that a record may hold."""
    for path in source.rglob("*.json"):
        content = json.loads(path.read_text("utf-8"))
        for name in ("device", "package_version", "git_commit", "data_hash"):
            content[name] = ATTACK
        content["versions"] = dict.fromkeys(("python", "torch", ATTACK), ATTACK)
        content["class_names"] = [f"{ATTACK}{k}" for k in range(10)]
        content["extra"][ATTACK] = content["metrics"][ATTACK] = 0.5
        content["hyperparameters"][ATTACK] = {ATTACK: ATTACK}
        for how in content["evaluations"].values():
            how[ATTACK] = 0.5
        for key in ("cell", "preset"):
            if key in content["hyperparameters"]:
                content["hyperparameters"][key]["summary"] = ATTACK
        content["knn_curve"] = [[10, 1.0, 0.3], [20, 2.0, 0.4]]
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content), encoding="utf-8")
        for suffix in (".npz", ".umap.npz"):
            if path.with_suffix(suffix).exists():
                with np.load(path.with_suffix(suffix)) as arrays:
                    # Not the entry that says to which record they belong: it was another text.
                    kept = {name: arrays[name] for name in arrays.files if name != "record"}
                np.savez(place.with_suffix(suffix), **kept)


class _Tags(html.parser.HTMLParser):
    """What a browser would run: handlers, and scripts with the marker in their own code."""

    def __init__(self):
        super().__init__()
        self.ran, self._script = [], None

    def handle_starttag(self, tag, attributes):
        self._script = dict(attributes) if tag == "script" else None
        self.ran += [tag for name, value in attributes if name.startswith("on") and value]

    def handle_data(self, data):
        if self._script is not None and self._script.get("type") != "application/json":
            self.ran += ["script"] * (MARK in data)


def runs(markup):
    """Tags in a piece of HTML, and in the frames of its recorded widgets, that would run code."""
    tags = _Tags()
    tags.feed(markup)
    found = tags.ran
    for state in _WIDGET.findall(markup):
        packed = json.loads(state).get("packed")
        if isinstance(packed, str):
            parts = json.loads(zlib.decompress(base64.b64decode(packed)))["parts"]
            found += [tag for part in parts if part["type"] == "html" for tag in runs(part["data"])]
    return found


def _names(source):
    stored, loaded, imports, parameters = set(), set(), [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (stored if isinstance(node.ctx, ast.Store) else loaded).add(node.id)
        elif isinstance(node, ast.arg):
            parameters.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            stored.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(ast.unparse(node))
            stored |= {(a.asname or a.name).split(".")[0] for a in node.names}
    return stored, loaded - stored - parameters, imports


def cells(page):
    """The cells that read records and those they need, in order; of one that trains its imports."""
    sources = _CELL.findall(page.read_text("utf-8"))
    sources = [
        "\n".join(_names(source)[2]) if _TRAINS.search(source) else source for source in sources
    ]
    names = [_names(source) for source in sources]
    stores = {}
    for k, (stored, _, _) in enumerate(names):
        for name in stored:
            stores.setdefault(name, []).append(k)
    chosen = {k for k, source in enumerate(sources) if "find_results()" in source}
    held = set()  # names that only cells with records give a value
    for k, (stored, loaded, _) in enumerate(names):
        if k in chosen or loaded & held:
            chosen.add(k)
            held |= {name for name in stored if set(stores[name]) <= chosen}
    needed = sorted(chosen)
    while needed:
        k = needed.pop()
        for name in names[k][1]:
            before = [q for q in stores.get(name, []) if q < k]
            if before and before[-1] not in chosen:
                chosen.add(before[-1])
                needed.append(before[-1])
    known, kept, trained = set(), [], _trained(page)
    for k in sorted(chosen):
        if not names[k][1] & trained - known:
            kept.append(sources[k])
            known |= names[k][0]
    return kept


def _trained(page):
    """Names that only a training would give a value."""
    given, trained = set(), set()
    for source in _CELL.findall(page.read_text("utf-8")):
        stored, _, imports = _names(source)
        if _TRAINS.search(source):
            trained |= stored - _names("\n".join(imports))[0]
        else:
            given |= stored
    return trained - given


def execute(page):
    """HTML of every output of the cells of a page; widgets show their last choice alone.

    A figure is drawn once, not for narrow windows and in pixels too: its words are the same.
    """
    from IPython.core.displayhook import CapturingDisplayHook
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from contrastive_tutorial import widgets
    from contrastive_tutorial.report import style

    style.twice = lambda fig, alt, narrow=None: style.picture(fig, alt)
    style.Picture.png = b""
    interact = widgets.interact
    options = {"name", "describe", "labels", "static"}

    def one_frame(fn, **given):
        for name, choice in given.items():
            if name not in options and isinstance(choice, dict):
                given[name] = dict([list(choice.items())[-1]])
            elif name not in options and isinstance(choice, (list, range)):
                given[name] = [list(choice)[-1]]
        return interact(fn, **given | {"static": True})

    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    shown = []
    widgets.interact = one_frame
    try:
        for source in cells(page):
            last = []  # the value of the last line of a cell
            shell.display_trap.hook = CapturingDisplayHook(shell, last)
            with capture_output() as captured:
                done = shell.run_cell(source)
            if done.error_before_exec or done.error_in_exec:
                raise RuntimeError(f"{page.name}: {source}") from (
                    done.error_before_exec or done.error_in_exec
                )
            outputs = [output.data for output in captured.outputs] + [it["data"] for it in last]
            shown += [str(data["text/html"]) for data in outputs if "text/html" in data]
    finally:
        widgets.interact = interact
    return shown


if __name__ == "__main__":
    import os

    import matplotlib

    matplotlib.use("Agg")
    os.environ["CONTRASTIVE_TUTORIAL_RESULTS"] = sys.argv[1]
    print(json.dumps({name: execute(Path(name)) for name in sys.argv[2:]}))
