#!/usr/bin/env bash
# TensorBoard's EventAccumulator returns 10,000 of 20,000 logged values and drops the others.
# Versions: tensorboard 2.21.0, tensorboardX 2.6.5, numpy 2.4.6.
# Expected (a first guess): Scalars("loss") has every step that was written.
# Seen: a random half. The default keeps 10,000 values of a name, drawn as they are read, and says
# nothing: the mean of a curve, its maximum and its first step are those of a sample. With
# size_guidance={"scalars": 0} all values are there.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  tensorboard==2.21.0 tensorboardX==2.6.5 numpy==2.4.6 setuptools==80.9.0
"$work/env/bin/python" -W ignore - <<'PYTHON'
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

folder = str(Path(sys.prefix) / "log")
with SummaryWriter(folder) as log:
    for step in range(20_000):
        log.add_scalar("loss", float(step), step)


def steps(**options):
    reader = EventAccumulator(folder, **options)
    reader.Reload()
    return [event.step for event in reader.Scalars("loss")]


usual, whole = steps(), steps(size_guidance={"scalars": 0})
print(f"{len(usual):,} of {len(whole):,} values; the first steps are {usual[:5]}")
assert len(usual) == 10_000 and len(whole) == 20_000 and usual[-1] == whole[-1]
assert usual != whole[::2] and usual != whole[10_000:]
PYTHON
