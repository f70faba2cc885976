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
from typing import Any

from contrastive_tutorial import __version__
from contrastive_tutorial.errors import InputError, MissingExtraError, is_out_of_memory

PROGRAM = "contrastive-tutorial"


def parse_numbers(text: str) -> list[int]:
    """``"0-2,5"`` to ``[0, 1, 2, 5]``.

    Raises:
        InputError: if it is not a list of whole numbers and ranges.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(f"expected numbers such as 0, 0-5 or 0,2,4, got {text!r}")
        start, stop = int(first), int(last or first)
        if stop < start or stop - start > 10_000:
            raise InputError(f"expected a rising range of at most 10,000 numbers, got {part!r}")
        numbers.extend(range(start, stop + 1))
    return list(dict.fromkeys(numbers))


def _numbers(values: Sequence[str]) -> list[int]:
    return list(dict.fromkeys(number for value in values for number in parse_numbers(value)))


def _words(values: Sequence[str] | None) -> list[str]:
    """``["B0,S-P1", "M-P1"]`` to three names: a list takes commas, spaces, or both."""
    split = [word.strip() for value in values or [] for word in value.split(",")]
    return list(dict.fromkeys(filter(None, split)))


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise InputError(f"--shard: expected I/N with I from 0 to N-1, e.g. 0/2, got {text!r}")
    return int(index), int(count)


def build_parser() -> argparse.ArgumentParser:
    """The parser, with complete help on every command."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Run, record and report the experiments of the contrastive tutorial.",
        epilog=f"Example: {PROGRAM} study --cells B0 S-P1 M-P1 --seeds 0-2 --data shapes",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--results", default="results", metavar="DIR", help="folder of records (default: results)"
    )
    training = argparse.ArgumentParser(add_help=False)
    training.add_argument(
        "--data",
        default="shapes",
        metavar="NAME|PATH",
        help="'shapes' (generated, the default), 'cifar10' (downloaded), or a folder or "
        ".tar/.zip archive with train/<class>/* and test/<class>/* images",
    )
    training.add_argument(
        "--preset",
        default="cpu",
        metavar="NAME",
        help=f"one that '{PROGRAM} cells' lists (default: cpu); NAME+field=value changes a "
        "value, as in resnet-100+batch_size=256",
    )
    training.add_argument(
        "--size", type=int, default=32, metavar="PIXELS", help="side of the images (default: 32)"
    )
    for flag, kind, what in (
        ("--epochs", float, "passes over the training images, in place of the preset's steps"),
        ("--lr", float, "learning rate, in place of the preset's"),
        ("--batch-size", int, "images a step, in place of the preset's"),
    ):
        training.add_argument(flag, type=kind, metavar="N", help=what)
    training.add_argument(
        "--device", metavar="NAME", help="cpu, cuda or cuda:N (default: the best there is)"
    )
    training.add_argument(
        "--arrays",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep features of 2,000 test images for figures (default: for seed 0)",
    )
    training.add_argument("--quiet", action="store_true", help="no progress bars")

    one = commands.add_parser(
        "run",
        parents=[common, training],
        help="train and score one cell with one seed",
        description="Train and score one cell with one seed, and write its record. A record that "
        "is there is shown, not run again; a checkpoint that is there is continued.",
    )
    one.add_argument("cell", metavar="CELL", help=f"one that '{PROGRAM} cells' lists")
    one.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    one.add_argument(
        "--subsets", type=int, default=10, metavar="K", help="number of subsets (default: 10)"
    )
    one.add_argument(
        "--keep-weights",
        action="store_true",
        help="leave the trained encoder beside the record, as .safetensors",
    )
    one.add_argument("--again", action="store_true", help="run even if there is a record")
    one.add_argument(
        "--batch-norm",
        choices=("sync", "local"),
        default="sync",
        help="under torchrun, plain BN over all processes or in each alone (default: sync)",
    )

    many = commands.add_parser(
        "study",
        parents=[common, training],
        help="run every cell x seed x K that has no record yet",
        description="Run every cell x seed x K that has no record yet. Any number of these may "
        "work on one results folder at once; each run is done once.",
    )
    many.add_argument("--cells", nargs="+", metavar="CELL", help="default: all")
    many.add_argument(
        "--seeds", nargs="+", default=["0-2"], metavar="N", help="e.g. 0-5 (default: 0-2)"
    )
    many.add_argument(
        "--subsets", nargs="+", default=["10"], metavar="K", help="e.g. 1 2 5 10 20 (default: 10)"
    )
    many.add_argument(
        "--missing",
        action="store_true",
        help="run only what is not recorded yet (always so; accepted for clarity)",
    )
    many.add_argument(
        "--budget", metavar="TIME", help="start no run that would not end within e.g. 25m or 1.5h"
    )
    many.add_argument(
        "--shard", default="0/1", metavar="I/N", help="take every N-th run, from the I-th"
    )
    many.add_argument(
        "--ray",
        metavar="ADDRESS",
        nargs="?",
        const="local",
        help="one task per run on a Ray cluster (default: this machine; auto: the one there is)",
    )
    many.add_argument("--dry-run", action="store_true", help="list the runs that are missing")

    repeat = commands.add_parser(
        "reproduce",
        parents=[common, training],
        help="run a recorded run again and compare",
        description="Run a recorded run again in a temporary folder and compare: bit-identical on "
        "the same CPU and versions, within the spread of the recorded seeds elsewhere. Exit status "
        "1 if a headline metric lies outside.",
    )
    repeat.add_argument("cell", metavar="CELL", help="of the record")
    repeat.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    repeat.add_argument(
        "--subsets", type=int, default=10, metavar="K", help="number of subsets (default: 10)"
    )

    norms = commands.add_parser(
        "norms",
        parents=[common],
        help="train a classifier with each normalisation, at several batch sizes",
        description="Train and score a small classifier with BN, BatchRenorm and SplitBN, at each "
        "batch size, with exchangeable and with shifted subsets, and write a record per run under "
        "preset 'norm'. Runs that have a record are skipped: the same command continues.",
    )
    norms.add_argument(
        "--data", default="shapes", metavar="NAME|PATH", help="as for study (default: shapes)"
    )
    norms.add_argument("--norms", nargs="+", metavar="KIND", help="bn renorm split (default: all)")
    norms.add_argument(
        "--conditions", nargs="+", metavar="NAME", help="exchangeable shifted (default: both)"
    )
    norms.add_argument(
        "--batch-sizes", nargs="+", metavar="N", help="multiples of 4 (default: 4 32 256)"
    )
    norms.add_argument(
        "--seeds", nargs="+", default=["0-5"], metavar="N", help="e.g. 0-5 (default)"
    )
    norms.add_argument("--budget", metavar="TIME", help="as for study, e.g. 25m")
    norms.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:N (default: the best)")
    norms.add_argument("--quiet", action="store_true", help="no progress bars")
    norms.add_argument("--dry-run", action="store_true", help="list the runs that are missing")

    embed = commands.add_parser(
        "embed",
        parents=[common],
        help="compute aligned UMAP embeddings of recorded features",
        description="Compute UMAP embeddings, aligned between runs, of every run whose features "
        "were recorded, and write them beside the records.",
    )
    embed.add_argument("--seed", type=int, default=0, metavar="N", help="of UMAP (default: 0)")

    report = commands.add_parser(
        "report",
        parents=[common],
        help="print the table of recorded results",
        description="Print mean and 95% interval over seeds of every recorded cell.",
    )
    report.add_argument("--data", metavar="NAME", help="only this data set")
    report.add_argument("--preset", metavar="NAME", help="only this preset")
    report.add_argument("--markdown", action="store_true", help="as a Markdown table")
    report.add_argument(
        "--output", metavar="DIR", help="also write every table, verdict and figure into a folder"
    )

    commands.add_parser("cells", help="list the registered cells and presets")
    images = commands.add_parser("data", help="load a data set, show its size, and fill the cache")
    images.add_argument("data", metavar="NAME|PATH", help="as for --data")
    images.add_argument(
        "--size", type=int, default=32, metavar="PIXELS", help="side to resize to (default: 32)"
    )
    looked_at = commands.add_parser(
        "audit",
        help="say which statistics every norm layer of a model uses",
        description="Build a PyTorch model and say which norm layers it has, which statistics each "
        "uses in training and in evaluation, and what common tools do to it.",
    )
    looked_at.add_argument(
        "model", metavar="MODULE:FACTORY", help="such as torchvision.models:resnet18, timm:resnet50"
    )
    looked_at.add_argument(
        "--batch-size", type=int, metavar="N", help="rows of a training batch, to be divided"
    )
    doctor = commands.add_parser(
        "doctor",
        parents=[common],
        help="say what is installed, which device there is, and what is missing",
        description="Say what is installed, which device there is, what data is found, and what "
        "is missing. Changes nothing. Exit status 1 if the package itself lacks something.",
    )
    doctor.add_argument(
        "--dev", action="store_true", help="also what only the book's build and the tests need"
    )
    return parser


