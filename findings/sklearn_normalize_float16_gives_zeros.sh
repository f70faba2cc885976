#!/usr/bin/env bash
# sklearn.preprocessing.normalize turns float16 rows of ordinary size into zeros.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): unit rows: features stored as float16 are rounded, but the norm of a
# row (here 339) is far from float16's limit of 65,504.
# Seen: the sum of squares (115,200) is taken in float16 and is infinite, so the rows are divided
# by infinity: all zeros, no warning. Normalizer does the same; cosine_similarity, which converts
# first, is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import Normalizer, normalize

rows = np.full((2, 32), 60, dtype=np.float16)
norms = [np.linalg.norm(f(rows).astype(float), axis=1) for f in (normalize, Normalizer().transform)]
right = np.linalg.norm(normalize(rows.astype(np.float32)), axis=1)
print("float16:", norms[0], norms[1], "float32:", right, "cosine:", cosine_similarity(rows)[0])
assert not np.any(norms) and np.allclose(right, 1) and np.allclose(cosine_similarity(rows), 1)
PYTHON
