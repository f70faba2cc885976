"""What the command line takes: every command, its options, and their help."""

from __future__ import annotations

import argparse
from typing import Any

from contrastive_tutorial import __version__

PROGRAM = "contrastive-tutorial"

#: Options that several commands have.
_SHARED: dict[str, dict[str, Any]] = {
    "--results": {
        "default": "results", "metavar": "DIR", "help": "folder of records (default: results)",
    },
    "--data": {
        "default": "shapes", "metavar": "NAME|PATH",
        "help": "'shapes' (generated, the default), 'cifar10' (downloaded), or a folder or "
        ".tar/.zip archive with train/<class>/* and test/<class>/* images",
    },
    "--size": {
        "type": int, "default": 32, "metavar": "PIXELS", "help": "side of the images (default: 32)",
    },
    "--skip-broken": {
        "action": "store_true",
        "help": "leave out images that cannot be read, and name them (default: refuse the whole)",
    },
    "--device": {"metavar": "NAME", "help": "cpu, cuda or cuda:N (default: the best there is)"},
    "--quiet": {"action": "store_true", "help": "no progress bars"},
    "--arrays": {
        "action": argparse.BooleanOptionalAction, "default": None,
        "help": "keep features of 2,000 test images for figures (default: for seed 0)",
    },
    "--seed": {"type": int, "default": 0, "metavar": "N", "help": "default: 0"},
    "--subsets": {
        "type": int, "default": 10, "metavar": "K", "help": "number of subsets (default: 10)",
    },
    "--budget": {
        "metavar": "TIME", "help": "start no run that would not end within e.g. 25m or 1.5h",
    },
    "--dry-run": {"action": "store_true", "help": "list the runs that are missing"},
}  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The parser, with complete help on every command."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Run, record and report the experiments of the contrastive tutorial.",
        epilog=f"Example: {PROGRAM} study --cells B0 S-P1 M-P1 --seeds 0-2 --data shapes",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (what, description, add, shared) in _COMMANDS.items():
        command = commands.add_parser(name, help=what, description=description)
        for flag in shared.split():
            command.add_argument(flag, **_SHARED[flag])
        add(command)
    return parser


def _list(command: argparse.ArgumentParser, flag: str, metavar: str, what: str) -> None:
    """A list; given twice, both count."""
    command.add_argument(flag, nargs="+", action="extend", metavar=metavar, help=what)


def _training(command: argparse.ArgumentParser) -> None:
    """Options of every command that trains encoders, beside the shared ones."""
    command.add_argument(
        "--preset", default="cpu", metavar="NAME",
        help=f"one that '{PROGRAM} cells' lists (default: cpu); NAME+field=value changes a "
        "value, as in resnet-100+batch_size=256",
    )  # fmt: skip
    for flag, kind, what in (
        ("--epochs", float, "passes over the training images, in place of the preset's steps"),
        ("--lr", float, "learning rate, in place of the preset's"),
        ("--batch-size", int, "images a step, in place of the preset's"),
    ):
        command.add_argument(flag, type=kind, metavar="N", help=what)


def _run(command: argparse.ArgumentParser) -> None:
    _training(command)
    command.add_argument("cell", metavar="CELL", help=f"one that '{PROGRAM} cells' lists")
    command.add_argument(
        "--keep-weights", action="store_true",
        help="leave the trained encoder beside the record, as .safetensors",
    )  # fmt: skip
    command.add_argument("--again", action="store_true", help="run even if there is a record")
    command.add_argument(
        "--batch-norm", choices=("sync", "local"), default="sync",
        help="under torchrun, plain BN over all processes or in each alone (default: sync)",
    )  # fmt: skip


def _study(command: argparse.ArgumentParser) -> None:
    _training(command)
    for flag, metavar, what in (
        ("--cells", "CELL", "default: all"),
        ("--seeds", "N", "e.g. 0-5 (default: 0-2)"),
        ("--subsets", "K", "e.g. 1 2 5 10 20 (default: 10)"),
    ):
        _list(command, flag, metavar, what)
    command.add_argument(
        "--shard", default="0/1", metavar="I/N", help="take every N-th run, from the I-th"
    )
    command.add_argument(
        "--missing", action="store_true", help="only what is not recorded yet (always so)"
    )
    command.add_argument(
        "--ray", metavar="ADDRESS", nargs="?", const="local",
        help="one task per run on a Ray cluster (default: this machine; auto: the one there is)",
    )  # fmt: skip


