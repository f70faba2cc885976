"""The command line: ``contrastive-tutorial run | study | reproduce | embed | report | ...``.

Bad input ends with one line on standard error and exit status 2. An interrupt (Ctrl-C) leaves a
state that the same command continues from, and exits with status 130. Anything else that goes
wrong is a defect of ours and shows its traceback.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from contrastive_tutorial.cli.parser import PROGRAM, build_parser
from contrastive_tutorial.errors import InputError, MissingExtraError, is_out_of_memory

if TYPE_CHECKING:
    from contrastive_tutorial.records import Record


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 20  # Python reads no number of thousands of digits


def _numbers(values: Sequence[str]) -> list[int]:
    """``["0-2,5", "1"]`` to ``[0, 1, 2, 5]``."""
    numbers: list[int] = []
    for part in ",".join(values).split(","):
        first, dash, last = part.strip().partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise InputError(f"expected numbers such as 0, 0-5 or 0,2,4, got {part!r:.60}")
        start, stop = int(first), int(last or first)
        if stop < start or stop - start > 10_000:
            raise InputError(f"expected a rising range of at most 10,000 numbers, got {part!r}")
        numbers.extend(range(start, stop + 1))
    return list(dict.fromkeys(numbers))


def _words(values: Sequence[str] | None) -> list[str]:
    """``["B0,S-P1", "M-P1"]`` to three names: a list takes commas, spaces, or both."""
    split = [word.strip() for value in values or [] for word in value.split(",")]
    return list(dict.fromkeys(filter(None, split)))


def _require_values(options: argparse.Namespace) -> None:
    """Refuse empty text: a variable that was never set must not mean "all of them"."""
    for name, value in vars(options).items():
        given = value if isinstance(value, list) else [value]
        for text in given:
            if isinstance(text, str) and not text.strip(" ,"):
                raise InputError(
                    f"{name.replace('_', '-')}: expected a value, got {text!r} (an empty variable?)"
                )


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and _is_number(index) and _is_number(count) and int(index) < int(count)):
        raise InputError(f"--shard: expected I/N with I from 0 to N-1, e.g. 0/2, got {text!r:.60}")
    return int(index), int(count)


def _note(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line, without the place in the source where it was issued."""
    print(f"{PROGRAM}: note: {' '.join(str(message).split())}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    for name in ("stdout", "stderr"):  # None where a program is started without them (`>&-`)
        if (stream := getattr(sys, name)) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - until the process ends
        elif hasattr(stream, "reconfigure"):  # where a name cannot be written, its line still is
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        _require_values(options)
        with warnings.catch_warnings():
            warnings.showwarning = _note
            status = int(_COMMANDS[options.command](options) or 0)
        sys.stdout.flush()  # what cannot be written must fail here, not while Python shuts down
        return status
    except (InputError, MissingExtraError) as error:
        return _failed(" ".join(str(error).split()))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _failed(
            "out of memory; use a smaller preset or fewer images. The last checkpoint is kept"
        )
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the terminal has shown ^C
        return _failed("interrupted; the same command continues", 130)
    except BrokenPipeError:  # e.g. `report | head`
        _drop_output()
        return 0
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # a late import, too
            return _failed(f"{error.strerror}: close some, or allow more (ulimit -n)")
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        _drop_output()
        return _failed(f"the output cannot be written ({error.strerror})")


def _failed(words: str, status: int = 2) -> int:
    print(f"{PROGRAM}: {words}", file=sys.stderr)
    return status


def _drop_output() -> None:
    """What is still to be printed would fail again when Python shuts down."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _preset(options: argparse.Namespace) -> str:
    """The preset's name with what --epochs, --lr and --batch-size change of it."""
    from contrastive_tutorial import data
    from contrastive_tutorial.train import changed, preset

    wanted = {"lr": options.lr, "batch_size": options.batch_size}
    values = {name: value for name, value in wanted.items() if value is not None}
    if options.epochs is not None:
        if not 0 < options.epochs < float("inf"):
            raise InputError(f"--epochs: expected a positive number, got {options.epochs:g}")
        batch = values.get("batch_size") or preset(options.preset).batch_size
        found = _images(options)
        images = len(data.load(found, "train") if found is options.data else found[0])
        values["steps"] = max(1, round(options.epochs * images / batch))
    if not values:
        return str(options.preset)
    if "+" in options.preset:
        raise InputError(
            f"--preset {options.preset}: name all changes there, or use a plain preset with "
            "--epochs, --lr and --batch-size"
        )
    return changed(options.preset, **values).name


def _canonical(preset: str) -> str:
    """The name that records of a preset carry; one that is not registered stays as it is."""
    from contrastive_tutorial.study import Request

    with suppress(InputError):
        return Request("", preset).preset_name
    return preset


def _images(options: argparse.Namespace) -> Any:
    """What --data names, read as --size and --skip-broken say: a name or path, or the sets."""
    from contrastive_tutorial import data

    size = getattr(options, "size", 32)
    if size == 32 and not options.skip_broken:
        return options.data
    return data.load_splits(options.data, size=size, skip_broken=options.skip_broken)


def _run(options: argparse.Namespace) -> int:
    from contrastive_tutorial.study import Request, run, runner
    from contrastive_tutorial.train import ProcessGroup, processes, requested

    request = Request(
        options.cell, _preset(options), options.seed, options.subsets, options.results,
        options.device, options.arrays, options.again, not options.quiet, options.batch_norm,
        options.keep_weights,
    )  # fmt: skip
    runner.check(request, ProcessGroup(*requested()))  # before waiting for other processes
    with processes(options.device) as group:
        record, is_new = run(request, _images(options), group)
    if not group.is_first:
        return 0
    if record is None:
        print("another process is working on this run")
        return 0
    print(_one_line(record), flush=True)
    print(f"{'record' if is_new else 'already recorded'}: {record.path}")
    for asked, what, suffix in (
        (options.keep_weights, "weights", ".safetensors"),
        (options.arrays, "arrays", ".npz"),
    ):
        if asked and not record.file(options.results).with_suffix(suffix).exists():
            reason = f"{record.cell} has none" if is_new else "the same command with --again does"
            print(f"no {what} were kept: {reason}")
    return 0


def _study(options: argparse.Namespace) -> int:
    from contrastive_tutorial.study import CELLS, runner
    from contrastive_tutorial.train import requested

    if requested()[1] > 1:
        raise InputError(
            "torchrun: a study's runs are independent; start `study` once for each GPU with "
            "--shard, or with --ray, and use torchrun for `run`"
        )
    shard = _shard(options.shard)
    planned = runner.plan(
        _words(options.cells) or list(CELLS), _numbers(options.seeds or ["0-2"]),
        _numbers(options.subsets or ["10"]),
        preset=_preset(options), results=options.results, device=options.device,
        arrays=options.arrays, progress=not options.quiet,
    )  # fmt: skip
    return _carry_out(planned, options, shard, options.ray)


def _norms(options: argparse.Namespace) -> int:
    from contrastive_tutorial.study import norms

    sizes = _numbers(options.batch_sizes) if options.batch_sizes else norms.BATCH_SIZES
    planned = norms.plan(
        _words(options.norms) or norms.NORMS, _words(options.conditions) or norms.CONDITIONS, sizes,
        _numbers(options.seeds or ["0-5"]), results=options.results, device=options.device,
        progress=not options.quiet,
    )  # fmt: skip
    return _carry_out(planned, options)


def _carry_out(
    planned: list, options: argparse.Namespace, shard: tuple[int, int] = (0, 1),
    address: str | None = None,
) -> int:  # fmt: skip
    """Do what is missing of a plan, and say what is left."""
    from contrastive_tutorial import data
    from contrastive_tutorial.study import ray, runner

    budget = runner.parse_budget(options.budget) if options.budget else None
    images = _images(options)
    if address and images is not options.data:
        raise InputError(
            "--size, --skip-broken: workers on Ray load the images themselves, all of them, 32 "
            "pixels wide"
        )
    named = images is options.data
    train_set = data.load(images, "train") if named else images[0]
    # Shares of the whole plan, not of what is missing now: hosts that start late agree on them.
    part = planned[shard[0] :: shard[1]]
    missing = runner.missing(part, train_set)
    print(f"{len(part)} runs, {len(missing)} of them not recorded yet", flush=True)
    if options.dry_run:
        for request in missing:
            print(request)
        return 0
    workers = ray.cluster(options.data, address, options.device) if address else None
    for record in runner.study(part, images, budget, workers):
        print(_one_line(record), flush=True)
    left = runner.missing(part, train_set)
    print(f"{len(left)} runs left" + (": run the same command again" if left else ""))
    return 0


def _one_line(record: Record) -> str:
    from contrastive_tutorial.metrics import METRICS

    shown = ", ".join(
        f"{metric.short} {record.metrics[name]:.{metric.digits}f}"
        for name, metric in METRICS.items()
        if metric.reported and name in record.metrics
    )
    seconds = record.train_seconds + record.evaluate_seconds
    return (
        f"{record.cell} K={record.num_subsets} seed {record.seed}: {shown} "
        f"({seconds:.0f} s, {record.images_per_second:.0f} images/s)"
    )


def _reproduce(options: argparse.Namespace) -> int:
    from contrastive_tutorial.records import find_record
    from contrastive_tutorial.study import reproduce

    preset = _canonical(_preset(options))
    record = find_record(options.results, preset, options.cell, options.subsets, options.seed)
    found = reproduce(record, _images(options), options.device, not options.quiet)
    print(found)
    return 0 if found.holds else 1


def _embed(options: argparse.Namespace) -> int:
    from contrastive_tutorial.records import load_records
    from contrastive_tutorial.study import embed_records

    for path in embed_records(load_records(options.results), seed=options.seed):
        print(path, flush=True)
    return 0


def _report(options: argparse.Namespace) -> int:
    from contrastive_tutorial.records import load_records, result_table
    from contrastive_tutorial.study import CELLS
    from contrastive_tutorial.verdicts import STUDIES, load_hypotheses, verdict_lines

    wanted = {name: getattr(options, name) for name in ("data", "preset") if getattr(options, name)}
    if "preset" in wanted:
        wanted["preset"] = _canonical(wanted["preset"])
    records = load_records(options.results)
    if not records:
        raise InputError(f"{options.results}: no records match; run a cell first")
    for name, value in wanted.items():
        recorded = sorted({getattr(record, name) for record in records})
        records = [record for record in records if getattr(record, name) == value]
        if not records:
            raise InputError(
                f"{options.results}: no records match {name} {value!r}; recorded are "
                f"{', '.join(recorded)}"
            )
    groups = sorted({(record.data, record.preset) for record in records})
    for data_name, preset in groups:
        chosen = [r for r in records if (r.data, r.preset) == (data_name, preset)]
        print(f"\n{data_name}, preset {preset}: mean ± half width of the 95% interval\n")
        print(result_table(chosen, CELLS, options.markdown))
    for study, title in STUDIES.items():
        rules = load_hypotheses(study).rules
        preset, subsets = rules.preset, f"K = {rules.num_subsets}"
        for data_name in sorted({r.data for r in records if r.preset == preset}):
            print(f"\n{title}, on {data_name}, preset {preset}, {subsets}\n")
            try:
                lines = verdict_lines(records, preset, data_name, study, options.markdown)
                print(*lines, sep="\n")
            except InputError as error:  # the tables above stand all the same
                print(f"nothing is decided: {error}")
    if options.output:
        from contrastive_tutorial.report import write_report

        written = write_report(records, options.output)
        print(f"\n{len(written)} files in {options.output}")
    return 0


def _cells(options: argparse.Namespace) -> int:
    from contrastive_tutorial.study import CELLS
    from contrastive_tutorial.train import PRESETS

    print(f"{'cell':20} {'policy':10} {'negatives':9} {'norm':7} what it is")
    for cell in CELLS.values():
        article = f"  [article: {cell.article}]" if cell.article else ""
        factors = f"{cell.policy:10} {cell.negatives:9} {cell.norm:7}"
        if cell.reference in ("raw-pixels", "pca"):
            factors = f"{'':28}"
        print(f"{cell.name:20} {factors} {cell.summary}{article}")
    print(f"\n{'preset':20} what it is")
    for preset in PRESETS.values():
        print(f"{preset.name:20} {preset.summary}")
    return 0


def _data(options: argparse.Namespace) -> int:
    from contrastive_tutorial import data

    found = data.load_splits(options.data, size=options.size, skip_broken=options.skip_broken)
    for images in found:
        print(
            f"{images.name} {images.split}: {len(images)} images of {options.size} x "
            f"{options.size} pixels, content {images.content_hash[:12]}"
        )
        if not images.labelled:
            print("    no labels: trains, and is scored by what needs none")
            continue
        counts = images.labels.bincount(minlength=len(images.class_names)).tolist()
        pairs = list(zip(images.class_names, counts, strict=True))
        shown = ", ".join(f"{name} {count}" for name, count in pairs[:12])
        more = f", and {len(pairs) - 12} more" if len(pairs) > 12 else ""
        print(f"    {len(pairs)} classes: {shown}{more}")
    return 0


def _audit(options: argparse.Namespace) -> int:
    from contrastive_tutorial.norm import audit_target

    print(audit_target(options.model, options.batch_size))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from contrastive_tutorial.cli import doctor

    found = doctor.examine(options.results, options.dev)
    print(doctor.report(found))
    return int(any(f.topic == "package" and f.state == "missing" for f in found))


_COMMANDS = {
    "run": _run,
    "study": _study,
    "norms": _norms,
    "reproduce": _reproduce,
    "embed": _embed,
    "report": _report,
    "cells": _cells,
    "data": _data,
    "audit": _audit,
    "doctor": _doctor,
}
