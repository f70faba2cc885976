#!/usr/bin/env bash
# mlxtend's LinearDiscriminantAnalysis weighs the last class by 0, so its directions depend on the
# classes' names.
# Versions: mlxtend 0.25.0, scikit-learn 1.9.1, scipy 1.17.1, pandas 3.1.1, numpy 2.4.6.
# Expected (a first guess): the direction that separates the classes best comes first, as in
# scikit-learn's with solver "eigen".
# Seen: the mean of each class is weighed by the number of rows of the next class, and that of the
# last class by 0. Here the third class stands apart in the second column. Named 2 it is left out,
# and the first direction is another column; named 0 it counts. Such a first direction can be the
# second best.
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
from mlxtend.feature_extraction import LinearDiscriminantAnalysis as Mlxtend
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

rng = np.random.default_rng(0)
means = np.array([[-2, 0, 0], [2, 0, 0], [0, 4.5, 0]])
classes = np.repeat([0, 1, 2], 100)
rows = rng.normal(size=(300, 3)) + means[classes]


def separation(direction):
    line = rows @ direction
    groups = [line[classes == c] for c in range(3)]
    between = sum(len(g) * (g.mean() - line.mean()) ** 2 for g in groups)
    return between / sum(((g - g.mean()) ** 2).sum() for g in groups)


seen = []
for names in (classes, (classes + 1) % 3):
    ours = np.real(Mlxtend(n_discriminants=1).fit(rows, names).w_[:, 0])
    known = LinearDiscriminantAnalysis(solver="eigen").fit(rows, names).scalings_[:, 0]
    ours, known = (v / np.abs(v).max() for v in (ours, known))
    print(f"third class named {names[-1]}: mlxtend {ours.round(2)}, between / within "
          f"{separation(ours):.2f}; scikit-learn {known.round(2)}, {separation(known):.2f}")
    share = separation(ours) / separation(known)
    seen.append((np.abs(ours).argmax(), np.abs(known).argmax(), share))
assert seen[0][:2] == (0, 1) and seen[0][2] < 0.95 and seen[1][:2] == (1, 1)
PYTHON
