"""Records as a table of text, for a terminal or for a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from contrastive_tutorial.metrics import METRICS
from contrastive_tutorial.records.schema import Record
from contrastive_tutorial.records.summary import NotRecordedError, summarize


def result_table(
    records: Sequence[Record], order: Iterable[str] = (), markdown: bool = False
) -> str:
    """The results of one data set and preset as text: one row per cell and K.

    A metric that a run of a cell lacks is left empty, one that no cell has is left out.

    Args:
        records: of one data set and preset.
        order: names of cells as rows go; others follow, by name.
        markdown: a Markdown table instead of aligned columns.
    """
    known = list(order)
    keys = sorted(
        {(r.cell, r.num_subsets) for r in records},
        key=lambda key: (known.index(key[0]) if key[0] in known else len(known), key),
    )
    columns = {name: m for name, m in METRICS.items() if m.reported}
    rows = [["cell", "K", "seeds", "statistics", *(m.short for m in columns.values())]]
    for cell, k in keys:
        members = [r for r in records if (r.cell, r.num_subsets) == (cell, k)]
        row = [cell, str(k), str(len(members)), members[0].evaluation]
        for name, registered in columns.items():
            try:
                row.append(summarize(members, name)[(cell, k)].text(registered.digits))
            except NotRecordedError:
                row.append("")
        rows.append(row)
    shown = [i for i in range(len(rows[0])) if i < 4 or any(row[i] for row in rows[1:])]
    rows = [[row[i] for i in shown] for row in rows]
    if markdown:
        return "\n".join(markdown_table(rows))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_markdown(text: str) -> str:
    """Text of a record in a Markdown file: as it is read, and never markup."""
    return re.sub(r"([\\`*_{}\[\]<>&|#!~$])", r"\\\1", " ".join(text.split()))


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, the first row as its head."""
    lines = [f"| {' | '.join(map(as_markdown, row))} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
