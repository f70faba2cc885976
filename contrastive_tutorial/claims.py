"""The ledger of the article's claims: ``book/claims.yml``, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrastive_tutorial.errors import InputError

SCHEMA_VERSION = 1
VERDICTS = ("right", "wrong", "ambiguous", "contradictory")
_CHECKS = ("test", "records", "contrast", "none")


@dataclass(frozen=True)
class Claim:
    """One claim of the article and what became of it.

    Attributes:
        id: ``S<section>.<number>``, as used all over the book.
        section: of the article.
        claim: in our own words.
        verdict: one of ``VERDICTS``.
        correct: what holds instead, or how the claim has to be read.
        sources: for ``correct``.
        check: ``test`` the name of a function in ``tests/test_claims.py``; ``records`` the id of a
            registered hypothesis; ``contrast`` two cells, with ``metric``; or ``none``: why nothing
            can be computed.
        contradicts: ids of claims that cannot hold together with this one; its own id if the claim
            contradicts itself.
    """

    id: str
    section: str
    claim: str
    verdict: str
    correct: str
    sources: tuple[str, ...]
    check: dict[str, Any]
    contradicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened in the history of contrastive learning, with its source."""

    year: int
    event: str
    source: str


@dataclass(frozen=True)
class Ledger:
    """Claims in the article's order, and the timeline that two of them are checked against."""

    claims: tuple[Claim, ...]
    timeline: tuple[Event, ...]


def load_claims(path: str | Path) -> Ledger:
    """Read and check the ledger.

    Raises:
        InputError: naming file, claim and field of whatever is missing, unknown or dangling.
    """
    import yaml

    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{path}: expected a mapping with schema_version {SCHEMA_VERSION}")
    try:
        timeline = tuple(Event(**entry) for entry in content["timeline"])
        entries = list(content["claims"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: timeline or claims: {error}") from error
    claims = tuple(_claim(f"{path}", entry) for entry in entries)
    known = [claim.id for claim in claims]
    for claim in claims:
        if known.count(claim.id) > 1:
            raise InputError(f"{path}: {claim.id}: listed twice")
        dangling = sorted(set(claim.contradicts) - set(known))
        if dangling:
            raise InputError(f"{path}: {claim.id}: contradicts: there is no claim {dangling[0]!r}")
    return Ledger(claims, timeline)


def _claim(where: str, entry: Any) -> Claim:
    if not isinstance(entry, dict) or "id" not in entry:
        raise InputError(f"{where}: a claim without an id: {str(entry)[:60]!r}")
    where = f"{where}: {entry['id']}"
    try:
        claim = Claim(
            **{
                **entry,
                "sources": tuple(entry.get("sources", ())),
                "contradicts": tuple(entry.get("contradicts", ())),
            }
        )
    except TypeError as error:
        raise InputError(f"{where}: {str(error).partition(') ')[2] or error}") from error
    if claim.verdict not in VERDICTS:
        raise InputError(
            f"{where}: verdict: expected one of {', '.join(VERDICTS)}, got {claim.verdict!r}"
        )
    if claim.verdict == "contradictory" and not claim.contradicts:
        raise InputError(f"{where}: contradicts: a contradictory claim has to name what it denies")
    if not claim.sources:
        raise InputError(f"{where}: sources: expected at least one, got none")
    if not isinstance(claim.check, dict) or not set(claim.check) & set(_CHECKS):
        raise InputError(f"{where}: check: expected one of {', '.join(_CHECKS)}, got {claim.check}")
    return claim
