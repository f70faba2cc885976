#!/usr/bin/env bash
# A zarr group hides arrays that were added after its metadata were consolidated.
# Versions: zarr 3.1.6, numpy 2.4.6.
# Expected (a first guess): consolidating is a cache that makes opening quick; an array that is
# added later is seen when the group is opened again, or the cache is renewed.
# Seen: the array is written, and the group, opened again, neither lists it nor says that it is
# there. open_group(..., use_consolidated=False) shows it. Features that are appended to a published
# store stay unseen until someone consolidates again. The user guide warns of it; no message does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  zarr==3.1.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import tempfile

import zarr

with tempfile.TemporaryDirectory() as folder:
    zarr.open_group(folder, mode="w").create_array("first", shape=(2,), dtype="f4")
    zarr.consolidate_metadata(folder)
    zarr.open_group(folder, mode="a").create_array("second", shape=(2,), dtype="f4")
    again = zarr.open_group(folder, mode="r")
    listed, there = sorted(again), "second" in again
    everything = sorted(zarr.open_group(folder, mode="r", use_consolidated=False))
print(f"opened again: {listed}, second there: {there}; without the consolidated part {everything}")
assert listed == ["first"] and not there and everything == ["first", "second"]
PYTHON
