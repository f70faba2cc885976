#!/usr/bin/env bash
# The Gaussian blur of dm-pix and of Keras turns the corner of a white image to 0.36.
# Versions: dm-pix 0.4.5, keras 3.15.1, jax 0.10.2, scipy 1.17.1.
# Expected (a first guess): a blurred white image is white, as by Pillow, torchvision and scipy,
# which repeat or mirror the border.
# Seen: both pad with black. With sigma 2 and a kernel of 9 the corner is 0.36 and the edge 0.60;
# the middle is right. A 32 x 32 image with a kernel of 9 has its border darkened in 44 % of its
# pixels, so an encoder can tell blurred images by a frame. RandomGaussianBlur of Keras draws the
# frame too. Pad with the edge first, and cut it off after.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  dm-pix==0.4.5 keras==3.15.1 jax==0.10.2 numpy==2.4.6 scipy==1.17.1
"$work/env/bin/python" -W ignore - <<'PYTHON'
import os

os.environ["KERAS_BACKEND"] = "jax"
import dm_pix
import jax.numpy as jnp
import numpy as np
from keras import layers, ops
from scipy import ndimage

white = np.ones((32, 32, 3), "float32")
x = np.arange(-4, 5)
kernel = np.exp(-(x**2) / 8)
line = np.convolve(np.ones(32), kernel / kernel.sum(), "same")
black_around = np.outer(line, line)


def show(name, image):
    image = np.asarray(image, "float64")
    print(f"{name}: corner {image[0, 0, 0]:.3f}, edge {image[0, 16, 0]:.3f}, "
          f"middle {image[16, 16, 0]:.3f}, darkened {(image[..., 0] < 0.999).mean():.2f}")
    return image[..., 0]


seen = show("dm_pix", dm_pix.gaussian_blur(jnp.asarray(white), sigma=2.0, kernel_size=9))
assert np.allclose(seen, black_around, atol=1e-5)
blur = ops.image.gaussian_blur(white[None], (9, 9), (2.0, 2.0), data_format="channels_last")
seen = show("keras.ops.image", blur[0])
assert np.allclose(seen, black_around, atol=1e-5)
layer = layers.RandomGaussianBlur(factor=1.0, kernel_size=9, sigma=1.0, value_range=(0, 1), seed=1)
frames = np.asarray(layer(np.stack([white] * 8), training=True))
corners = [round(float(v), 2) for v in frames[:, 0, 0, 0]]
print(f"keras RandomGaussianBlur, sigma up to 1: corners {corners}")
assert min(corners) < 0.8
seen = show("scipy", ndimage.gaussian_filter(white, (2, 2, 0), radius=(4, 4, 0)))
assert np.allclose(seen, 1)
padded = np.pad(white, ((4, 4), (4, 4), (0, 0)), mode="edge")
blurred = dm_pix.gaussian_blur(jnp.asarray(padded), sigma=2.0, kernel_size=9)[4:-4, 4:-4]
assert np.allclose(show("dm_pix, padded first", blurred), 1, atol=1e-5)
PYTHON
