#!/usr/bin/env bash
# The spectral angle of a uint8 image and itself is 89 degrees by image-similarity-measures.
# Versions: image-similarity-measures 0.3.6, numpy 1.26.4.
# Expected (a first guess): 0 degrees between equal images, whatever their type, and 0 between an
# image and one of half its brightness.
# Seen: the products of two uint8 pixels wrap at 256 before they are added, so the cosine of a
# pixel with itself is near 0. An equal image, a noisy copy and an unrelated image have nearly the
# same angle. As float the angles are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  image-similarity-measures==0.3.6 numpy==1.26.4
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from image_similarity_measures.quality_metrics import sam

rng = np.random.default_rng(0)
image, other = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
near = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)


def angle(a, b):
    a, b = a.astype(float), b.astype(float)
    lengths = np.linalg.norm(a, axis=2) * np.linalg.norm(b, axis=2)
    return np.degrees(np.arccos(np.clip((a * b).sum(axis=2) / lengths, -1, 1))).mean()


seen = {}
for name, second in (("itself", image), ("a noisy copy", near), ("another", other)):
    values = sam(image, second), sam(image.astype(float), second.astype(float))
    known = angle(image, second)
    print(f"with {name}: uint8 {values[0]:.1f} degrees, float {values[1]:.1f}, formula {known:.1f}")
    assert np.isclose(values[1], known, atol=1e-4)
    seen[name] = values[0]
assert min(seen.values()) > 85
PYTHON
