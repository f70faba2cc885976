"""Generated bad input for everything that reads files from others: the cases behind ``FAULTS.md``.

    OMP_NUM_THREADS=1 python tests/faults/fuzz.py [--cases 2500] [READER ...]

A reader may accept a file or raise ``InputError`` with one short line. A traceback, a case that
takes longer than ten seconds of the processor, or a process that grows beyond one gigabyte is a
failure. The generators start from valid files (``fuzz_seeds.py``) and spoil them: bytes flipped,
cut, doubled and spliced; names that lead out, or are no text; bombs; images in modes, sizes and
kinds that nobody expects; records with numbers that are none. What is done with a file stands in
``fuzz_readers.py``; ``fuzz_atheris.py`` looks for more of them by coverage.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import shutil
import signal
import stat
import struct
import sys
import tarfile
import tempfile
import traceback
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import fuzz_readers
import fuzz_seeds
import images
import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from make_faults import show

from contrastive_tutorial.errors import InputError

SECONDS = 10  # of the processor
WAITING = 120  # by the clock, for a reader that waits and does not work
MEMORY = 1 << 30


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


@st.composite
def image_files(draw: st.DrawFn) -> bytes:
    """Ordinary ones spoiled, wide ones, and now and then one at the limits."""
    kind = draw(st.integers(0, 399))
    if kind == 57:
        return fuzz_seeds.heavy_image(draw(st.sampled_from(list(fuzz_seeds.HEAVY_IMAGES))))
    if kind % 20 == 1:
        return draw(st.sampled_from(fuzz_seeds.wide_images()))
    return draw(spoiled(st.sampled_from(fuzz_seeds.valid_images())))


# -- archives --------------------------------------------------------------------------------------

#: These letters become bytes that are no text, after the archive was written.
MARK, NO_TEXT = "NOTEXT", b"\xff\xfe\xc0\xaf\x80\x0a"
NAMES = st.one_of(
    st.sampled_from(
        ["../x.png", "/etc/passwd", "train/../../x.png", "train\\..\\x.png", "C:/x.png", "", ".",
         "train/cat/" + "y" * 4_096 + ".png", "/".join(["a"] * 500), "train/cat/\udcff.png",
         "train/c\x00t/1.png", "train/cat\n/1.png", ".hidden", "con", "train/<b>/1.png", "train",
         "train/cat", "test/cat/1.png", "cat/1.png", "\u202ecat/1.png", f"train/{MARK}/1.png",
         f"train/é{MARK}/1.png", f"{MARK}/{MARK}.png"]
    ),
    st.text(max_size=30),
    st.builds("train/{}/{}.png".format, st.sampled_from(["cat", "dog", "é"]), st.integers(0, 30)),
)  # fmt: skip


@st.composite
def archive(draw: st.DrawFn) -> tuple[str, bytes]:
    """File name and bytes of an archive: good members and bad ones, then spoiled or not."""
    if draw(st.integers(0, 149)) == 57:
        return fuzz_seeds.bomb(draw(st.sampled_from(list(fuzz_seeds.BOMBS))))
    name = draw(st.sampled_from(fuzz_seeds.KINDS))
    content: list[Any] = list(images.split_files(6, 2)) if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 3))):
        content.append(draw(members(name)))
    folder = Path(tempfile.mkdtemp())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile remarks on double names
            made = images.write(folder / name, content).read_bytes()
    except (ValueError, IndexError, OSError):  # names that the writers themselves refuse
        made = b""
    finally:
        shutil.rmtree(folder)
    if name in ("x.zip", "x.tar"):  # a tar then has wrong checksums, which is one more case
        made = made.replace(MARK.encode(), NO_TEXT)
    if not draw(st.booleans()):
        return name, made
    # an archive under the name of another kind is common, too
    other = draw(st.sampled_from(fuzz_seeds.KINDS)) if draw(st.booleans()) else name
    return other, draw(spoiled(st.just(made)))


@st.composite
def members(draw: st.DrawFn, archive_name: str) -> Any:
    """Something for an archive to hold: a file, or a link, device or stranger thing."""
    member = draw(NAMES)
    if draw(st.integers(0, 2)) or not draw(st.booleans()):
        usual = st.sampled_from(fuzz_seeds.valid_images())
        return member, draw(st.one_of(usual, st.binary(max_size=60)))
    if archive_name.endswith(".zip"):
        entry = zipfile.ZipInfo(member or "x")
        mode = draw(st.sampled_from((stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR)))
        entry.external_attr = (mode | 0o777) << 16
        return entry, draw(NAMES).encode("utf-8", "replace")
    info = tarfile.TarInfo(member)
    info.type = draw(st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"6", b"S", b"x", b"L"]))
    info.linkname = draw(NAMES)
    return info


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


@st.composite
def record_files(draw: st.DrawFn) -> bytes:
    content = fuzz_seeds.valid_record()
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


@st.composite
def array_files(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 199))
    if kind == 57:
        return images.lying_zip("a.npy", 100, 64, draw(st.sampled_from((8, 12))))
    if kind % 2:
        return draw(spoiled(st.just(fuzz_seeds.valid_arrays())))
    types = ["|O", "<f8", "|b1", "<U9", "|S0", "<M8[ns]", "|V3", "x", "<f2"]
    shape = draw(st.lists(st.sampled_from([0, 1, 3, 10**6, 10**12, -1]), max_size=3))
    body = fuzz_seeds.packed_array(
        draw(st.sampled_from(types)), tuple(shape), draw(st.binary(max_size=99))
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(draw(st.sampled_from(["a.npy", "../a.npy", "a"])), body)
    return buffer.getvalue()


# -- names, layouts, own tensors, folders ----------------------------------------------------------


@st.composite
def named_zips(draw: st.DrawFn) -> bytes:
    """A zip whose names are in one code or in several, marked as UTF-8 or not, spoiled or not."""
    codes = ("gbk", "cp932", "big5", "cp437", "utf-8", "cp949", "latin-1")
    code = draw(st.sampled_from(codes))
    names = []
    for _ in range(draw(st.integers(1, 4))):
        words = st.sampled_from(
            ["猫", "狗", "犬", "ねこ", "表", "Bär", "train", "é", "고양이", "a/b"]
        )
        name = draw(st.one_of(st.lists(words, min_size=1, max_size=3).map("/".join), st.text()))
        other = draw(st.sampled_from((code, code, code, *codes)))
        raw = draw(st.one_of(st.just(name.encode(other, "ignore")), st.binary(max_size=12)))
        names.append(raw[:60] or b"x")
    made = fuzz_seeds.zip_of_names(names, draw(st.sampled_from((0, 0, 0, 0x800))))
    return draw(spoiled(st.just(made))) if draw(st.integers(0, 3)) == 0 else made


PARTS = st.one_of(
    st.sampled_from(
        ["train", "test", "val", "Train", "seg_train", "training_set", "validation", "images",
         "cat", "dog", "Cat", "\u00e9", "e\u0301", "photos", " ", "con", "train\u200b", "\x07",
         "\udcff"]
    ),
    st.text(min_size=1, max_size=4),
)  # fmt: skip
PATHS = st.lists(PARTS, min_size=0, max_size=3).map(tuple)
FILE_NAMES = st.sampled_from(["1.png", "2.png", "3.jpg", "x"])
LAYOUTS = st.tuples(
    st.lists(
        st.builds(lambda path, file: (*path, file), PATHS, FILE_NAMES), min_size=1, max_size=9
    ),
    st.lists(PATHS.filter(bool), max_size=4),
)


@st.composite
def own_sets(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Images, labels and class names of any type and shape, more often good ones."""
    count = draw(st.integers(0, 4))
    good = (count, draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.sampled_from((1, 3))))
    shape = draw(st.one_of(st.just(good), st.lists(st.integers(0, 4), max_size=5).map(tuple)))
    kind = draw(st.sampled_from(("u1", "u1", "f4", "f8", "i8", "?", "c8", "f2", "U1", "O")))
    pixels: Any = np.zeros(shape, kind)
    if kind[0] == "f":
        pixels += draw(st.sampled_from((0, 0.5, 1, 1.5, -1, np.nan, np.inf)))
    if draw(st.booleans()) and kind not in ("U1", "O") and pixels.ndim == 4:
        pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    elif draw(st.integers(0, 9)) == 0:
        pixels = draw(st.sampled_from([None, "x", [], [[1, 2], [3]], {"a": 1}, 7]))
    many = st.integers(-1, 3)
    labels = draw(
        st.one_of(
            st.none(), st.lists(many, min_size=count, max_size=count), st.lists(many),
            st.sampled_from([[0.5] * count, "x", [None], [2**70] * count, {"a": 1}]),
        )
    )  # fmt: skip
    return pixels, labels, draw(st.one_of(st.none(), st.lists(st.text(max_size=3), max_size=4)))


