#!/usr/bin/env bash
# An Augmentor operation of probability 0.5 is applied to 55 % of the images.
# Versions: Augmentor 0.2.12, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): flip_left_right(probability=0.5) flips half of the images, and one with
# probability=0.1 one in ten.
# Seen: it flips 55 % and 15 %, and with 0.04 it is 5 %. The number that is drawn is rounded to one
# decimal before it is compared, so 0.05 is added to each probability of one decimal, and all from
# 0.9 to 0.99 come out as 95 %. sample() of a pipeline of files and the generator for Keras draw in
# that way too. torch_transform() does not round: the same pipeline flips half of the images there.
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
from PIL import Image

image = np.zeros((4, 4, 3), np.uint8)
image[:, :2] = 255


def flipped(probability):
    pipeline = Augmentor.DataPipeline([[image]])
    pipeline.set_seed(0)
    pipeline.flip_left_right(probability=probability)
    sampled = [views[0][0, 0, 0] == 0 for views in pipeline.sample(20000)]
    transform = pipeline.torch_transform()
    single = [np.asarray(transform(Image.fromarray(image)))[0, 0, 0] == 0 for _ in range(20000)]
    print(f"probability {probability}: {np.mean(sampled):.3f} of the images by sample(), "
          f"{np.mean(single):.3f} by torch_transform()")
    return np.mean(sampled), np.mean(single)


for asked, seen in ((0.04, 0.05), (0.1, 0.15), (0.5, 0.55), (0.9, 0.95), (0.99, 0.95)):
    sampled, single = flipped(asked)
    assert abs(sampled - seen) < 0.012 and abs(single - asked) < 0.012
PYTHON
