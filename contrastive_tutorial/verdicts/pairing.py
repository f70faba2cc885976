"""Which records may be compared: pairing over seeds, and refusing what does not belong together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contrastive_tutorial.records import (
    WORDS,
    NotRecordedError,
    Record,
    one_each_seed,
    require_alike,
    require_one_cell,
    seeds_needed,
)
from contrastive_tutorial.study import Cell
from contrastive_tutorial.train import Preset

#: Reference rows that no seed changes: one record stands for every seed.
SEEDLESS = ("raw-pixels", "pca")

Table = dict[str, dict[int, Record]]


def by_seed(
    records: Sequence[Record],
    cells: Sequence[str],
    preset: str | None,
    data: str | None,
    num_subsets: int,
) -> Table:
    """Records by cell and seed, after refusing whatever may not be compared or averaged."""
    chosen = [
        record
        for record in records
        if record.cell in cells
        and record.num_subsets == num_subsets
        and (preset is None or record.preset == preset)
        and (data is None or record.data == data)
    ]
    require_alike(chosen, ", ".join(cells), {"versions of a preset": _preset})
    table: Table = {
        cell: one_each_seed([r for r in chosen if r.cell == cell], f"{cell} with K = {num_subsets}")
        for cell in cells
    }
    for cell, members in table.items():
        require_one_cell(members.values(), cell, {"versions of the cell": _cell})
    seeds = {seed for cell in cells if cell not in SEEDLESS for seed in table[cell]}
    for cell in cells:
        if cell in SEEDLESS and table[cell] and seeds:
            table[cell] = dict.fromkeys(seeds, table[cell][min(table[cell])])
    return table


def _filled(given: Any, kind: type) -> list[tuple[str, Any]] | None:
    """A recorded cell or preset with the defaults of fields that are younger than the record."""
    if not isinstance(given, dict):
        return None
    defaults = {
        f.name: list(f.default) if isinstance(f.default, tuple) else f.default
        for f in dataclasses.fields(kind)
        if f.default is not dataclasses.MISSING
    }
    return sorted((k, v) for k, v in {**defaults, **given}.items() if k not in WORDS)


def _preset(record: Record) -> list[tuple[str, Any]] | None:
    return _filled(record.hyperparameters.get("preset"), Preset)


def _cell(record: Record) -> list[tuple[str, Any]] | None:
    return _filled(record.hyperparameters.get("cell"), Cell)


def mixed(records: Iterable[Record]) -> str:
    """What records differ in that may matter, as a remark; empty where they do not."""
    chosen = list(records)
    found: dict[str, set[str | None]] = {
        "devices": {record.device for record in chosen},
        "versions of torch": {record.versions.get("torch", "") for record in chosen},
        "commits": {record.git_commit for record in chosen},
    }
    several = [f"{len(values)} {name}" for name, values in found.items() if len(values) > 1]
    return f"the runs are of {' and '.join(several)}" if several else ""


def nested_seeds(table: Mapping[str, Mapping[int, Record]]) -> tuple[int, ...]:
    """The first seeds of all cells, as many as the cell with the fewest has."""
    fewest = min((sorted(members) for members in table.values()), key=lambda seeds: len(seeds))
    for cell, members in table.items():
        if sorted(members)[: len(fewest)] != fewest:
            absent = sorted(set(fewest) - set(members)) or sorted(
                seed for seed in members if seed < max(fewest) and seed not in fewest
            )
            raise NotRecordedError(
                f"seeds are not paired: {' and '.join(table)} differ at seed {absent[0]} "
                f"({cell} has {len(members)} runs); run the missing ones"
            )
    return tuple(fewest)


def require_seeds(
    seeds: Sequence[int], needed: int, table: Mapping[str, Mapping[int, Record]]
) -> None:
    """Refuse fewer than ``needed`` paired seeds, saying how many there are and why it takes more.

    Raises:
        NotRecordedError: if there are fewer.
    """
    if len(seeds) >= needed:
        return
    empty = [cell for cell, members in table.items() if not members]
    if empty:
        raise NotRecordedError(f"{', '.join(empty)}: no run is recorded; {needed} seeds are needed")
    reason = ""
    if needed >= seeds_needed():
        best = 2.0 ** (1 - len(seeds))
        reason = f"; with {len(seeds)} the exact sign-flip test reaches p = {best:.3g} at best"
    raise NotRecordedError(
        f"{' and '.join(table)}: too few seeds: {len(seeds)} paired, {needed} needed{reason}"
    )
