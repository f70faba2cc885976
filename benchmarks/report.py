"""Write RESULTS.md from the JSON files in results/: every table there comes from one of them.

    python benchmarks/report.py [--check]

`--check` writes nothing and fails if RESULTS.md is not what the files say.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
_WHERE = {
    "title", "device", "machine", "cores", "load_average", "date", "versions", "git_commit",
    "commit", "figures", "rows", "studies", "settings", "curves",
}  # fmt: skip


def number(value: Any) -> str:
    """Three significant figures, thousands separated; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if isinstance(value, (list, tuple)):
            return " to ".join(number(v) for v in value)
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """A Markdown table; columns in the order of their first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(c.replace("_", " ") for c in columns) + " |"]
    lines.append("|" + "---|" * len(columns))
    for row in rows:
        lines.append("| " + " | ".join(number(row.get(c)) for c in columns) + " |")
    return lines


def tables(content: dict[str, Any]) -> list[str]:
    """Whatever shape a benchmark's figures have: flat, by contestant, by study, or rows."""
    if "studies" in content:
        lines = []
        for title, study in content["studies"].items():
            rows = [{"": name, **row} for name, row in study.items()]
            lines += [f"{title}:", "", *table(rows), ""]
        return lines
    if "rows" in content:
        return [*table(content["rows"]), ""]
    figures = content["figures"]
    if all(isinstance(value, dict) for value in figures.values()):
        return [*table([{"": name, **row} for name, row in figures.items()]), ""]
    return [*table([{"figure": k.replace("_", " "), "value": v} for k, v in figures.items()]), ""]


def section(path: Path) -> list[str]:
    """One file: where it ran, then its tables."""
    content = json.loads(path.read_text())
    versions = content.get("versions", {})
    settings = {**content.get("settings", {})}
    settings |= {k: v for k, v in content.items() if k not in _WHERE}
    commit = content.get("git_commit") or content.get("commit") or "unknown"
    facts = [content.get("device") or content.get("machine", "unknown machine")]
    if "cores" in content:
        facts.append(f"{content['cores']} cores")
    if "load_average" in content:
        facts.append(f"load average {content['load_average']:.1f} at the end")
    if "date" in content:
        facts.append(content["date"])
    facts.append("commit " + commit[:10] + ("-dirty" if commit.endswith("-dirty") else ""))
    return [
        f"## {content.get('title', path.stem)}",
        "",
        f"`results/{path.name}`: " + ", ".join(facts) + ".",
        "",
        *(
            [", ".join(f"{k} {number(v)}" for k, v in settings.items()) + ".", ""]
            if settings
            else []
        ),
        *tables(content),
        "Versions: " + ", ".join(f"{name} {value}" for name, value in versions.items()) + ".",
        "",
    ]


def document() -> str:
    """The whole of RESULTS.md."""
    lines = [
        "# Benchmark results",
        "",
        "Written by `python benchmarks/report.py` from the files in `results/`; do not edit. A",
        "figure that has no file here has not been measured. On a machine that others use, wall",
        "times say little: look at the load average, and at the tables by processor time.",
        "",
    ]
    for path in sorted((HERE / "results").glob("*.json")):
        lines += section(path)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    target, text = HERE / "RESULTS.md", document()
    if "--check" in sys.argv[1:]:
        return int(not target.exists() or target.read_text() != text)
    target.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
