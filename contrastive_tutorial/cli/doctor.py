"""What is installed, which device there is, which data is found, and what is missing for what.

:func:`examine` looks and reports; it installs nothing, downloads nothing and never raises. Versions
are read from the metadata of the installed packages, so that a package which fails to import is
reported and not tripped over.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from contrastive_tutorial import __version__
from contrastive_tutorial.errors import InputError

DISTRIBUTION = "contrastive-tutorial"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MARKS = {"ok": "ok", "note": "--", "missing": "!!"}
_GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: "package", "device", "data", "book" or "tests".
        state: "ok", "note" (fine as it is, but good to know) or "missing".
        text: what was found.
        remedy: what to do about it; empty where nothing is to be done.
    """

    topic: str
    state: str
    text: str
    remedy: str = ""


def examine(results: str | Path = "results", dev: bool = False) -> list[Finding]:
    """Look at the machine.

    Args:
        results: the folder of recorded runs that the command line would use.
        dev: also what only builders of the book and its tests need.
    """
    found: list[Finding] = []
    for topic, look in _TOPICS.items():
        if topic in _FOR_DEVELOPERS and not dev:
            continue
        try:
            found += [Finding(topic, *line) for line in look(Path(results))]
        except Exception as error:  # a broken library must not hide the rest of the report
            text = f"could not be examined ({type(error).__name__}: {error})"
            found.append(Finding(topic, "missing", " ".join(text.split())))
    return found


def report(findings: list[Finding]) -> str:
    """The findings as text, one topic after the other."""
    lines = []
    topic = None
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            lines += ["", topic]
        lines.append(f"  {_MARKS[finding.state]}  {finding.text}")
        if finding.remedy:
            lines.append(f"      {finding.remedy}")
    missing = sum(finding.state == "missing" for finding in findings)
    lines += ["", f"{missing} missing" if missing else "nothing is missing"]
    return "\n".join(lines[1:])


Lines = Iterator[tuple[str, ...]]


# -- what is installed -----------------------------------------------------------------------------


def unmet(extra: str = "") -> list[str]:
    """Requirements of the package (or of one of its extras) that are not met, with what is there.

    Raises:
        InputError: if the package itself is not installed, so that nobody knows what it requires.
    """
    try:
        listed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        raise InputError(
            f"{DISTRIBUTION} is not installed: pip install -e . in its folder"
        ) from None
    found = []
    for line in listed:
        text, _, marker = line.partition(";")
        wanted = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        if (wanted.group(1) if wanted else "") != extra:
            continue
        inner = re.match(rf"{DISTRIBUTION}\[([\w,-]+)\]", text.strip())
        if inner:  # an extra that contains other extras
            found += [line for name in inner[1].split(",") for line in unmet(name)]
        elif problem := _problem(text.strip()):
            found.append(problem)
    return found


def _problem(requirement: str) -> str | None:
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    try:
        have = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{requirement} (not installed)"
    try:
        from packaging.requirements import Requirement
    except ImportError:  # it comes with Matplotlib, which is then reported itself
        return None
    if Requirement(requirement).specifier.contains(have, prereleases=True):
        return None
    return f"{requirement} (installed: {have})"


def _requirements(extra: str, purpose: str) -> Lines:
    problems = unmet(extra)
    if not problems:
        yield "ok", f"every package that {purpose} needs is installed"
        return
    target = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
    # An extra that is not installed is a choice; a package without what it requires is broken.
    state = "note" if extra in ("study", "notebook") else "missing"
    yield state, f"{purpose} lacks {', '.join(problems)}", f"pip install '{target}'"


def _package(_results: Path) -> Lines:
    yield "ok", f"contrastive_tutorial {__version__} in {Path(__file__).parents[1]}"
    yield "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in ("torch", "torchvision", "numpy"):
        with suppress(metadata.PackageNotFoundError):  # said below
            yield "ok", f"{name} {metadata.version(name)}"
    yield from _requirements("", "the package")
    yield from _requirements("study", "`metrics`, `records`, `study`, `verdicts`")
    yield from _requirements("notebook", "`report`, `widgets`, notebooks")


