"""Generated bad input for everything that reads files from others: the cases behind ``FAULTS.md``.

    OMP_NUM_THREADS=1 python tests/fuzz.py [--cases 2500] [READER ...]

A reader may accept a file or raise ``InputError`` with one short line. A traceback, a case that
takes longer than ten seconds, or a process that grows beyond one gigabyte is a failure. The
generators start from valid files and spoil them: bytes flipped, cut, doubled and spliced; names
that lead out; images in modes, sizes and kinds that nobody expects; records with numbers that are
none.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
import json
import resource
import shutil
import signal
import struct
import sys
import tarfile
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import images
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from contrastive_tutorial import cli, records
from contrastive_tutorial.archives import Limits
from contrastive_tutorial.decoding import decode
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.image_folder import read
from contrastive_tutorial.storage import load_arrays, save_arrays

SECONDS = 10
MEMORY = 1 << 30
LIMITS = Limits()


@dataclass
class Outcome:
    """What became of one reader."""

    reader: str
    cases: int = 0
    accepted: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


# -- spoiling bytes --------------------------------------------------------------------------------


@st.composite
def spoiled(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """A valid file with a few changes, or none."""
    content = bytearray(draw(originals))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        kind = draw(st.sampled_from(("flip", "cut", "drop", "set", "double", "insert", "size")))
        if not content:
            break
        if kind == "flip":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del content[at:]
        elif kind == "drop":
            del content[at : at + draw(st.integers(1, 64))]
        elif kind == "set":
            content[at] = draw(st.sampled_from((0, 1, 127, 128, 255)))
        elif kind == "double":
            content[at:at] = content[at : at + draw(st.integers(1, 600))]
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=40))
        else:  # a length that promises gigabytes, in either byte order
            number = draw(st.sampled_from((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 50_000)))
            content[at : at + 4] = struct.pack(draw(st.sampled_from((">I", "<I"))), number)
    return bytes(content)


# -- images ----------------------------------------------------------------------------------------


@functools.cache
def valid_images() -> list[bytes]:
    """Every kind of image file that somebody may call a picture."""
    rgb = Image.fromarray(images.pixels(1, 40, 36))
    frames = [Image.fromarray(images.pixels(i, 40, 36)) for i in range(3)]
    animated = {"save_all": True, "append_images": frames[1:]}
    deep = Image.fromarray((images.pixels(2, 40, 36)[..., 0].astype(np.uint16) << 8) + 7)
    grey = rgb.convert("L")
    made = [
        images.encoded(rgb, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
    ]
    made += [images.encoded(grey, kind) for kind in ("PNG", "JPEG", "TIFF", "PPM", "BMP")]
    made += [images.encoded(rgb.convert(mode), "PNG") for mode in ("1", "P", "LA", "RGBA")]
    made += [images.encoded(rgb.convert("CMYK"), kind) for kind in ("JPEG", "TIFF")]
    made += [images.encoded(deep, kind) for kind in ("PNG", "TIFF", "PPM")]
    made += [images.encoded(rgb.convert(mode), "TIFF") for mode in ("F", "I", "LAB", "YCbCr")]
    made += [images.encoded(frames[0], kind, **animated) for kind in ("GIF", "PNG", "WEBP", "TIFF")]
    made += [images.encoded(rgb, "JPEG", progressive=True), images.encoded(rgb, "JPEG", quality=1)]
    made += [images.encoded(rgb, "TIFF", compression=name) for name in ("tiff_lzw", "packbits")]
    made += [images.encoded(Image.new("RGB", size), "PNG") for size in ((50_000, 1), (1, 50_000))]
    made += [images.encoded(Image.new("1", (50_000, 1_200)), "PNG"), b"", b"\0" * 100]
    exif = Image.Exif()
    exif[0x0112] = 6
    made.append(images.encoded(rgb, "JPEG", exif=exif.tobytes()))
    return made


def read_image(content: bytes) -> None:
    pixels = decode(Path("fuzz.zip"), ("train", "cat", "1.png"), content, LIMITS)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8


# -- archives --------------------------------------------------------------------------------------

NAMES = st.one_of(
    st.sampled_from(
        ["../x.png", "/etc/passwd", "train/../../x.png", "train\\..\\x.png", "C:/x.png", "", ".",
         "train/cat/" + "y" * 4_096 + ".png", "/".join(["a"] * 500), "train/cat/\udcff.png",
         "train/c\x00t/1.png", "train/cat\n/1.png", ".hidden", "con", "train/<b>/1.png", "train",
         "train/cat", "test/cat/1.png", "cat/1.png", "\u202ecat/1.png"]
    ),
    st.text(max_size=30),
    st.builds("train/{}/{}.png".format, st.sampled_from(["cat", "dog", "é"]), st.integers(0, 30)),
)  # fmt: skip
KINDS = ("x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2", "x.zip")


@st.composite
def archive(draw: st.DrawFn) -> tuple[str, bytes]:
    """File name and bytes of an archive: good members and bad ones, then spoiled or not."""
    name = draw(st.sampled_from(KINDS))
    content: list[Any] = list(images.split_files(6, 2)) if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 3))):
        member = draw(NAMES)
        body = draw(st.one_of(st.sampled_from(valid_images()), st.binary(max_size=60)))
        kind = draw(st.sampled_from(("file", "file", "file", "link", "odd")))
        if name.endswith(".tar") and kind != "file":
            info = tarfile.TarInfo(member)
            info.type = draw(
                st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"6", b"S", b"x", b"L"])
            )
            info.linkname = draw(NAMES)
            content.append(info)
        else:
            content.append((member, body))
    folder = Path(tempfile.mkdtemp())
    path = folder / name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile remarks on double names
            if name.endswith(".zip"):
                method = draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
                images.write_zip(path, [c for c in content if isinstance(c, tuple)], method)
            else:
                images.write_tar(path, content)
        made = path.read_bytes()
    except (ValueError, UnicodeError, OSError):  # names that the writers themselves refuse
        made = b""
    finally:
        shutil.rmtree(folder)
    if not draw(st.booleans()):
        return name, made
    # an archive under the name of another kind is common, too
    return draw(st.sampled_from(KINDS)) if draw(st.booleans()) else name, draw(
        spoiled(st.just(made))
    )


def read_archive(case: tuple[str, bytes]) -> None:
    name, content = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        found = read(path, LIMITS)
        assert found.images.shape == (len(found.classes), 3, 32, 32)
        assert [entry.name for entry in Path(folder).iterdir()] == [name]


# -- records and arrays ----------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**30), 1e308, -1e308, 1e-320, 2**63, True, False]),
)
VALUES = st.recursive(
    st.one_of(
        st.none(), NUMBERS, st.text(max_size=20), st.sampled_from(["\x1b[2J", "a\nb", "<b>"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["branch:0", "\x1b[2J", "a\nb", "<b>"]))
SCORES = st.dictionaries(
    st.sampled_from(["cluster_accuracy", "nmi", "knn200", "x"]),
    st.one_of(st.floats(0, 1), st.floats(allow_nan=False, allow_infinity=False), NUMBERS),
    max_size=3,
)


def valid_record(number: int = 0) -> dict[str, Any]:
    record = records.Record(
        cell="B0", preset="cpu", seed=number, num_subsets=10, data="shapes", data_hash="0",
        evaluation="running", metrics={"cluster_accuracy": 0.25, "nmi": 0.5},
        loss_curve=[(0, 6.9), (10, 5.5)],
    )  # fmt: skip
    return json.loads(record.to_json())


@st.composite
def record_files(draw: st.DrawFn) -> bytes:
    content = valid_record()
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):  # of the right type, and odd
            name = draw(st.sampled_from(["metrics", "extra", "evaluation", "device", "seed"]))
            strategy = {"seed": st.integers(), "evaluation": TEXTS, "device": TEXTS}.get(
                name, SCORES
            )
        else:
            name = draw(st.one_of(st.sampled_from(sorted(content)), st.text(max_size=10)))
            strategy = VALUES
        content[name] = draw(strategy)
    depth = draw(st.sampled_from([0, 0, 0, 0, 50, 900, 2_000, 100_000]))
    text = json.dumps(content, ensure_ascii=draw(st.booleans()))
    if depth:
        text = text.replace("{}", "[" * depth + "]" * depth, 1)
    made = text.encode("utf-8", "surrogatepass")
    return draw(spoiled(st.just(made))) if draw(st.booleans()) else made


#: A second record of the same cell, so that the report takes means.
GOOD = valid_record(1)


def read_record(content: bytes) -> None:
    """The record beside a good one, through everything that ``report`` does with it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bad.json").write_bytes(content)
        (Path(folder) / "good.json").write_text(json.dumps(GOOD))
        printed = cli.table(records.load_records(folder))
        assert printed.replace("\n", "").isprintable(), "control characters on the terminal"


