"""The registered hypotheses: ``hypotheses.yml`` and its amendments, as dataclasses.

The files say in prose what was expected and in keys how records decide it; the head of the first
documents the rule language, and :mod:`contrastive_tutorial.verdicts` applies the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contrastive_tutorial.errors import InputError, unknown
from contrastive_tutorial.records import Record

#: The registered studies: name of the file, and what pages call it.
STUDIES = {
    "hypotheses": "The first study",
    "amendment-a": "Amendment A",
    "second-study": "The second study",
    "amendment-b": "Amendment B",
    "amendment-c": "Amendment C",
    "amendment-d": "Amendment D",
    "amendment-e": "Amendment E",
}

#: Of a study whose seeds are too few for a test.
_NO_FAMILY: dict[str, Any] = {"contrasts": [], "metric": "knn10", "min_seeds": 0, "alpha": 0.05}


@dataclass(frozen=True)
class Condition:
    """One side of a decision rule.

    Attributes:
        relation: ``"above"``, ``"below"``, ``"inside"``, ``"outside"``: of the interval, wholly;
            ``"every at_least"``, ``"some below"``: of the single values.
        low, high: the bound; equal unless the relation needs a range.
        confidence: of the interval.
    """

    relation: str
    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class Part:
    """One decidable statement. ``spec`` holds the keys that say which number a seed gives."""

    name: str
    kind: str
    supported_if: Condition
    contradicted_if: Condition
    min_seeds: int
    primary: str | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """What the encoders of a study must have learned before any of its verdicts counts.

    Attributes:
        baseline: the cell that must lie above each cell of ``above``, on every one of ``metrics``,
            by ``by`` or more: means over seeds.
        learned: a metric, and the cell that every cell of the primary family must beat on it.
        min_seeds: fewer decide nothing.
    """

    baseline: str
    above: tuple[str, ...]
    by: float
    metrics: tuple[str, ...]
    learned: tuple[str, str]
    min_seeds: int


@dataclass(frozen=True)
class Rules:
    """What all hypotheses of a file share.

    Attributes:
        data, preset, num_subsets: the records that decide unless a caller names others.
        seeds: those that decide; ``None`` for all that are recorded.
        headline: evaluation statistics that each cell's headline metrics must come from.
        primary: the contrasts of the primary family by id, ``(left, right)``.
        primary_metrics: of that family; with several a contrast's p is the largest of theirs.
        primary_min_seeds, alpha: of that family.
        gate: ``None`` where verdicts count whatever the encoders have learned.
    """

    data: str
    preset: str
    num_subsets: int
    headline: Mapping[str, str]
    primary: Mapping[str, tuple[str, str]]
    primary_metrics: tuple[str, ...]
    primary_min_seeds: int
    alpha: float = 0.05
    gate: Gate | None = None
    seeds: tuple[int, ...] | None = None

    def decisive(self, records: Iterable[Record]) -> list[Record]:
        """Those whose seed counts: fresh seeds of a later amendment change no verdict given."""
        return [record for record in records if self.seeds is None or record.seed in self.seeds]


@dataclass(frozen=True)
class Hypothesis:
    """A prediction that was registered before any record existed."""

    id: str
    title: str
    statement: str
    parts: tuple[Part, ...]
    rules: Rules


@dataclass(frozen=True)
class Registry:
    """All hypotheses of a study; iterates in file order, indexes by id."""

    rules: Rules
    hypotheses: tuple[Hypothesis, ...]

    def __iter__(self) -> Iterator[Hypothesis]:
        return iter(self.hypotheses)

    def __len__(self) -> int:
        return len(self.hypotheses)

    def __getitem__(self, name: str) -> Hypothesis:
        for hypothesis in self:
            if hypothesis.id == name:
                return hypothesis
        raise InputError(f"no hypothesis {name!r}; there are {', '.join(h.id for h in self)}")


def read_registered(name: str) -> dict[str, Any]:
    """What a YAML file in this folder holds; ``tests/verdicts`` holds all of them to their form."""
    import yaml

    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it takes a seventh of the time
    text = Path(__file__).with_name(f"{name}.yml").read_text(encoding="utf-8")
    return dict(safe(text).get_single_data())


def load_hypotheses(study: str = "hypotheses") -> Registry:
    """The registered hypotheses of a study, the first one by default.

    Args:
        study: a name in ``STUDIES``.

    Raises:
        InputError: for another name.
    """
    if study not in STUDIES:
        raise unknown("study", study, STUDIES)
    content = read_registered(study)
    rules = _rules(content)
    entries = content["hypotheses"] + content.get("article", [])
    return Registry(rules, tuple(_hypothesis(entry, rules) for entry in entries))


def _rules(content: dict[str, Any]) -> Rules:
    scope = content["scope"]
    family = content.get("primary_family", _NO_FAMILY)
    headline: dict[str, str] = {}
    for group in content["headline_evaluation"].values():
        if isinstance(group, dict):
            headline |= dict.fromkeys(group["cells"], group["how"])
    metric = family["metric"]
    return Rules(
        data=scope["data"],
        preset=scope["preset"],
        num_subsets=scope["num_subsets"],
        headline=headline,
        primary={entry["id"]: tuple(entry["contrast"]) for entry in family["contrasts"]},
        primary_metrics=(metric,) if isinstance(metric, str) else tuple(metric),
        primary_min_seeds=family["min_seeds"],
        alpha=family["alpha"],
        gate=_gate(content["gate"]) if "gate" in content else None,
        seeds=tuple(scope["seeds"]) if "seeds" in scope else None,
    )


def _gate(entry: dict[str, Any]) -> Gate:
    learned = entry["learned"]["metric"], entry["learned"]["above"]
    above, metrics = tuple(entry["above"]), tuple(entry["metrics"])
    return Gate(entry["baseline"], above, entry["by"], metrics, learned, entry["min_seeds"])


def _hypothesis(entry: dict[str, Any], rules: Rules) -> Hypothesis:
    parts = tuple(_part(part, entry["min_seeds"]) for part in entry["parts"])
    statement = " ".join(entry["statement"].split())
    return Hypothesis(entry["id"], entry["title"], statement, parts, rules)


def _part(entry: dict[str, Any], min_seeds: int) -> Part:
    return Part(
        name=entry["name"],
        kind=entry["kind"],
        supported_if=_condition(entry["supported_if"]),
        contradicted_if=_condition(entry["contradicted_if"]),
        min_seeds=entry.get("min_seeds", min_seeds),
        primary=entry.get("primary"),
        spec=entry,
    )


def _condition(entry: dict[str, Any]) -> Condition:
    bound = entry["bound"]
    low, high = bound if isinstance(bound, list) else (bound, bound)
    single = "every at_least" if "every" in entry else "some below"
    relation = entry.get("interval", single)
    return Condition(relation, float(low), float(high), entry.get("confidence", 0.95))
