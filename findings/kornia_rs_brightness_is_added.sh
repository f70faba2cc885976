#!/usr/bin/env bash
# The ColorJitter of kornia-rs adds its brightness: with 0.4 a black image becomes grey, up to 101.
# Versions: kornia-rs 0.2.0, Pillow 13.0.0, numpy 2.4.6.
# Expected (a first guess): ColorJitter(brightness=0.4) multiplies by a number from 0.6 to 1.4, as
# that of torchvision, and as ColorJitter(contrast=0.4) and ColorJitter(saturation=0.4) do here.
# Seen: it draws a number from -0.4 to 0.4 and adds that share of 255 to each pixel. Of bytes drawn
# evenly one in five ends at 0 or 255; multiplied it is one in eleven, all at 255, and black stays
# black. A strength tuned with torchvision is another augmentation here.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  kornia-rs==0.2.0 pillow==13.0.0 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from kornia_rs import augmentations
from kornia_rs.image import Image
from PIL import Image as Pillow
from PIL import ImageEnhance

noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
black = np.zeros((32, 32, 3), np.uint8)
augmentations.set_seed(0)


def draw(name, image):
    jitter = augmentations.ColorJitter(**{name: 0.4})
    return np.asarray(jitter(Image.fromarray(image))).astype(int), jitter.last_params[name]


def error(name, enhancer, shift):
    """The largest difference to Pillow's operation, and to adding, over 200 draws."""
    by_pillow, by_adding, drawn = [], [], []
    for _ in range(200):
        view, number = draw(name, noise)
        factor = 1 + number if shift else number
        expected = np.asarray(enhancer(Pillow.fromarray(noise)).enhance(factor)).astype(int)
        added = np.clip(noise + 255 * (factor - 1), 0, 255)
        by_pillow.append(np.abs(view - expected).max())
        by_adding.append(np.abs(view - added).max())
        drawn.append(number)
    print(f"{name}: numbers from {min(drawn):.2f} to {max(drawn):.2f}, off by up to "
          f"{max(by_pillow)} from Pillow's {name}, by up to {max(by_adding):.1f} from adding")
    return max(by_pillow), max(by_adding)


for name, enhancer in (("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)):
    assert error(name, enhancer, False)[0] <= 2
pillow, added = error("brightness", ImageEnhance.Brightness, True)
assert pillow > 50 and added <= 1

grey = [draw("brightness", black)[0] for _ in range(200)]
print("a black image becomes", np.min(grey), "to", np.max(grey))
views = np.array([draw("brightness", noise)[0] for _ in range(500)])
times = np.random.default_rng(0).uniform(0.6, 1.4, (500, 1, 1, 1)) * noise
print(f"cut off: {np.mean((views == 0) | (views == 255)):.2f} of the pixels, "
      f"{np.mean((views < 1)):.2f} at 0; multiplied: {np.mean(times >= 255):.2f}")
assert np.max(grey) > 90 and np.mean((views == 0) | (views == 255)) > 0.18
assert np.mean(times >= 255) < 0.11
PYTHON