@functools.cache
def valid_arrays() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npz"
        save_arrays(path, {"features": np.ones((20, 8), np.float16), "labels": np.arange(20)})
        return path.read_bytes()


@st.composite
def array_files(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return draw(spoiled(st.just(valid_arrays())))
    kind = draw(st.sampled_from(["|O", "<f8", "|b1", "<U9", "|S0", "<M8[ns]", "|V3", "x", "<f2"]))
    shape = draw(st.lists(st.sampled_from([0, 1, 3, 10**6, 10**12, -1]), max_size=3))
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}".encode()
    body = (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", len(header))
        + header
        + draw(st.binary(max_size=99))
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(draw(st.sampled_from(["a.npy", "../a.npy", "a"])), body)
    return buffer.getvalue()


def read_arrays(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npz"
        path.write_bytes(content)
        assert all(not array.dtype.hasobject for array in load_arrays(path).values())


# -- the run ---------------------------------------------------------------------------------------

READERS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "image": (spoiled(st.deferred(lambda: st.sampled_from(valid_images()))), read_image),
    "archive": (archive(), read_archive),
    "record": (record_files(), read_record),
    "arrays": (array_files(), read_arrays),
}


class TooLongError(BaseException):
    """A case that did not end in time; no reader catches it."""


def _ring(*_: object) -> None:
    raise TooLongError


def peak_memory() -> int:
    """Most bytes that this process has held. Not ``ru_maxrss``: on Linux a child starts with its
    parent's, through ``exec``."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(reader: str, cases: int, start: int = 0) -> Outcome:
    """Try ``cases`` generated files on a reader.

    Args:
        reader: one of ``READERS``.
        cases: how many.
        start: seed of the generator.
    """
    strategy, check = READERS[reader]
    outcome = Outcome(reader)

    def one(case: Any) -> None:
        outcome.cases += 1
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            check(case)
            outcome.accepted += 1
        except InputError as error:
            outcome.refused += 1
            if len(str(error)) > 2_000 or "\n" in str(error):
                outcome.failures.append(f"a message that is no short line: {str(error)[:200]!r}")
        except (Exception, TooLongError) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            shown = repr(case)
            outcome.failures.append(f"{type(error).__name__}: {error} at {where}: {shown[:300]}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    before = signal.signal(signal.SIGPROF, _ring)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner = settings(
                max_examples=cases, deadline=None, database=None, phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )(given(strategy)(one))  # fmt: skip
            seed(start)(runner)()
    finally:
        signal.signal(signal.SIGPROF, before)
    grown = peak_memory()
    if grown > MEMORY:
        outcome.failures.append(f"the process grew to {grown / MEMORY:.2f} GiB")
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: all")
    parser.add_argument("--cases", type=int, default=2_500, help="per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    found = [fuzz(name, options.cases, options.seed) for name in options.readers or READERS]
    if options.json:
        print(json.dumps([dataclasses.asdict(outcome) for outcome in found]))
    else:
        for outcome in found:
            print(
                f"{outcome.reader}: {outcome.cases} cases, {outcome.accepted} accepted, "
                f"{outcome.refused} refused, {len(outcome.failures)} failures"
            )
            print(*(f"  {line}" for line in outcome.failures[:10]), sep="\n")
    return int(any(outcome.failures for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
