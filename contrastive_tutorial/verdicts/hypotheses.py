"""The registered hypotheses: ``hypotheses.yml`` and its amendments, read and checked.

The files say in prose what was expected and in keys how records decide it; the head of the first
documents the rule language. This module turns them into dataclasses and refuses what it cannot
decide; :mod:`contrastive_tutorial.verdicts` applies the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contrastive_tutorial.errors import InputError

SCHEMA_VERSION = 1
#: The registered studies: name of the file, and what pages call it.
STUDIES = {
    "hypotheses": "The first study",
    "amendment-a": "Amendment A",
    "second-study": "The second study",
}
#: Keys that every kind of part needs, besides those of all of them.
_NEEDS = {
    "difference": ("contrast", "metric"), "level": ("cell", "metric"),
    "function": ("function", "cells"),
}  # fmt: skip
_PART_KEYS = {
    "name", "kind", "cell", "cells", "contrast", "metric", "how", "index", "function",
    "min_seeds", "primary", "supported_if", "contradicted_if",
}  # fmt: skip
_RELATIONS = ("above", "below", "inside", "outside")


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


@dataclass(frozen=True)
class Hypothesis:
    """A prediction that was registered before any record existed."""

    id: str
    title: str
    statement: str
    direction: str
    family: str
    min_seeds: int
    parts: tuple[Part, ...]
    rules: Rules


@dataclass(frozen=True)
class Registry:
    """All hypotheses of a study, named by ``title``; iterates in file order, indexes by id."""

    title: str
    rules: Rules
    hypotheses: tuple[Hypothesis, ...]
    article: tuple[Hypothesis, ...]

    def __iter__(self) -> Iterator[Hypothesis]:
        return iter(self.hypotheses + self.article)

    def __len__(self) -> int:
        return len(self.hypotheses) + len(self.article)

    def __getitem__(self, name: str) -> Hypothesis:
        for hypothesis in self:
            if hypothesis.id == name:
                return hypothesis
        raise InputError(f"no hypothesis {name!r}; there are {', '.join(h.id for h in self)}")


def read_registry(
    name: str, path: str | Path | None, schema_version: int
) -> tuple[Path, dict[str, Any]]:
    """Where a registered YAML file lies, and the mapping in it; without a path, the package's own.

    Raises:
        InputError: naming the file, if it cannot be read or is of another schema version.
    """
    import yaml

    path = Path(path) if path is not None else Path(__file__).with_name(name)
    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it takes a seventh of the time
    try:
        content = safe(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping, got {type(content).__name__}")
    if content.get("schema_version") != schema_version:
        raise InputError(
            f"{path}: schema_version: expected {schema_version}, "
            f"got {content.get('schema_version')!r}"
        )
    return path, content


def load_hypotheses(study: str | Path = "hypotheses") -> Registry:
    """Read and check registered hypotheses.

    Args:
        study: a name in ``STUDIES`` (``"hypotheses"``, the first one), or the
            path of a file of the same form.

    Raises:
        InputError: naming file, hypothesis and key of whatever is missing, unknown or undecidable.
    """
    known = study in STUDIES
    path, content = read_registry(f"{study}.yml", None if known else study, SCHEMA_VERSION)
    rules = _rules(f"{path}", content)
    groups = [
        tuple(_hypothesis(f"{path}", entry, rules) for entry in content.get(group, []))
        for group in ("hypotheses", "article")
    ]
    names = [hypothesis.id for members in groups for hypothesis in members]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: {name}: registered twice")
    return Registry(STUDIES[str(study)] if known else path.stem, rules, *groups)


def _need(where: str, mapping: Any, *names: str) -> list[Any]:
    for name in names:
        if not isinstance(mapping, dict) or name not in mapping:
            raise InputError(f"{where}: key {name!r} is missing")
    return [mapping[name] for name in names]


def _rules(where: str, content: dict[str, Any]) -> Rules:
    scope, family, evaluation = _need(
        where, content, "scope", "primary_family", "headline_evaluation"
    )
    data, preset, num_subsets = _need(f"{where}: scope", scope, "data", "preset", "num_subsets")
    metric, min_seeds, alpha, contrasts = _need(
        f"{where}: primary_family", family, "metric", "min_seeds", "alpha", "contrasts"
    )
    headline: dict[str, str] = {}
    for group in evaluation.values():
        if isinstance(group, dict):
            headline |= dict.fromkeys(group["cells"], group["how"])
    primary = {}
    for entry in contrasts:
        name, sides = _need(f"{where}: primary_family", entry, "id", "contrast")
        primary[name] = (sides[0], sides[1])
    metrics = (metric,) if isinstance(metric, str) else tuple(metric)
    gate = _gate(f"{where}: gate", content["gate"]) if "gate" in content else None
    return Rules(data, preset, num_subsets, headline, primary, metrics, min_seeds, alpha, gate)


def _gate(where: str, entry: Any) -> Gate:
    baseline, above, by, metrics, min_seeds, learned = _need(
        where, entry, "baseline", "above", "by", "metrics", "min_seeds", "learned"
    )
    pair = _need(f"{where}: learned", learned, "metric", "above")
    return Gate(
        baseline, tuple(above), float(by), tuple(metrics), (pair[0], pair[1]), int(min_seeds)
    )


def _hypothesis(where: str, entry: Any, rules: Rules) -> Hypothesis:
    name, title, statement, direction, family, min_seeds, parts = _need(
        where, entry, "id", "title", "statement", "direction", "family", "min_seeds", "parts"
    )
    where = f"{where}: {name}"
    if family not in ("primary", "secondary"):
        raise InputError(f"{where}: family: expected primary or secondary, got {family!r}")
    if not parts:
        raise InputError(f"{where}: parts: expected at least one decidable part, got none")
    return Hypothesis(
        id=name,
        title=title,
        statement=" ".join(statement.split()),
        direction=direction,
        family=family,
        min_seeds=min_seeds,
        parts=tuple(_part(where, part, min_seeds, rules) for part in parts),
        rules=rules,
    )


def _part(where: str, entry: Any, min_seeds: int, rules: Rules) -> Part:
    name, kind, supported, contradicted = _need(
        where, entry, "name", "kind", "supported_if", "contradicted_if"
    )
    where = f"{where}: {name}"
    unknown = sorted(set(entry) - _PART_KEYS)
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}")
    if kind not in _NEEDS:
        raise InputError(f"{where}: kind: expected one of {', '.join(_NEEDS)}, got {kind!r}")
    _need(where, entry, *_NEEDS[kind])
    if "primary" in entry:
        if entry["primary"] not in rules.primary:
            raise InputError(f"{where}: primary: no such contrast {entry['primary']!r}")
        if tuple(entry["contrast"]) != rules.primary[entry["primary"]]:
            raise InputError(f"{where}: contrast differs from that of {entry['primary']}")
        if entry["metric"] not in rules.primary_metrics:
            raise InputError(f"{where}: metric differs from that of the primary family")
    return Part(
        name=name,
        kind=kind,
        supported_if=_condition(f"{where}: supported_if", supported),
        contradicted_if=_condition(f"{where}: contradicted_if", contradicted),
        min_seeds=entry.get("min_seeds", min_seeds),
        primary=entry.get("primary"),
        spec=entry,
    )


def _condition(where: str, entry: Any) -> Condition:
    (bound,) = _need(where, entry, "bound")
    confidence = entry.get("confidence", 0.95)
    if "interval" in entry:
        relation = entry["interval"]
        if relation not in _RELATIONS:
            raise InputError(
                f"{where}: interval: expected one of {', '.join(_RELATIONS)}, got {relation!r}"
            )
        if relation in ("inside", "outside"):
            if not isinstance(bound, list) or len(bound) != 2 or not bound[0] < bound[1]:
                raise InputError(f"{where}: bound: expected [low, high], got {bound!r}")
            return Condition(relation, float(bound[0]), float(bound[1]), confidence)
    elif entry.get("every") == "at_least":
        relation = "every at_least"
    elif entry.get("some") == "below":
        relation = "some below"
    else:
        raise InputError(f"{where}: expected interval, every or some, got {sorted(entry)}")
    if isinstance(bound, bool) or not isinstance(bound, (int, float)):
        raise InputError(f"{where}: bound: expected a number, got {bound!r}")
    return Condition(relation, float(bound), float(bound), confidence)
