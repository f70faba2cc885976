"""Time and memory of loading images: drawn, decoded for the first time, from the cache.

    python benchmarks/data.py [ARCHIVE]

Without an argument it looks where the tests look: ``CONTRASTIVE_TUTORIAL_CIFAR10``, then
``../shared/data/cifar10-jpeg.tar.xz``. Every row is a fresh process, so that its peak memory is its
own; the interpreter and torch are in it (first row). The peer decodes the same archive with
``tarfile`` and Pillow in a plain loop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PROLOGUE = """
import resource, sys, time
import torch
from contrastive_tutorial import data
archive, cache = sys.argv[1:]
sets = []
start, used = time.perf_counter(), time.process_time()
"""
EPILOGUE = """
wall, used = time.perf_counter() - start, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak /= 2**20 if sys.platform == "darwin" else 2**10
print(wall, used, peak, sum(map(len, sets)), *sorted({images.name for images in sets}))
"""
PEER = """
import io, tarfile
import numpy as np
from PIL import Image
with tarfile.open(archive) as tar:
    sets = [[np.asarray(Image.open(io.BytesIO(tar.extractfile(m).read())).convert("RGB"))
             for m in tar if m.isfile()]]
class Named(list):
    name = "-"
sets = [Named(sets[0])]
"""
LOAD = "sets = [data.load(archive, split, cache=cache) for split in {splits}]"
ROWS = [
    ("imports alone", ""),
    ("shapes, all three splits", "sets = [data.load('shapes', s) for s in data.SPLITS]"),
    ("archive, plain loop (peer)", PEER),
    ("archive, first time", LOAD.format(splits="('train',)")),
    ("archive, train from the cache", LOAD.format(splits="('train',)")),
    ("archive, all three from the cache", LOAD.format(splits="data.SPLITS")),
]


def find_archive() -> str | None:
    """The archive of real images, if there is one."""
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CONTRASTIVE_TUTORIAL_CIFAR10")
    path = Path(named) if named else ROOT.parent / "shared" / "data" / "cifar10-jpeg.tar.xz"
    return str(path) if path.is_file() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    kept = []
    archive = find_archive()
    if archive is None:
        print("no archive of real images: the rows that need one are left out")
    print(f"{os.cpu_count()} processors")
    print(f"{'':36}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}{'images':>10}  name")
    with tempfile.TemporaryDirectory() as cache:
        for title, body in ROWS:
            if archive is None and title.startswith("archive"):
                continue
            found = subprocess.run(
                [sys.executable, "-c", PROLOGUE + body + EPILOGUE, archive or "", cache],
                check=True, capture_output=True, text=True, cwd=ROOT,
            ).stdout.split()  # fmt: skip
            wall, used, peak = map(float, found[:3])
            kept.append({
                "what": title, "seconds": wall, "cpu_seconds": used, "peak_mb": peak,
                "images": int(found[3]), "data": " ".join(found[4:]),
            })  # fmt: skip
            print(
                f"{title:36}{wall:10.2f}{used:10.2f}{peak:10.0f}{found[3]:>10}  "
                f"{' '.join(found[4:])}",
                flush=True,
            )
    if options.json:
        import torch
        from common import origin

        content = {"title": "Loading images", **origin(torch.device("cpu")), "rows": kept}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
