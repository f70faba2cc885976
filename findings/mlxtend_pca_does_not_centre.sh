#!/usr/bin/env bash
# The components of mlxtend's PCA do not have the mean 0: transform does not take the mean away.
# Versions: mlxtend 0.25.0, scikit-learn 1.9.1, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): centred components, as from scikit-learn's PCA, but for the signs.
# Seen: fit finds the directions of the centred rows, transform multiplies the rows as they are.
# So the components of rows around 10 lie far from 0, whitened ones too, and by cosine all rows
# look alike. The differences between rows are right. Centre the rows before, with the mean of the
# training rows.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  mlxtend==0.25.0 scikit-learn==1.9.1 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from mlxtend.feature_extraction import PrincipalComponentAnalysis
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

rng = np.random.default_rng(0)
rows = rng.normal(size=(200, 5)) * [3, 2, 1, 1, 1] + 10
pairs = np.triu_indices(200, 1)
for whiten in (False, True):
    seen = PrincipalComponentAnalysis(n_components=2, whitening=whiten).fit(rows).transform(rows)
    known = PCA(2, whiten=whiten).fit_transform(rows)
    cosines = [cosine_similarity(x)[pairs].mean() for x in (seen, known)]
    print(f"whitening {whiten}: means {seen.mean(axis=0).round(1)}, scikit-learn's "
          f"{np.abs(known.mean(axis=0)).round(1)}; mean cosine {cosines[0]:.2f}, {cosines[1]:.2f}")
    assert np.allclose(np.abs(seen - seen.mean(axis=0)), np.abs(known))
    assert np.abs(seen.mean(axis=0)).max() > 3 and cosines[0] > 0.5 and abs(cosines[1]) < 0.05
PYTHON