def _reproduce(command: argparse.ArgumentParser) -> None:
    _training(command)
    command.add_argument("cell", metavar="CELL", help="of the record")


def _norms(command: argparse.ArgumentParser) -> None:
    for flag, metavar, what in (
        ("--norms", "KIND", "bn renorm split (default: all)"),
        ("--conditions", "NAME", "exchangeable shifted (default: both)"),
        ("--batch-sizes", "N", "multiples of 4 (default: 4 32 256)"),
        ("--seeds", "N", "e.g. 0-5 (default)"),
    ):
        _list(command, flag, metavar, what)


def _report(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", metavar="NAME", help="only this data set")
    command.add_argument("--preset", metavar="NAME", help="only this preset")
    command.add_argument("--markdown", action="store_true", help="as Markdown")
    command.add_argument(
        "--output", metavar="DIR", help="also write tables, verdicts and every figure into a folder"
    )


def _data(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", metavar="NAME|PATH", help="as for --data")


def _audit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model", metavar="MODULE:FACTORY", help="such as torchvision.models:resnet18, timm:resnet50"
    )
    command.add_argument(
        "--batch-size", type=int, metavar="N", help="rows of a training batch, to be divided"
    )


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dev", action="store_true", help="also what only the book's build and the tests need"
    )


def _nothing_more(command: argparse.ArgumentParser) -> None:
    """The shared options are all."""


_IMAGES = "--results --data --skip-broken --device --quiet"
#: Of each command: its line in the list of commands, its description, what adds the options that
#: are its own, and the shared ones.
_COMMANDS = {
    "run": (
        "train and score one cell with one seed",
        "Train and score one cell with one seed, and write its record. A record that is there is "
        "shown, not run again; a checkpoint that is there is continued.",
        _run, f"{_IMAGES} --size --arrays --seed --subsets",
    ),
    "study": (
        "run every cell x seed x K that has no record yet",
        "Run every cell x seed x K that has no record yet. Any number of these may work on one "
        "results folder at once; each run is done once.",
        _study, f"{_IMAGES} --size --arrays --budget --dry-run",
    ),
    "reproduce": (
        "run a recorded run again and compare",
        "Run a recorded run again in a temporary folder and compare: bit-identical on the same CPU "
        "and versions, within the spread of the recorded seeds elsewhere. Exit status 1 if a "
        "headline metric lies outside.",
        _reproduce, f"{_IMAGES} --size --seed --subsets",
    ),
    "norms": (
        "train a classifier with each normalisation, at several batch sizes",
        "Train and score a small classifier with BN, BatchRenorm and SplitBN, at each batch size, "
        "with exchangeable and with shifted subsets, and write a record per run under preset "
        "'norm'. Runs that have a record are skipped: the same command continues.",
        _norms, f"{_IMAGES} --budget --dry-run",
    ),
    "embed": (
        "compute aligned UMAP embeddings of recorded features",
        "Compute UMAP embeddings, aligned between runs, of every run whose features were recorded, "
        "and write them beside the records.",
        _nothing_more, "--results --seed",
    ),
    "report": (
        "print recorded results and verdicts",
        "Print mean and 95% interval over seeds of every recorded cell, and the verdicts of the "
        "registered studies.",
        _report, "--results",
    ),
    "cells": ("list the registered cells and presets", None, _nothing_more, ""),
    "data": (
        "load a data set, show its size, and fill the cache", None, _data, "--size --skip-broken",
    ),
    "audit": (
        "say which statistics every norm layer of a model uses",
        "Build a PyTorch model and say which norm layers it has, which statistics each uses in "
        "training and in evaluation, and what common tools do to it.",
        _audit, "",
    ),
    "doctor": (
        "say what is installed, which device there is, and what is missing",
        "Say what is installed, which device there is, what data is found, and what is missing. "
        "Changes nothing. Exit status 1 if the package itself lacks something.",
        _doctor, "--results",
    ),
}  # fmt: skip
