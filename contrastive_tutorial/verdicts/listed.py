"""All verdicts of a study as lines of text: what ``report`` prints and writes."""

from __future__ import annotations

from collections.abc import Sequence

from contrastive_tutorial.records import Record, as_markdown
from contrastive_tutorial.study import NORM_PRESET
from contrastive_tutorial.verdicts.decisions import decide, gate
from contrastive_tutorial.verdicts.hypotheses import STUDIES, load_hypotheses


def verdict_lines(
    records: Sequence[Record],
    preset: str,
    data: str,
    study: str = "hypotheses",
    markdown: bool = True,
) -> list[str]:
    """Every registered hypothesis of a study with its verdict and its parts, as Markdown or plain.

    Where the study has a gate, what it says comes first. Plain lines are for a terminal: there the
    hypotheses that still wait for all their runs share the last line.

    Args:
        records: any; those of other presets and data sets are left out.
        preset, data: which records decide.
        study: as in :func:`contrastive_tutorial.verdicts.load_hypotheses`.
        markdown: escaped and with bold titles, for a file.

    Raises:
        InputError: as :func:`contrastive_tutorial.verdicts.decide`.
    """
    strong = "**{}**" if markdown else "{}"

    def say(text: str) -> str:
        return as_markdown(text) if markdown else text

    registry = load_hypotheses(study)
    lines = []
    if registry.rules.gate is not None:
        passed = gate(registry.rules, records, preset, data)
        words = {"supported": "passed", "contradicted": "not passed"}.get(passed.outcome, "open")
        lines.append(f"- {strong.format('Gate')}: {words}: {say(passed.reason)}")
    waiting = []
    for hypothesis in registry:
        verdict = decide(hypothesis, records, preset, data)
        if not markdown and not any(part.values for part in verdict.parts):
            waiting.append(hypothesis.id)
            continue
        title = strong.format(f"{hypothesis.id} {hypothesis.title}")
        lines.append(f"- {title}: {verdict.outcome}")
        lines += [f"  - {part.outcome}: {part.name}: {say(part.reason)}" for part in verdict.parts]
    if waiting:
        lines.append(f"- waiting for runs: {', '.join(waiting)}")
    return lines


def studies_of(preset: str) -> list[str]:
    """The registered studies that speak of a preset: its own, or those of the preset that it is a
    change of; else those of the first one's, whose rules hold for replications too."""
    if preset == NORM_PRESET:
        return []
    registered = {study: load_hypotheses(study).rules.preset for study in STUDIES}
    for name in (preset, preset.partition("+")[0]):
        if found := [study for study, named in registered.items() if named == name]:
            return found
    return [s for s, named in registered.items() if named == registered["hypotheses"]]