def _note(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line, without the place in the source where it was issued."""
    print(f"{PROGRAM}: note: {' '.join(str(message).split())}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot write a name still gets a line
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            status = int(_COMMANDS[options.command](options) or 0)
        sys.stdout.flush()  # what cannot be written must fail here, not while Python shuts down
        return status
    except (InputError, MissingExtraError) as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(
            f"{PROGRAM}: out of memory; use a smaller preset or fewer images. The last checkpoint "
            "is kept",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print(f"\n{PROGRAM}: interrupted; the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:  # e.g. `report | head`
        _drop_output()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        _drop_output()
        print(f"{PROGRAM}: the output cannot be written ({error.strerror})", file=sys.stderr)
        return 2


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
        if not options.epochs > 0:
            raise InputError(f"--epochs: expected a positive number, got {options.epochs:g}")
        batch = values.get("batch_size") or preset(options.preset).batch_size
        images = len(data.load(options.data, "train"))
        values["steps"] = max(1, round(options.epochs * images / batch))
    if not values:
        return str(options.preset)
    if "+" in options.preset:
        raise InputError(
            f"--preset {options.preset}: name all changes there, or use a plain preset with "
            "--epochs, --lr and --batch-size"
        )
    return changed(options.preset, **values).name


def _images(options: argparse.Namespace) -> Any:
    """What --data names, as large as --size says: a name or path, or the sets themselves."""
    from contrastive_tutorial import data

    size = getattr(options, "size", 32)
    return options.data if size == 32 else data.load_splits(options.data, size=size)


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
        _words(options.cells) or list(CELLS), _numbers(options.seeds), _numbers(options.subsets),
        preset=_preset(options), results=options.results, device=options.device,
        arrays=options.arrays, progress=not options.quiet,
    )  # fmt: skip
    return _carry_out(planned, options, shard, options.ray)


def _norms(options: argparse.Namespace) -> int:
    from contrastive_tutorial.study import norms

    sizes = _numbers(options.batch_sizes) if options.batch_sizes else norms.BATCH_SIZES
    planned = norms.plan(
        _words(options.norms) or norms.NORMS, _words(options.conditions) or norms.CONDITIONS, sizes,
        _numbers(options.seeds), results=options.results, device=options.device,
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
        raise InputError("--size: workers on Ray load the images themselves, 32 pixels wide")
    named = images is options.data
    train_set = data.load(images, "train") if named else images[0]
    missing = runner.missing(planned, train_set)
    print(f"{len(planned)} runs, {len(missing)} of them not recorded yet", flush=True)
    if options.dry_run:
        for request in missing:
            print(request)
        return 0
    workers = ray.cluster(options.data, address, options.device) if address else None
    # Shares of the whole plan, not of what is missing now: hosts that start late agree on them.
    part = planned[shard[0] :: shard[1]]
    for record in runner.study(part, images, budget, workers):
        print(_one_line(record), flush=True)
    left = runner.missing(planned, train_set)
    print(f"{len(left)} runs left" + (": run the same command again" if left else ""))
    return 0


def _one_line(record: object) -> str:
    from contrastive_tutorial.metrics import METRICS
    from contrastive_tutorial.records import Record

    assert isinstance(record, Record)
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

    record = find_record(
        options.results, options.preset, options.cell, options.subsets, options.seed
    )
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

    wanted = {name: getattr(options, name) for name in ("data", "preset") if getattr(options, name)}
    records = load_records(options.results, **wanted)
    if not records:
        raise InputError(f"{options.results}: no records match; run a cell first")
    groups = sorted({(record.data, record.preset) for record in records})
    for data_name, preset in groups:
        chosen = [r for r in records if (r.data, r.preset) == (data_name, preset)]
        print(f"\n{data_name}, preset {preset}: mean ± half width of the 95% t interval\n")
        print(result_table(chosen, CELLS, options.markdown))
    if options.output:
        from contrastive_tutorial.report import write_report

        written = write_report(records, options.output)
        print(f"\n{len(written)} files in {options.output}")
    return 0


def _cells(options: argparse.Namespace) -> int:
    from contrastive_tutorial.study import CELLS
    from contrastive_tutorial.train import PRESETS

    print(f"{'cell':18} {'policy':10} {'negatives':9} {'norm':7} what it is")
    for cell in CELLS.values():
        article = f"  [article: {cell.article}]" if cell.article else ""
        factors = f"{cell.policy:10} {cell.negatives:9} {cell.norm:7}"
        if cell.reference in ("raw-pixels", "pca"):
            factors = f"{'':28}"
        print(f"{cell.name:18} {factors} {cell.summary}{article}")
    print(f"\n{'preset':18} what it is")
    for preset in PRESETS.values():
        print(f"{preset.name:18} {preset.summary}")
    return 0


def _data(options: argparse.Namespace) -> int:
    from contrastive_tutorial import data

    for images in data.load_splits(options.data, size=options.size):
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
