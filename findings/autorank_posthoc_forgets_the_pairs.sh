#!/usr/bin/env bash
# autorank tests three models over paired runs, then compares them as if the runs were not paired.
# Versions: autorank 1.3.0, statsmodels 0.15.0, scipy 1.17.1, pandas 3.0.6, numpy 2.4.6.
# Expected (a first guess): for models that ran on the same 20 sets, each better than the one before
# by 1.0 +- 0.1 on every single set, all are told apart.
# Seen: the repeated-measures ANOVA says p = 0, and the intervals of the comparison after it, each
# some 7 wide, all overlap: no difference is significant. It is Tukey's HSD of three independent
# groups, so the spread between the sets (10 here) is in it. For two models the same library takes
# the paired t-test, and with force_mode="nonparametric" (Friedman, Nemenyi) all three differ.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  autorank==1.3.0 statsmodels==0.15.0 scipy==1.17.1 pandas==3.0.6 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import matplotlib
import numpy as np
import pandas as pd
from autorank import autorank
from scipy.stats import ttest_rel

matplotlib.use("Agg")
rng = np.random.default_rng(0)
sets = rng.normal(50, 10, size=20)
scores = pd.DataFrame({name: sets + step + 0.1 * rng.normal(size=20)
                       for step, name in enumerate("abc")})
three, two = autorank(scores, verbose=False), autorank(scores[["a", "b"]], verbose=False)
ranks = autorank(scores, verbose=False, force_mode="nonparametric")
for result in (three, two, ranks):
    print(f"{len(result.rankdf)} models: {result.omnibus} p = {result.pvalue:.2g}, "
          f"then {result.posthoc}")
print(three.rankdf[["mean", "ci_lower", "ci_upper"]])
pairs = [float(ttest_rel(scores[a], scores[b]).pvalue) for a, b in ("ab", "bc", "ac")]
gaps = np.diff(sorted(ranks.rankdf.meanrank))
print("paired t-tests by scipy:", pairs, "; gaps of ranks", gaps, "critical", round(ranks.cd, 2))
assert max(pairs + [three.pvalue, two.pvalue]) < 1e-10 and three.posthoc == "tukeyhsd"
assert three.rankdf.ci_lower.max() < three.rankdf.ci_upper.min()
assert (gaps > ranks.cd).all()
PYTHON
