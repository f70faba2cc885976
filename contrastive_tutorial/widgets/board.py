"""The board: every registered cell in its place, coloured by its distance from the baseline.

Rows are policies, columns norms, and in a square stand the cells of that policy and norm, by their
negatives; a square that nobody registered is empty. A reader chooses two cells and sees the paired
difference with its seeds. All numbers are :func:`contrastive_tutorial.verdicts.measure`'s:
``static/board.js`` looks them up and computes none.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from contrastive_tutorial.metrics import metric
from contrastive_tutorial.records import Record
from contrastive_tutorial.report import GLYPHS, glyph
from contrastive_tutorial.study import CELLS, Cell
from contrastive_tutorial.verdicts import Effect, Measured, load_hypotheses, measure
from contrastive_tutorial.widgets import fragment

_STUDIES, _BASELINE, _METRIC = ("hypotheses", "amendment-a"), "B0", "knn10"
POLICIES = {
    "P0": "one for all", "P0-shared": "one for all, both views share colours",
    "P-rand": "drawn per view", "P-img": "drawn per image", "P1": "one per subset",
    "P1j": "one per subset, all with colour jitter", "P1c": "one per subset, equal strength",
}  # fmt: skip
NORMS = {
    "bn": "one BN", "split": "own statistics", "affine": "own affine",
    "dsbn": "own statistics and affine", "gn": "GroupNorm",
}  # fmt: skip


def negatives_of(cell: Cell) -> str:
    """Where the negatives of an anchor come from, in words."""
    if cell.negatives == "cross":
        return "all images"
    return f"{cell.group_size} random images" if cell.group_size else "own subset"


def registered_cells(studies: Sequence[str]) -> list[str]:
    """The cells of these studies that have a place on a board, in the order of the registry.

    Left out are references and cells that differ from the others in something that is neither
    policy, negatives nor norm.
    """
    named = {name for study in studies for name in load_hypotheses(study).rules.headline}
    return [
        name
        for name, cell in CELLS.items()
        if name in named and cell.policy in POLICIES and cell.norm in NORMS
        and cell.reference is None and cell.only_subset is None and cell.normalize
        and not cell.early_steps and (cell.group_size is None or cell.negatives == "within")
    ]  # fmt: skip


class Board(fragment.Piece):
    """The widget; the last line of a cell shows it.

    Args:
        records: of one data set and preset; those of other cells and of K other than 10 are left
            out.

    Attributes:
        html: the self-contained piece of HTML, with a table for pages without scripts.
        summary: one sentence with every cell's difference from the baseline.
        cells: names of those on the board.

    Raises:
        InputError: for records that cannot be compared.
    """

    title = "The registered cells"

    def __init__(self, records: Sequence[Record]) -> None:
        self.cells = registered_cells(_STUDIES)
        known = metric(_METRIC)
        pairs = [Effect(left, right, "") for left, right in combinations(self.cells, 2)]
        # With the baseline itself first in a pair, its sign turns: ask for the difference anew.
        others = [Effect(name, _BASELINE, "") for name in self.cells if name != _BASELINE]
        above = {m.effect.left: m for m in measure(records, _METRIC, others)}
        how = {r.cell: r.evaluation for r in records}
        self._tiles = [
            self._tile(name, above.get(name)) | {"evaluation": fragment.clean(how.get(name, ""))}
            for name in self.cells
        ]
        setting = next((f"{r.data}, preset {r.preset}" for r in records), "no records")
        self.summary = fragment.clean(
            f"{known.label} of every registered cell minus {_BASELINE} ({setting}, K = 10): "
            + "; ".join(f"{t['name']} {t['words']}" for t in self._tiles)
            + "."
        )
        state = {
            "title": self.title,
            "metric": known.label,
            "baseline": _BASELINE,
            "setting": fragment.clean(f"{setting}, K = 10"),
            "policies": self._used(POLICIES, "policy"),
            "norms": self._used(NORMS, "norm"),
            "tiles": self._tiles,
            "pairs": {
                f"{m.effect.left}|{m.effect.right}": _numbers(m)
                for m in measure(records, _METRIC, pairs)
            },
            "asked": _asked(_STUDIES),
            "glyphs": GLYPHS,
            "start": ["S-P1", "W-bn"],
        }
        self.html = fragment.fragment("board", {"content": state}, self.summary, self._table(state))

    def _used(self, names: dict[str, str], factor: str) -> dict[str, str]:
        present = {getattr(CELLS[name], factor) for name in self.cells}
        return {key: words for key, words in names.items() if key in present}

    def _tile(self, name: str, found: Measured | None) -> dict[str, Any]:
        cell = CELLS[name]
        tile = {
            "name": name, "about": cell.summary, "policy": cell.policy, "norm": cell.norm,
            "negatives": negatives_of(cell), "above": None, "n": 0, "words": "no record yet",
            "glyph": glyph(name),
            "batches": "equal parts of every subset" if cell.balanced else "drawn from all images",
        }  # fmt: skip
        if found is None:
            return tile | {"above": 0.0, "words": "the baseline"}
        if found.contrast is None:
            return tile
        mean, n = found.contrast.mean, found.contrast.n
        return tile | {"above": round(mean, 6), "n": n, "words": f"{mean:+.3f}, n = {n}"}

    def _table(self, state: dict[str, Any]) -> str:
        """What the board shows at first, for pages without scripts."""
        head = "".join(f"<th>{html.escape(words)}</th>" for words in state["norms"].values())
        rows = []
        for policy, words in state["policies"].items():
            squares = []
            for norm in state["norms"]:
                here = [t for t in self._tiles if (t["policy"], t["norm"]) == (policy, norm)]
                said = (f"{t['name']} ({t['negatives']}): {t['words']}" for t in here)
                squares.append("<td>" + "<br>".join(map(html.escape, said)) + "</td>")
            rows.append(f"<tr><th>{html.escape(words)}</th>{''.join(squares)}</tr>")
        caption = html.escape(f"{state['metric']} minus {state['baseline']}; {state['setting']}")
        return (
            f"<table><caption>{caption}</caption><thead><tr><th>policy</th>{head}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>"
        )


def _numbers(found: Measured) -> dict[str, Any]:
    """The paired difference of two cells, or why there is none."""
    contrast = found.contrast
    if contrast is None:
        return {"reason": fragment.clean(found.reason)}
    low, high = contrast.interval.low, contrast.interval.high
    return {
        "mean": round(contrast.mean, 6), "low": round(low, 6), "high": round(high, 6),
        "seeds": list(contrast.seeds), "deltas": [round(delta, 6) for delta in contrast.deltas],
    }  # fmt: skip


def _asked(studies: Sequence[str]) -> dict[str, list[str]]:
    """The registered hypotheses that ask for a difference between two cells, by ``left|right``."""
    asked: dict[str, list[str]] = {}
    for study in studies:
        for hypothesis in load_hypotheses(study):
            for part in hypothesis.parts:
                if part.kind == "difference" and all(
                    isinstance(one, str) for one in (*part.spec["contrast"], part.spec["metric"])
                ):
                    words = asked.setdefault("|".join(part.spec["contrast"]), [])
                    of = metric(part.spec["metric"]).short
                    words.append(f"{hypothesis.id}, {part.name} ({of})")
    return {pair: list(dict.fromkeys(words)) for pair, words in asked.items()}
