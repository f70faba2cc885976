#!/usr/bin/env bash
# The average precision of a collapsed encoder is what its image names make it in trec_eval.
# Versions: pytrec-eval-terrier 0.5.11 (trec_eval inside), numpy 2.4.6, scipy 1.17.1.
# Expected (a first guess): equal scores keep the order they came in, or count as one rank; the
# names of the images do not matter.
# Seen: ties are put in reverse order of the names, as text. With all scores equal, the same two
# relevant images of six score 0.27 when they are called a and b, and 1.00 when they are called f
# and e. Scores are float32 inside, so 0.900000001 and 0.9 are a tie too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  pytrec-eval-terrier==0.5.11 numpy==2.4.6 scipy==1.17.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import pytrec_eval


def average_precision(names, relevant, scores):
    judge = pytrec_eval.RelevanceEvaluator({"query": dict(zip(names, relevant))}, {"map"})
    return judge.evaluate({"query": dict(zip(names, scores))})["query"]["map"]


relevant, collapsed = [1, 1, 0, 0, 0, 0], [0.5] * 6
first, last = (average_precision(names, relevant, collapsed) for names in ("abcdef", "fedcba"))
print(f"all scores equal: {first:.2f} with the relevant images named a, b and {last:.2f} with f, e")
near = average_precision("abc", [1, 0, 0], [0.900000001, 0.9, 0.9])
apart = average_precision("abc", [1, 0, 0], [0.90001, 0.9, 0.9])
print(f"the relevant image ahead by 1e-9: {near:.2f}; by 1e-5: {apart:.2f}")
assert abs(first - 4 / 15) < 1e-9 and last == 1 and abs(near - 1 / 3) < 1e-9 and apart == 1
PYTHON
