"""The ledger of the article's claims: ``claims.yml`` in this folder."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.verdicts.hypotheses import read_registered

VERDICTS = ("right", "wrong", "ambiguous", "contradictory")


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
        check: ``test`` the name of a function in ``tests/verdicts/test_claims.py``; ``records`` the
            id of a registered hypothesis; ``contrast`` two cells, with ``metric``; or ``none``: why
            nothing can be computed.
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

    def select(self, verdict: str = "all", section: str = "all") -> Ledger:
        """The claims with this verdict and of this section; a section includes its subsections.

        Raises:
            InputError: for an unknown verdict.
        """
        if verdict not in ("all", *VERDICTS):
            raise InputError(f"verdict: expected all, {', '.join(VERDICTS)}; got {verdict!r}")
        chosen = tuple(
            claim
            for claim in self.claims
            if verdict in ("all", claim.verdict)
            and (section == "all" or f"{claim.section}.".startswith(f"{section}."))
        )
        return Ledger(chosen, self.timeline)

    def _repr_html_(self) -> str:
        """An accessible table; colours are the page's own, so it reads in light and dark."""
        caption = f"{len(self.claims)} claims" if len(self.claims) != 1 else "1 claim"
        left = 'style="text-align:left;vertical-align:top;overflow-wrap:anywhere"'
        one_piece = 'style="text-align:left;vertical-align:top;white-space:nowrap"'
        columns = {"Claim": 10, "In the article": 33, "What holds instead": 37, "Checked by": 20}
        head = "".join(
            f'<th scope="col" style="text-align:left;width:{width}%">{name}</th>'
            for name, width in columns.items()
        )
        rows = []
        for claim in self.claims:
            against = ["itself" if other == claim.id else other for other in claim.contradicts]
            verdict = claim.verdict + (f", against {' and '.join(against)}" if against else "")
            cells = (
                f"{html.escape(claim.claim)} <strong>{html.escape(verdict)}</strong>",
                f"{html.escape(claim.correct)} <small>{_cited(claim.sources)}</small>",
                _checked(claim.check),
            )
            rows.append(
                f'<tr><th scope="row" {one_piece}>{html.escape(claim.id)}<br>'
                f"<small>§ {html.escape(claim.section)}</small></th>"
                + "".join(f"<td {left}>{cell}</td>" for cell in cells)
                + "</tr>"
            )
        return (
            '<table style="table-layout:fixed;width:100%;min-width:36rem">'
            f'<caption style="text-align:left">{caption}</caption><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table>"
        )


def load_claims() -> Ledger:
    """The book's ledger of the article's claims."""
    content = read_registered("claims")
    several = ("sources", "contradicts")
    claims = (
        Claim(**entry | {name: tuple(entry.get(name, ())) for name in several})
        for entry in content["claims"]
    )
    return Ledger(tuple(claims), tuple(Event(**entry) for entry in content["timeline"]))


def _cited(sources: tuple[str, ...]) -> str:
    """Sources as HTML, arXiv numbers as links."""
    escaped = html.escape("; ".join(sources))
    return re.sub(
        r"arXiv (\d{4}\.\d{5})",
        r'<a style="color:inherit" href="https://arxiv.org/abs/\1">arXiv \1</a>',
        escaped,
    )


def _checked(check: dict[str, Any]) -> str:
    """What answers a claim, as HTML."""
    parts = []
    if "test" in check:
        # A long name in a narrow column breaks between its words, not inside them.
        parts.append(f"<code>{html.escape(check['test']).replace('_', '_<wbr>')}</code>")
    if "records" in check:
        parts.append(f"records, by {html.escape(check['records'])}")
    if "contrast" in check:
        left, right = check["contrast"]
        parts.append(html.escape(f"records: {check['metric']} of {left} and {right}"))
    if "none" in check:
        parts.append(f"no check: {html.escape(check['none'])}")
    return "; ".join(parts)
