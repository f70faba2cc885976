"""What the command line takes: every command, its options, and their help."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from contrastive_tutorial import __version__

PROGRAM = "contrastive-tutorial"

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


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
    training = _training()
    _run(commands, [common, training])
    _study(commands, [common, training])
    _reproduce(commands, [common, training])
    _norms(commands, [common])
    _of_records(commands, [common])
    _looking(commands, [common])
    return parser


def _training() -> argparse.ArgumentParser:
    """Options of every command that trains encoders."""
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
    _skip_broken(training)
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
    return training


def _skip_broken(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out images that cannot be read, and name them (default: refuse the whole)",
    )


def _run(commands: Commands, parents: list[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "run",
        parents=parents,
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


def _study(commands: Commands, parents: list[argparse.ArgumentParser]) -> None:
    many = commands.add_parser(
        "study",
        parents=parents,
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


def _reproduce(commands: Commands, parents: list[argparse.ArgumentParser]) -> None:
    repeat = commands.add_parser(
        "reproduce",
        parents=parents,
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


def _norms(commands: Commands, parents: list[argparse.ArgumentParser]) -> None:
    norms = commands.add_parser(
        "norms",
        parents=parents,
        help="train a classifier with each normalisation, at several batch sizes",
        description="Train and score a small classifier with BN, BatchRenorm and SplitBN, at each "
        "batch size, with exchangeable and with shifted subsets, and write a record per run under "
        "preset 'norm'. Runs that have a record are skipped: the same command continues.",
    )
    norms.add_argument(
        "--data", default="shapes", metavar="NAME|PATH", help="as for study (default: shapes)"
    )
    _skip_broken(norms)
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


def _of_records(commands: Commands, parents: list[argparse.ArgumentParser]) -> None:
    embed = commands.add_parser(
        "embed",
        parents=parents,
        help="compute aligned UMAP embeddings of recorded features",
        description="Compute UMAP embeddings, aligned between runs, of every run whose features "
        "were recorded, and write them beside the records.",
    )
    embed.add_argument("--seed", type=int, default=0, metavar="N", help="of UMAP (default: 0)")

    report = commands.add_parser(
        "report",
        parents=parents,
        help="print the table of recorded results",
        description="Print mean and 95% interval over seeds of every recorded cell.",
    )
    report.add_argument("--data", metavar="NAME", help="only this data set")
    report.add_argument("--preset", metavar="NAME", help="only this preset")
    report.add_argument("--markdown", action="store_true", help="as a Markdown table")
    report.add_argument(
        "--output", metavar="DIR", help="also write every table, verdict and figure into a folder"
    )


def _looking(commands: Commands, parents: list[argparse.ArgumentParser]) -> None:
    commands.add_parser("cells", help="list the registered cells and presets")
    images = commands.add_parser("data", help="load a data set, show its size, and fill the cache")
    images.add_argument("data", metavar="NAME|PATH", help="as for --data")
    images.add_argument(
        "--size", type=int, default=32, metavar="PIXELS", help="side to resize to (default: 32)"
    )
    _skip_broken(images)
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
        parents=parents,
        help="say what is installed, which device there is, and what is missing",
        description="Say what is installed, which device there is, what data is found, and what "
        "is missing. Changes nothing. Exit status 1 if the package itself lacks something.",
    )
    doctor.add_argument(
        "--dev", action="store_true", help="also what only the book's build and the tests need"
    )
