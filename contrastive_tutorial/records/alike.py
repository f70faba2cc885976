"""Which records are runs of one thing: what may be averaged, compared, or drawn together."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import shown

#: What is compared, by its name in the message.
Comparison = Mapping[str, Callable[[Any], Any]]

#: What a run had that its record does not say.
USUAL = {"definition": 1, "encoder": "that of the preset", "batch_norm": "sync"}
#: Of a recorded cell or preset: what describes it and changes no number.
WORDS = ("summary", "article")


def said(record: Any, name: str) -> Any:
    """An entry of ``hyperparameters``, or what is usual; ``None`` where nobody knows."""
    return record.hyperparameters.get(name, USUAL.get(name))


def require_alike(records: Iterable[Any], named: str, more: Comparison | None = None) -> None:
    """Refuse runs that differ in what all runs of a table, a picture or a comparison share.

    That is data and preset, what the preset's name stood for, the definition of the cells, a
    network of one's own, and the statistics of several processes. What a record does not say
    agrees with everything.

    Args:
        records: with ``data``, ``data_hash``, ``preset`` and ``hyperparameters``.
        named: what they are runs of, for the message.
        more: what else is compared, by its name in the message.

    Raises:
        InputError: naming what is mixed.
    """
    chosen = list(records)
    for name in ("preset", "data", "data_hash"):
        _one(chosen, named, name, operator.attrgetter(name))
    _one(chosen, named, "test images", lambda r: said(r, "test_hash"))
    # Names stay when what they stand for is edited; the record knows what it was.
    _one_each(chosen, named, "versions of a preset (other steps, batch size, ...)", "preset")
    for name in USUAL:
        _one(chosen, named, name, lambda r, name=name: said(r, name))  # type: ignore[misc]
    for name, of in (more or {}).items():
        _one(chosen, named, name, of)


def require_one_cell(records: Iterable[Any], named: str, more: Comparison | None = None) -> None:
    """Refuse runs of one cell that :func:`require_alike` lets pass, but that were made, or are
    scored, in different ways. Arguments as there.

    Raises:
        InputError: naming what is mixed.
    """
    chosen = list(records)
    _one(chosen, named, "evaluation statistics", operator.attrgetter("evaluation"))
    _one_each(chosen, named, "versions of the cell", "cell")
    _one(chosen, named, "policies", lambda r: said(r, "policies"))
    for name, of in (more or {}).items():
        _one(chosen, named, name, of)


def one_each_seed(records: Iterable[Any], named: str) -> dict[int, Any]:
    """Runs of one cell by their seed; two of one seed are never averaged over.

    Raises:
        InputError: naming both files, or both runs where there is no file.
    """
    found: dict[int, Any] = {}
    for record in records:
        if record.seed in found:
            both = " and ".join(str(r.path or r.stem) for r in (found[record.seed], record))
            raise InputError(f"{named}: two records of one seed: {both}; remove one of them")
        found[record.seed] = record
    return found


def _one(records: list[Any], named: str, what: str, of: Callable[[Any], Any]) -> None:
    found = {repr(it): it for record in records if (it := of(record)) is not None}
    if len(found) > 1:
        texts = sorted(shown(text) for text in map(str, found.values()) if len(text) < 80)
        raise InputError(
            f"records of {named} mix {shown(what)}: {', '.join(texts) or len(found)}; select one, "
            "or run the older ones again"
        )


def _one_each(records: list[Any], named: str, what: str, part: str) -> None:
    """Every value of a recorded cell or preset; older ones lack what is younger than they are."""
    settings = [it for record in records if isinstance(it := said(record, part), dict)]
    for key in sorted({key for it in settings for key in it} - {*WORDS}):
        found = [repr(it[key]) for it in settings if key in it]
        _one(found, named, f"{what}: {key}", str)
