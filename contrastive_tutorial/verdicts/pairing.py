"""Which records may be compared: pairing over seeds, and refusing what does not belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import seeds_needed


class RunRecord(Protocol):
    """What a comparison reads of a :class:`~contrastive_tutorial.records.Record`."""

    cell: str
    preset: str
    seed: int
    num_subsets: int
    data: str
    data_hash: str
    evaluation: str
    metrics: dict[str, float]
    evaluations: dict[str, dict[str, float]]
    hyperparameters: dict[str, Any]
    extra: dict[str, float]


class NotRecordedError(InputError):
    """Runs or metrics are missing: more of them would decide. Nothing is wrong with the others."""


def value(record: RunRecord, metric: str, how: str | None = None) -> float:
    """One number of a record; ``how="worst-branch"`` is the smallest over all ``branch:k``.

    Raises:
        InputError: naming the record and the key it lacks.
    """
    name = f"{record.cell}-K{record.num_subsets}-s{record.seed}"
    if metric.startswith("extra."):
        source, key, where = record.extra, metric.removeprefix("extra."), "extra"
    elif how == "worst-branch":
        branches = [h for h in record.evaluations if h.startswith("branch:")]
        if not branches:
            raise NotRecordedError(f"{name}: no branch was evaluated; re-run that cell")
        return min(value(record, metric, branch) for branch in branches)
    elif how is not None:
        source, key, where = record.evaluations.get(how, {}), metric, f"evaluations[{how!r}]"
    else:
        source, key, where = record.metrics, metric, "metrics"
    if key not in source:
        raise NotRecordedError(
            f"{name}: {where} has no {key!r} (an older record?); re-run that cell, or leave the "
            "metric out"
        )
    return float(source[key])


def by_seed(
    records: list[RunRecord],
    cells: Sequence[str],
    preset: str | None,
    data: str | None,
    num_subsets: int,
) -> dict[str, dict[int, RunRecord]]:
    """Records by cell and seed, after refusing whatever may not be compared or averaged."""
    chosen = [
        record
        for record in records
        if record.cell in cells
        and record.num_subsets == num_subsets
        and (preset is None or record.preset == preset)
        and (data is None or record.data == data)
    ]
    for name in ("preset", "data", "data_hash"):
        found = sorted({str(getattr(record, name)) for record in chosen})
        if len(found) > 1:
            raise InputError(
                f"records of {', '.join(cells)} mix {name}: {', '.join(found)}; select one first"
            )
    # A preset keeps its name when its steps or learning rate are edited; the record knows them.
    definitions = {
        repr(sorted(definition.items()))
        for record in chosen
        if (definition := record.hyperparameters.get("preset"))
    }
    if len(definitions) > 1:
        raise InputError(
            f"records of {', '.join(cells)} mix {len(definitions)} versions of preset "
            f"{chosen[0].preset!r} (other steps, batch size, ...); re-run the older ones"
        )
    table: dict[str, dict[int, RunRecord]] = {cell: {} for cell in cells}
    for record in chosen:
        if record.seed in table[record.cell]:
            raise InputError(
                f"{record.cell}: seed {record.seed} is recorded twice with K = {num_subsets}; "
                "remove one of the two runs"
            )
        table[record.cell][record.seed] = record
    for cell, members in table.items():
        statistics = sorted({record.evaluation for record in members.values()})
        if len(statistics) > 1:
            raise InputError(
                f"{cell}: headline metrics mix evaluation statistics: {', '.join(statistics)}"
            )
    return table


def same_seeds(table: Mapping[str, Mapping[int, RunRecord]]) -> tuple[int, ...]:
    """The seeds of every cell, which must be the same ones."""
    every: set[int] = set().union(*table.values())
    for cell, members in table.items():
        absent = sorted(every - set(members))
        if absent and members:
            raise NotRecordedError(
                f"seeds are not paired: {cell} lacks seed "
                f"{', '.join(map(str, absent))}; run them, or name the seeds to use"
            )
    return tuple(sorted(set.intersection(*(set(members) for members in table.values()))))


def nested_seeds(table: Mapping[str, Mapping[int, RunRecord]]) -> tuple[int, ...]:
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
    seeds: Sequence[int], needed: int, table: Mapping[str, Mapping[int, RunRecord]]
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
