"""Verdicts as rows that open: what was predicted, what was measured, and the sentence in words.

Plain HTML with drawings of its own: it works without scripts, in every front end and in print.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence

from contrastive_tutorial.records import Record
from contrastive_tutorial.report.style import PALETTE
from contrastive_tutorial.report.tables import measured_text, needed_text
from contrastive_tutorial.verdicts import (
    Condition,
    Hypothesis,
    Part,
    PartVerdict,
    Verdict,
    decide,
    load_hypotheses,
)

_COLOURS = {"supported": PALETTE[2], "contradicted": PALETTE[1], "undecided": PALETTE[7]}
_KEY = (
    "<p>Open a row: dots are seeds, the bar is their mean with its interval. An interval wholly on "
    "green supports the part, wholly on orange contradicts it; anything else is undecided.</p>"
)
_CSS = """
.ct-rows { font-size: 0.95em; line-height: 1.45; }
.ct-rows details { border: 1px solid #8885; border-left: 0.4rem solid var(--outcome);
  border-radius: 4px; margin: 0.25rem 0; padding: 0 0.6rem; }
.ct-rows summary { display: grid; grid-template-columns: 3.8rem minmax(0, 1fr) auto; gap: 0 0.6rem;
  padding: 0.35rem 0; cursor: pointer; align-items: baseline; }
