#!/usr/bin/env bash
# imbalanced-learn's SMOTE of uint8 images makes pixels that are between none of its images.
# Versions: imbalanced-learn 0.14.2, scikit-learn 1.9.1, numpy 2.4.6.
# Expected (a first guess): a new row lies between two rows of the class, as for floats, rounded to
# bytes: pixels from 100 to 139 give pixels from 100 to 139.
# Seen: they reach from 0 to 255, and four in ten are outside. The difference of two uint8 rows is
# taken in uint8, where 120 - 130 is 246. ADASYN and BorderlineSMOTE do so too. The result is uint8
# like the images, and nothing warns. Give it floats.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE

rng = np.random.default_rng(0)
images = np.concatenate([rng.integers(100, 140, (200, 64)), rng.integers(100, 140, (50, 64))])
labels = np.repeat([0, 1], [200, 50])


def outside(sampler, dtype):
    rows, _ = sampler.fit_resample(images.astype(dtype), labels)
    new = rows[len(images):].astype(float)
    # No step between two images of the class leaves the range of the class.
    low, high = images[labels == 1].min(0), images[labels == 1].max(0)
    share = ((new < low) | (new > high)).mean()
    print(f"{type(sampler).__name__} of {dtype}: {len(new)} new rows of {rows.dtype}, "
          f"pixels {new.min():.0f} to {new.max():.0f}, {share:.2f} outside")
    return share


for kind in (SMOTE, BorderlineSMOTE, ADASYN):
    assert outside(kind(random_state=0), "float64") == 0
    assert outside(kind(random_state=0), "uint8") > 0.3
PYTHON
