"""The rows as tables of the page: plain HTML, readable without the script that filters them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from .row import ROWS, Row
from .run import Outcome, outcome, recorded

COLUMNS = ("What happens", "One would expect", "What it costs", "Instead")

STYLE = """
<style>
.guide-filter { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin: 1rem 0; }
.guide-filter[hidden] { display: none; }
.guide-filter label { display: block; font-weight: 600; }
.guide-filter input, .guide-filter select { font: inherit; padding: .3rem .5rem; max-width: 100%;
  color: inherit; background: transparent; border: 1px solid currentColor; border-radius: .25rem; }
.guide-filter select option { color: CanvasText; background: Canvas; }
table.guide { width: 100%; border-collapse: collapse; font-size: .9em; }
table.guide th, table.guide td { text-align: left; vertical-align: top; padding: .5rem;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
table.guide tbody th { width: 18%; }
table.guide tbody tr:target { outline: 2px solid currentColor; }
table.guide .guide-run { display: block; margin-top: .4rem; font-size: .85em; font-style: italic; }
table.guide tr[hidden] { display: none; }
@media (max-width: 900px) {
  table.guide thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }
  table.guide, table.guide tbody, table.guide tbody tr, table.guide tbody th,
  table.guide tbody td { display: block; width: auto; border: 0; }
  table.guide tbody tr { margin: 0 0 1rem; padding: .5rem .75rem; border-radius: .25rem;
    border: 1px solid color-mix(in srgb, currentColor 35%, transparent); }
  table.guide tr[hidden] { display: none; }
  table.guide tbody th, table.guide tbody td { padding: .3rem 0; }
  table.guide tbody td::before { content: attr(data-label); display: block; font-size: .85em;
    font-weight: 600; }
}
</style>
"""

# Without the script there is no control, and nothing is hidden.
SCRIPT = """
<div class="guide-filter" role="search" aria-label="Rows of the field guide" hidden>
  <div><label for="guide-words">Words</label>
    <input id="guide-words" type="search" autocomplete="off" placeholder="for instance split"></div>
  <div><label for="guide-library">Library</label>
    <select id="guide-library"><option value="">all</option></select></div>
  <div role="status" id="guide-count"></div>
</div>
<script>
addEventListener("DOMContentLoaded", () => {
  const rows = [...document.querySelectorAll("table.guide tbody tr")];
  const bar = document.querySelector(".guide-filter");
  if (!rows.length || !bar) return;
  const words = bar.querySelector("input"), library = bar.querySelector("select");
  const count = bar.querySelector("#guide-count");
  const names = new Set(rows.flatMap((row) => row.dataset.libraries.split(" ")));
  for (const name of [...names].sort()) library.append(new Option(name, name));
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word)) ||
        (library.value && !row.dataset.libraries.split(" ").includes(library.value));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  words.addEventListener("input", filter);
  library.addEventListener("change", filter);
  bar.hidden = false;
  filter();
});
</script>
"""


@dataclass(frozen=True)
class Shown:
    """HTML for a browser, text for everything else (a PDF, a terminal)."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def controls() -> Shown:
    """The style of the tables and the filter above them."""
    return Shown(STYLE + SCRIPT, "")


def table(name: str) -> Shown:
    """One of the five tables; its rows are run now where their libraries are installed."""
    rows = [(row, outcome(row)) for row in ROWS.values() if row.table == name]
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Case", *COLUMNS))
    body = "\n".join(html_of(row, done) for row, done in rows)
    return Shown(
        f'<table class="guide"><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>',
        "\n\n".join(text_of(row, done) for row, done in rows),
    )


def sentence(row: Row, done: Outcome) -> str:
    """What happens, with the numbers that were seen; where it changed, with the recorded ones."""
    return row.happens.format(**(recorded()[row.key]["seen"] if done.changed else done.seen))


def origin(row: Row, done: Outcome) -> str:
    """When a row was run, and with what."""
    used = ", ".join(f"{name} {number}" for name, number in done.versions.items())
    if done.changed:
        kept = ", ".join(f"{k} {v}" for k, v in recorded()[row.key]["versions"].items())
        return f"No longer so with {used}: {done.changed}. The sentence was true of {kept}."
    return f"Run while this page was built: {used}" if done.live else f"Recorded: {used}"


def html_of(row: Row, done: Outcome) -> str:
    cells = (sentence(row, done), row.expect, row.cost, row.instead)
    filled = [
        f'<td data-label="{label}">{markup(cell)}'
        + (f'<span class="guide-run">{escape(origin(row, done))}</span>' if i == 0 else "")
        + "</td>"
        for i, (label, cell) in enumerate(zip(COLUMNS, cells, strict=True))
    ]
    return (
        f'<tr id="{row.key}" data-libraries="{escape(" ".join(row.libraries))}">'
        f'<th scope="row">{markup(row.ask)}</th>{"".join(filled)}</tr>'
    )


def text_of(row: Row, done: Outcome) -> str:
    parts = (row.ask, sentence(row, done), row.expect, row.cost, row.instead)
    words = [
        re.sub(r"\[\[(.+?)\]\]", r"\1", re.sub(r"\[([^\[\]]+)\]\([^)]+\)", r"\1", p)) for p in parts
    ]
    titles = ("", *(f"  {title}: " for title in COLUMNS))
    lines = [t + w.replace("**", "").replace("`", "") for t, w in zip(titles, words, strict=True)]
    return "\n".join([*lines, f"  {origin(row, done)}."])


def markup(text: str) -> str:
    """The little markup of the rows as HTML.

    >>> markup("`a < b`, **not** [[norm.convert_norm]]")  # doctest: +ELLIPSIS
    '<code>a &lt; b</code>, <strong>not</strong> <a href="api.html#contrastive_tutorial.norm...'
    """
    text = escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(
        r"\[\[(.+?)\]\]", r'<a href="api.html#contrastive_tutorial.\1"><code>\1</code></a>', text
    )
    return re.sub(r"\[([^\[\]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', text)
