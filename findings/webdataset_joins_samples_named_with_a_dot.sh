#!/usr/bin/env bash
# webdataset writes the samples run.1 and run.2 and reads back one sample, run.
# Versions: webdataset 1.0.2, numpy 2.4.6.
# Expected (a first guess): keys that the writer took come back from the reader, or the writer
# refuses them.
# Seen: a name ends at its first dot, so two samples that follow one another become one, with the
# fields 1.txt and 2.txt. The count of samples falls, and no field is called txt any longer. Keys
# such as view_0.5 are lost in the same way.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  webdataset==1.0.2 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import sys
from pathlib import Path

import webdataset

path = str(Path(sys.prefix) / "shard.tar")


def back(*keys):
    with webdataset.TarWriter(path) as shard:
        for key in keys:
            shard.write({"__key__": key, "txt": key})
    read = webdataset.WebDataset(path, shardshuffle=False)
    return [{k: v for k, v in sample.items() if k in ("__key__",) or "txt" in k} for sample in read]


dotted, plain = back("run.1", "run.2"), back("run_1", "run_2")
print("with dots:", dotted, " without:", plain)
assert dotted == [{"__key__": "run", "1.txt": b"run.1", "2.txt": b"run.2"}]
assert [sample["__key__"] for sample in plain] == ["run_1", "run_2"]
PYTHON
