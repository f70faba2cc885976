#!/usr/bin/env bash
# gensim's most_similar gives a cosine of 7 for a vector that was replaced.
# Versions: gensim 4.4.0, scipy 1.17.1, numpy 2.4.6.
# Expected (a first guess): keys["view"] = vector replaces the old vector, and the next search is
# one for the new one.
# Seen: lengths are computed at the first search and kept. The new vector, of length 7, is divided
# by the length of the old one: 7.0 for a cosine, above the row that is equal. similarity() of the
# same two keys is right. A table of embeddings that is refreshed between epochs ranks by old
# lengths. fill_norms(force=True) after a change helps.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  gensim==4.4.0 scipy==1.17.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from gensim.models import KeyedVectors

keys = KeyedVectors(2)
keys.add_vectors(["query", "equal", "view"], np.float32([[1, 0], [1, 0], [0, 1]]))
before = keys.most_similar("query")
keys["view"] = np.float32([7, 0])
after, pair = keys.most_similar("query"), keys.similarity("query", "view")
keys.add_vectors(["view"], np.float32([[0.5, 0]]), replace=True)
added = keys.most_similar("query")
keys.fill_norms(force=True)
mended = keys.most_similar("query")
print("before:", before, "after view was replaced:", after, "similarity:", pair)
print("replaced by add_vectors:", added, "after fill_norms(force=True):", mended)
assert before[0] == ("equal", 1) and after == [("view", 7), ("equal", 1)] and pair == 1
assert added == [("equal", 1), ("view", 0.5)] and dict(mended)["view"] == 1
PYTHON
