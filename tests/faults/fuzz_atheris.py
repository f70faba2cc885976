"""Bad input found by coverage: a fuzzer changes files in whatever way reaches new code.

    pip install -e '.[fuzz]'
    OMP_NUM_THREADS=1 python tests/faults/fuzz_atheris.py [--seconds 60] [--corpus DIR] [READER ...]

atheris watches which branches of the package, of ``tarfile``, ``zipfile`` and of Pillow a file
takes. It starts from ``fuzz_seeds.py``; what is done with a file, and what counts as a failure,
stands in ``fuzz_readers.py``: anything but ``InputError``, half a minute, or a gigabyte. A file
that fails stays in the corpus folder as ``crash-*``, ``timeout-*`` or ``oom-*``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from make_faults import show

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "helpers"))
READERS = ("image", "archive", "record", "arrays")
#: Where new branches count. Everything else runs at full speed.
WATCHED = ["contrastive_tutorial", "fuzz_readers", "tarfile", "zipfile", "PIL", "json"]
LONGEST = 20_000  # bytes of a file


@dataclass
class Outcome:
    """What became of one reader."""

    reader: str
    seconds: int
    cases: int = 0
    branches: int = 0
    memory_mb: int = 0
    failures: list[str] = field(default_factory=list)


# -- in a process of its own -----------------------------------------------------------------------


def seeds(reader: str) -> list[bytes]:
    """Valid files. The first byte of an archive says what it is called."""
    import fuzz_seeds

    if reader == "image":
        return [content for content in fuzz_seeds.valid_images() if len(content) <= LONGEST]
    if reader == "archive":
        kinds = enumerate(fuzz_seeds.KINDS)
        return [bytes([i]) + fuzz_seeds.valid_archive(kind) for i, kind in kinds]
    if reader == "record":
        return [json.dumps(fuzz_seeds.valid_record(i)).encode() for i in range(2)]
    shapes = [("<f8", (1,)), ("|b1", (0, 3)), ("<U9", (1,))]
    return [fuzz_seeds.valid_arrays(), *(fuzz_seeds.packed_array(*s, bytes(36)) for s in shapes)]


def child(reader: str, corpus: Path, options: list[str]) -> None:
    """Fuzz one reader; ends this process."""
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        import fuzz_readers
        import fuzz_seeds
    from contrastive_tutorial.errors import InputError

    for i, content in enumerate(seeds(reader)):
        (corpus / f"seed-{i:02}").write_bytes(content)
    check, kinds = fuzz_readers.READERS[reader], fuzz_seeds.KINDS

    def one(content: bytes) -> None:
        if not content:
            return
        case = (kinds[content[0] % len(kinds)], content[1:]) if reader == "archive" else content
        try:
            check(case)
        except InputError as error:
            if not fuzz_readers.is_line(error):
                raise RuntimeError("a message that is no short line") from error

    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


# -- all of them -----------------------------------------------------------------------------------


def fuzz(reader: str, seconds: int, corpus: Path, start: int = 1) -> Outcome:
    """Fuzz one reader for a while.

    Args:
        reader: one of ``READERS``.
        seconds: how long, by the clock.
        corpus: folder for what was found; what is in it is where a later run goes on.
        start: seed of the generator.
    """
    corpus.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", "-timeout=30", "-rss_limit_mb=1024", "-print_final_stats=1",
        f"-max_len={LONGEST}", f"-seed={start}", f"-artifact_prefix={corpus.parent / reader}-",
    ]  # fmt: skip
    command = [sys.executable, __file__, "--child", reader, "--corpus", str(corpus), *options]
    # tarfile's and Pillow's remarks on odd files are no failures
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        check=False, env=environment,
    )  # fmt: skip
    outcome = Outcome(reader, seconds)
    found = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stdout))
    outcome.cases = int(found.get("number_of_executed_units", 0))
    outcome.memory_mb = int(found.get("peak_rss_mb", 0))
    outcome.branches = max(map(int, re.findall(r"\bcov: (\d+)", done.stdout)), default=0)
    if done.returncode or not outcome.cases:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        telling = [i for i, line in enumerate(lines) if "Uncaught Python exception" in line]
        start = telling[-1] + 1 if telling else -8
        outcome.failures.append(" | ".join(lines[start : start + 8 if telling else None])[:600])
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="per reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="keep what was found here, and go on from it")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    unknown = set(options.readers) - set(READERS)
    if unknown:
        parser.error(f"READER: expected some of {', '.join(READERS)}, got {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="atheris-") as scratch:
        corpus = options.corpus or Path(scratch)
        found = [
            fuzz(r, options.seconds, corpus / r, options.seed) for r in options.readers or READERS
        ]
    return show(found, options.json)


if __name__ == "__main__":
    if "--child" in sys.argv:
        where = sys.argv.index("--child")
        child(sys.argv[where + 1], Path(sys.argv[where + 3]), sys.argv[where + 4 :])
    else:
        sys.exit(main())
