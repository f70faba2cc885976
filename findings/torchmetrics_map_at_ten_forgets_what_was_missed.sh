#!/usr/bin/env bash
# RetrievalMAP(top_k=10) of torchmetrics is 1 for a search that finds one of five relevant rows.
# Versions: torchmetrics 1.9.0, torch 2.14.1, pytrec-eval-terrier 0.5.11 (trec_eval inside).
# Expected (a first guess): 0.2, as map_cut_10 of trec_eval: one hit in the first place, of five
# that are there.
# Seen: 1.0. The precisions are averaged over the relevant rows among the first ten, not over all,
# so what was missed costs nothing. To find a second relevant row, in the tenth place, lowers the
# score to 0.6; in trec_eval it raises it to 0.24. Without top_k the two agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  torchmetrics==1.9.0 torch==2.14.1 pytrec-eval-terrier==0.5.11 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import pytrec_eval
import torch
from torchmetrics.retrieval import RetrievalMAP


def both(places, rows=20):
    relevant = torch.zeros(rows, dtype=torch.long)
    relevant[torch.tensor(places) - 1] = 1
    scores, one = torch.linspace(1, 0, rows), torch.zeros(rows, dtype=torch.long)
    names = [f"row{n:02d}" for n in range(rows)]
    judge = pytrec_eval.RelevanceEvaluator(
        {"query": dict(zip(names, relevant.tolist()))}, {"map", "map_cut.10"})
    trec = judge.evaluate({"query": dict(zip(names, scores.tolist()))})["query"]
    ours = [RetrievalMAP(top_k=k)(scores, relevant, indexes=one).item() for k in (10, None)]
    values = [round(value, 4) for value in (*ours, trec["map_cut_10"], trec["map"])]
    print("relevant rows in the places", places, ": torchmetrics {} at 10 and {} in all, "
          "trec_eval {} and {}".format(*values))
    return values


once, twice = both([1, 15, 16, 17, 18]), both([1, 10, 16, 17, 18])
assert once[0] == 1 and once[2] == 0.2 and once[1] == once[3]
assert twice[0] == 0.6 and twice[2] == 0.24 and twice[1] == twice[3]
PYTHON
