#!/usr/bin/env bash
# multipletests' two-stage methods return corrected p-values below the raw ones, and they depend
# on alpha.
# Versions: statsmodels 0.15.0, numpy 2.4.6.
# Expected (a first guess): a corrected p-value is at least as large as the raw one, and does not
# depend on the level at which it is read later.
# Seen: fdr_tsbh turns 0.8 into 0.40 at alpha = 0.05 and into 0.27 at alpha = 0.2; fdr_bh leaves
# it at 0.80 for both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  statsmodels==0.15.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
from statsmodels.stats.multitest import multipletests

raw = [0.001, 0.01, 0.02, 0.04, 0.3, 0.8]
last = {(m, a): float(multipletests(raw, alpha=a, method=m)[1][-1])
        for m in ("fdr_bh", "fdr_tsbh") for a in (0.05, 0.2)}
print("corrected p-value of 0.8:", {k: round(v, 3) for k, v in last.items()})
assert last["fdr_bh", 0.05] == last["fdr_bh", 0.2] == 0.8
assert last["fdr_tsbh", 0.2] < last["fdr_tsbh", 0.05] < 0.8
PYTHON