# -- the machine -----------------------------------------------------------------------------------


def _device(_results: Path) -> Lines:
    import torch

    from contrastive_tutorial.train import device_name, multiplies_bf16, resolve_device

    device = resolve_device()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "ok", f"runs use {device.type}: {device_name(device)}"
    yield "ok", f"{cores} CPU cores are usable"
    if device.type == "cpu" and multiplies_bf16():
        yield "ok", "this CPU multiplies bfloat16: presets with +precision=bfloat16 train faster"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            name = torch.cuda.get_device_name(index)
            memory = torch.cuda.get_device_properties(index).total_memory / _GIB
            yield "ok", f"cuda:{index}: {name}, {memory:.0f} GiB"
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bfloat16" if native else "float32"
        yield "ok", f"torch was built for CUDA {torch.version.cuda}; training uses {precision}"
    elif "google.colab" in sys.modules or os.environ.get("COLAB_RELEASE_TAG"):
        yield (
            "missing", "this Colab runtime has no GPU",
            "Runtime -> Change runtime type -> T4 GPU, then run the set-up cell again",
        )  # fmt: skip
    elif shutil.which("nvidia-smi") is None:
        yield "note", "no NVIDIA GPU was found: everything runs on the CPU"
    elif torch.version.cuda is None:
        yield (
            "missing", "there is an NVIDIA driver, but this torch was built for the CPU alone",
            "install the CUDA build of torch for your system, as its home page says",
        )  # fmt: skip
    else:
        yield (
            "missing", f"torch for CUDA {torch.version.cuda} finds no usable GPU",
            "run nvidia-smi: the driver may be too old, or the GPU hidden by CUDA_VISIBLE_DEVICES",
        )  # fmt: skip


# -- data ------------------------------------------------------------------------------------------


def _data(results: Path) -> Lines:
    from contrastive_tutorial.data import CIFAR10, cache_folder

    yield "ok", "shapes: drawn on the spot, needs no files"
    cache = cache_folder()
    own = os.environ.get("CONTRASTIVE_TUTORIAL_CIFAR10")
    if own and Path(own).expanduser().exists():
        yield "ok", f"cifar10: {own}, as CONTRASTIVE_TUTORIAL_CIFAR10 says"
    elif own:
        yield (
            "missing", f"cifar10: CONTRASTIVE_TUTORIAL_CIFAR10 names {own}, which is not there",
            "correct or unset it",
        )  # fmt: skip
    elif (cache / CIFAR10.file_name).exists():
        yield "ok", f"cifar10: downloaded into {cache}"
    else:
        yield "note", "cifar10: not here yet; the first use downloads 170 MB"
    yield from _folder("cache of decoded images", cache)
    yield from _folder("results", results)
    records = sum(1 for _ in results.rglob("*.json")) if results.is_dir() else 0
    state = "ok" if records else "note"
    yield state, f"{records} recorded runs in {results}"


def _folder(what: str, folder: Path) -> Lines:
    """Whether files can be written there, and how much space is left."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        yield "missing", f"{what}: {folder} cannot be written", "choose another folder"
        return
    free = shutil.disk_usage(there).free / _GIB
    state = "ok" if free > 1 else "note"
    yield state, f"{what}: {folder} can be written, {free:.1f} GiB are free"


# -- purposes --------------------------------------------------------------------------------------


def _book(_results: Path) -> Lines:
    yield from _requirements("book", "the book")
    if shutil.which("make") is None:
        yield "missing", "make", "the commands that it would run stand in the Makefile"


def _tests(_results: Path) -> Lines:
    yield from _requirements("test", "the test suite")
    if not any(map(shutil.which, BROWSERS)):
        yield (
            "missing", "Chromium: the browser tests are skipped without it",
            "Debian and Ubuntu: apt-get install chromium",
        )  # fmt: skip


_TOPICS: dict[str, Callable[[Path], Lines]] = {
    "package": _package,
    "device": _device,
    "data": _data,
    "book": _book,
    "tests": _tests,
}
_FOR_DEVELOPERS = {"book", "tests"}
