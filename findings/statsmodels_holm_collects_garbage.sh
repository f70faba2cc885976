#!/usr/bin/env bash
# Each call of multipletests(method="holm") runs a full garbage collection of the process: the
# more objects the process has, the longer the correction of four p-values takes.
# Versions: statsmodels 0.15.0, numpy 2.4.6.
# Expected (before profiling): of a sign-flip test of twelve differences and Holm's correction of
# four p-values, all the time goes to the 4,096 patterns of signs.
# Seen: with torch and scipy loaded, the correction took 0.1 s a call, all of it in gc.collect,
# and the patterns 0.02 s.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  statsmodels==0.15.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import gc

from statsmodels.stats.multitest import multipletests

full = []
gc.callbacks.append(lambda phase, info: full.append(info["generation"]) if phase == "stop" else 0)
seen = {}
for method in ("bonferroni", "holm"):
    full.clear()
    for _ in range(10):
        multipletests([0.01, 0.02, 0.03, 0.04], method=method)
    seen[method] = full.count(2)
print("full collections in ten calls:", seen)
assert seen == {"bonferroni": 0, "holm": 10}
PYTHON
