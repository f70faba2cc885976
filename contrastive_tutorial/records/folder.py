"""Folders of records: finding, reading and selecting them."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files import require_file
from contrastive_tutorial.records.schema import _CHECKS, Record

MAX_RECORD_BYTES = 2_000_000


def _files(folder: Path) -> list[Path]:
    """Every ``.json`` below a folder, but for hidden ones: editors and notebooks leave copies."""
    return sorted(
        path
        for path in folder.rglob("*.json")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def find_record(results: str | Path, preset: str, cell: str, num_subsets: int, seed: int) -> Path:
    """The file of one recorded run, whatever data set it was made on.

    Raises:
        InputError: if it is not there, or there for more than one data set, or cannot exist.
    """
    for what, given, least in (("num_subsets", num_subsets, 1), ("seed", seed, 0)):
        if given < least:
            raise InputError(f"{what}: expected {least} or more, got {given}")
    if not Path(results).is_dir():
        raise _no_folder(Path(results))
    name = Path(preset, f"{cell}-K{num_subsets}-s{seed}.json")
    found = [path for path in _files(Path(results)) if path.parts[-2:] == name.parts[-2:]]
    if not found:
        raise InputError(f"{results}: no record {name}; see `contrastive-tutorial report`")
    if len(found) > 1:
        raise InputError(
            f"{results}: {found[0].stem} is recorded for {len(found)} data sets; give one of "
            f"{', '.join(str(path.parents[1]) for path in found)} as --results"
        )
    return found[0]


def find_results() -> Path:
    """The folder of recorded runs: ``$CONTRASTIVE_TUTORIAL_RESULTS``, or ``results`` beside or
    above the working directory, or in the source tree that the package runs from.

    Raises:
        InputError: if there is none, saying how to get one.
    """
    named = os.environ.get("CONTRASTIVE_TUTORIAL_RESULTS")
    here = Path.cwd()
    source = Path(__file__).resolve().parents[2]
    candidates = [Path(named)] if named else [p / "results" for p in (here, *here.parents, source)]
    for folder in candidates:
        if folder.is_dir() and _files(folder):
            return folder
    raise InputError(
        f"no recorded runs found in {candidates[0]}; work inside a clone of the repository, or set "
        "CONTRASTIVE_TUTORIAL_RESULTS to its results folder"
    )


def load_record(path: str | Path) -> Record:
    """Read and validate one record.

    Raises:
        InputError: naming the file, the field, what was expected and what was found.
    """
    path = Path(path)
    try:
        size = require_file(path).st_size
        if size > MAX_RECORD_BYTES:
            raise InputError(f"{path}: {size} bytes is too large for a record")
        # Some editors begin a file with a mark of its encoding (a BOM).
        text = path.read_bytes().decode("utf-8-sig")
        content = json.loads(text, object_pairs_hook=partial(_mapping, path))
    except OSError as error:
        if isinstance(error, FileNotFoundError) and os.path.islink(path):
            raise _broken_link(path) from error
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: not a valid record ({type(error).__name__}: damaged JSON); delete it and "
            "run that cell again"
        ) from error
    record = Record.from_json(content, path)
    if path.name != f"{record.stem}.json":
        raise InputError(
            f"{path}: cell, num_subsets, seed: expected those of its file name, got {record.stem}; "
            "rename the file, or remove it"
        )
    return record


def load_records(path: str | Path = "results", **wanted: Any) -> list[Record]:
    """Every record under a folder (or the one in a file), sorted by file name.

    Args:
        path: a folder, searched with its subfolders, hidden ones left out; or one ``.json`` file.
        wanted: keep records whose attributes equal these, e.g. ``preset="cpu", cell="B0"``; a
            tuple or list means "one of".

    Raises:
        InputError: if the path does not exist, or a record is damaged or lies in the folder of
            another preset or data set (naming file and field).
    """
    path = Path(path)
    if not path.exists():
        raise _no_folder(path)
    if path.is_dir():
        records = [load_record(file) for file in _files(path)]
        for record in records:
            _check_place(record, path)
    else:
        records = [load_record(path)]
    for name, value in wanted.items():
        if name not in _CHECKS:
            raise InputError(f"load_records: {name!r} is not a field of a record")
        options = value if isinstance(value, (tuple, list, set, range)) else (value,)
        records = [record for record in records if getattr(record, name) in options]
    return records


def _mapping(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key that is there twice, nobody knows which value was meant."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(
                f"{path}: {key!r:.60} is there twice in one object; remove one of the two, or "
                "delete the file and run that cell again"
            )
        found[key] = value
    return found


def _check_place(record: Record, root: Path) -> None:
    """A record in another preset's folder would stand for a run that is missing there."""
    assert record.path is not None
    folders = record.path.relative_to(root).parts[:-1]
    for name, folder in zip(("preset", "data"), reversed(folders), strict=False):
        if folder != getattr(record, name):
            raise InputError(
                f"{record.path}: {name}: expected {folder!r} as the folder says, got "
                f"{getattr(record, name)!r}; move it to {record.file(root)}"
            )


def _broken_link(path: Path) -> InputError:
    return InputError(
        f"{path}: is a link whose target {os.readlink(path)} is gone; remove the link, or put the "
        "target back"
    )


def _no_folder(path: Path) -> InputError:
    if os.path.islink(path) and not path.exists():
        return _broken_link(path)
    return InputError(f"{path}: no such folder of records; run a cell first, or pass --results")