# -- the run ---------------------------------------------------------------------------------------

FILES: dict[str, st.SearchStrategy[Any]] = {
    "image": image_files(),
    "archive": archive(),
    "record": record_files(),
    "arrays": array_files(),
    "checkpoint": spoiled(st.deferred(lambda: st.just(fuzz_readers.valid_checkpoint()))),
    "cache": spoiled(st.deferred(lambda: st.just(fuzz_readers.valid_cache()))),
    "names": named_zips(),
    "layout": LAYOUTS,
    "own": own_sets(),
    "folder": st.lists(st.tuples(st.integers(0, 30), st.integers(0, 99)), max_size=3),
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


def forget_peak() -> bool:
    """Measure the most bytes from here on; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def fuzz(reader: str, cases: int, start: int = 0) -> Outcome:
    """Try ``cases`` generated files on a reader.

    Args:
        reader: one of ``READERS``.
        cases: how many.
        start: seed of the generator.
    """
    strategy, check = FILES[reader], fuzz_readers.READERS[reader]
    outcome = Outcome(reader)

    def one(case: Any) -> None:
        outcome.cases += 1
        each = forget_peak()  # what it took to make the file does not count
        before_it = peak_memory() if each else 0  # nor what the libraries take
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        try:
            check(case)
            outcome.accepted += 1
        except InputError as error:
            outcome.refused += 1
            if not fuzz_readers.is_line(error):
                outcome.failures.append(f"a message that is no short line: {str(error)[:200]!r}")
        except (Exception, TooLongError) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            shown = repr(case)
            outcome.failures.append(f"{type(error).__name__}: {error} at {where}: {shown[:300]}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        if (grown := peak_memory() - before_it) > MEMORY:
            where = "a case" if each else "the process"
            outcome.failures.append(f"{where} took {grown / MEMORY:.2f} GiB: {case!r:.200}")

    before = [signal.signal(number, _ring) for number in (signal.SIGPROF, signal.SIGALRM)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner = settings(
                max_examples=cases, deadline=None, database=None, phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )(given(strategy)(one))  # fmt: skip
            seed(start)(runner)()
    finally:
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: all")
    parser.add_argument("--cases", type=int, default=2_500, help="per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    found = [fuzz(name, options.cases, options.seed) for name in options.readers or FILES]
    return show(found, options.json)


if __name__ == "__main__":
    sys.exit(main())