.ct-rows summary::before { content: none; }
.ct-rows summary b::before { content: "\\25B8"; display: inline-block; width: 1rem; }
.ct-rows details[open] > summary b::before { content: "\\25BE"; }
.ct-rows summary:focus-visible { outline: 2px solid currentColor; }
.ct-rows p { margin: 0 0 0.5rem; }
.ct-rows ul { list-style: none; margin: 0; padding: 0; }
.ct-rows li { border-top: 1px solid #8884; padding: 0.4rem 0; margin: 0; }
.ct-rows li p { margin: 0; font-variant-numeric: tabular-nums; }
.ct-rows svg { display: block; width: 100%; max-width: 30rem; height: auto; }
.ct-rows svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
@media (max-width: 30rem) {
  .ct-rows summary { grid-template-columns: 3.8rem minmax(0, 1fr); }
  .ct-rows summary em { grid-column: 2; }
}
"""


class Rows:
    """One row a hypothesis; the last line of a cell shows it.

    Args:
        records: any.
        study: as in :func:`contrastive_tutorial.verdicts.load_hypotheses`.
        words: what came out, in a sentence or two, by id; plain text.

    Attributes:
        html: the rows.
        text: the same as lines, for places that show text only.
        verdicts: by id.

    Raises:
        InputError: as :func:`contrastive_tutorial.verdicts.decide`, and for words of no hypothesis.
    """

    def __init__(
        self,
        records: Sequence[Record],
        study: str = "hypotheses",
        words: Mapping[str, str] | None = None,
    ) -> None:
        registry = load_hypotheses(study)
        words = dict(words or {})
        for name in words:
            registry[name]  # or it says that there is none
        self.verdicts = {h.id: decide(h, records) for h in registry}
        pairs = [(h, self.verdicts[h.id]) for h in registry]
        rows = [_row(h, verdict, words.get(h.id, "")) for h, verdict in pairs]
        self.html = f'<div class="ct-rows"><style>{_CSS}</style>{_KEY}{"".join(rows)}</div>'
        self.text = "\n".join(
            line
            for h, verdict in pairs
            for line in (
                f"{h.id}  {h.title}: {verdict.outcome}",
                *(f"  {said}" for said in map(_in_words, h.parts, verdict.parts)),
            )
        )

    @property
    def balance(self) -> str:
        """How many came out how, of hypotheses that are ours and not the article's."""
        ours = Counter(v.outcome for name, v in self.verdicts.items() if name.startswith("H"))
        return ", ".join(f"{ours[outcome]} {outcome}" for outcome in _COLOURS)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def _row(hypothesis: Hypothesis, verdict: Verdict, words: str) -> str:
    lines = [f"<p><b>Predicted.</b> {html.escape(hypothesis.statement)}</p>"]
    if words:
        lines.append(f"<p><b>What came out.</b> {html.escape(words)}</p>")
    if verdict.reason.startswith("the gate"):
        lines.append(f"<p>No part counts yet: {html.escape(verdict.reason)}</p>")
    parts = (
        f"<li><p><b>{html.escape(part.name)}: {html.escape(part.outcome)}.</b> "
        f"{html.escape(_in_words(registered, part).partition(': ')[2])}</p>"
        f"{_drawing(registered, part)}</li>"
        for registered, part in zip(hypothesis.parts, verdict.parts, strict=True)
    )
    return (
        f'<details style="--outcome:{_COLOURS[verdict.outcome]}">'
        f"<summary><b>{html.escape(hypothesis.id)}</b><span>{html.escape(hypothesis.title)}</span>"
        f"<em>{html.escape(verdict.outcome)}</em></summary>"
        f"{''.join(lines)}<ul>{''.join(parts)}</ul></details>"
    )


def _in_words(registered: Part, part: PartVerdict) -> str:
    holds, fails = map(needed_text, (registered.supported_if, registered.contradicted_if))
    measured = measured_text(registered, part)
    return f"{part.name} ({part.outcome}): {measured}; holds if {holds}, fails if {fails}"


def _spans(condition: Condition, low: float, high: float) -> list[tuple[float, float]]:
    """The stretches of an axis from ``low`` to ``high`` that a condition asks for."""
    if condition.relation == "inside":
        return [(condition.low, condition.high)]
    if condition.relation == "outside":
        return [(low, condition.low), (condition.high, high)]
    above = condition.relation in ("above", "every at_least")
    return [(condition.low, high) if above else (low, condition.high)]


def _drawing(registered: Part, part: PartVerdict) -> str:
    """Seeds, mean and interval over the stretches that support and that contradict."""
    if part.mean is None or part.interval is None:
        return ""
    rules = {"supported": registered.supported_if, "contradicted": registered.contradicted_if}
    bounds = sorted({bound for rule in rules.values() for bound in (rule.low, rule.high)})
    shown = [*part.values, part.interval.low, part.interval.high, *bounds]
    shown += [0.0] if registered.kind == "difference" else []
    room = 0.12 * (max(shown) - min(shown)) or 0.01
    low, high = min(shown) - room, max(shown) + room
    width, floor = 480, 42

    def x(value: float) -> float:
        return round(width * (value - low) / (high - low), 1)

    drawn = [
        f'<rect x="{x(start)}" y="2" width="{max(0.0, x(end) - x(start)):.1f}" '
        f'height="{floor - 2}" fill="{_COLOURS[outcome]}" fill-opacity="0.2"/>'
        for outcome, rule in rules.items()
        for start, end in _spans(rule, low, high)
    ]
    drawn.append(f'<path d="M0 {floor}H{width}" stroke="currentColor" stroke-opacity="0.5"/>')
    last = -float(width)
    for value in sorted({*bounds, *([0.0] if registered.kind == "difference" else [])}):
        drawn.append(f'<path d="M{x(value)} 2V{floor + 4}" stroke="currentColor"/>')
        if x(value) - last > 38:
            last = x(value)
            drawn.append(f'<text x="{last}" y="56" text-anchor="middle">{value:g}</text>')
    drawn += [
        f'<circle cx="{x(value)}" cy="14" r="4" fill="currentColor" fill-opacity="0.5"/>'
        for value in part.values
    ]
    interval = part.interval
    drawn.append(
        f'<path d="M{x(interval.low)} 30H{x(interval.high)}M{x(part.mean)} 23V37" fill="none" '
        f'stroke="currentColor" stroke-width="3"/>'
    )
    said = html.escape(f"{_in_words(registered, part)}; dots: seeds", quote=True)
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {width} 60" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}</svg>'
    )
