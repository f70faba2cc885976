#!/usr/bin/env bash
# A crop to half of the area by Augmentor keeps a quarter of it.
# Versions: Augmentor 0.2.12, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): crop_random(percentage_area=0.5) keeps 5000 of 10,000 pixels, as the
# name of the argument says, and its description too.
# Seen: it keeps 2500. Width and height are both multiplied by the number, so the area by its
# square. So do crop_centre and zoom_random. With 0.2, a usual least area of a random crop, 4 % of
# the image are left.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  augmentor==0.2.12 pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import Augmentor
import numpy as np

rows, columns = np.mgrid[:100, :100]
image = np.stack([rows, columns, columns], 2).astype(np.uint8)


def kept(operation, area):
    pipeline = Augmentor.DataPipeline([[image]])
    pipeline.set_seed(0)
    getattr(pipeline, operation)(probability=1, percentage_area=area)
    view = pipeline.sample(1)[0][0]
    # The values tell which rows and columns of the image are seen.
    seen = (int(np.ptp(view[..., 0])) + 1) * (int(np.ptp(view[..., 1])) + 1) / 10000
    print(f"{operation}({area}): {view.shape[0]} x {view.shape[1]}, {seen:.2f} of the area is seen")
    return seen


for area in (0.5, 0.2):
    for operation in ("crop_random", "crop_centre", "zoom_random"):
        assert abs(kept(operation, area) - area ** 2) < 0.02
PYTHON
