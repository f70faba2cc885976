"""Image files to 32x32 RGB pixels: what is not an ordinary image is refused before it is decoded.

Pillow decodes, with raster formats only (its EPS reader would start Ghostscript).
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.archives import Limits, Member, Name, shown

SIDE = 32
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_SMALL = 1 << 16  # bytes of a file
_WEBP_PIXELS = 32_000_000  # its decoder holds five pictures of four bytes a pixel
_SLOW_PIXELS = 2_000_000  # what Pillow decodes in Python takes microseconds a pixel
_SLOW = ("ppm", "ppm_plain", "bmp_rle")
_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
_LARGE = threading.Lock()  # one large image at a time, whatever the number of threads

Pixels = np.ndarray


def decode_all(
    path: Path, members: Iterator[Member], limits: Limits
) -> Iterator[tuple[Name, Pixels | None]]:
    """Decode every file of :func:`contrastive_tutorial.files.archives.members`, in the same order.

    Small files are decoded on the spot: threads would spend more time on handing Python's lock to
    each other than on pixels. Large ones go to threads.

    Yields:
        name and uint8 ``(32, 32, 3)`` pixels of a file; name and None of a folder.

    Raises:
        InputError: as :func:`decode`, or for more images than allowed.
    """
    workers = max(1, min(4, os.cpu_count() or 1))
    waiting: deque[tuple[Name, Future[Pixels]]] = deque()
    count = 0
    pool = ThreadPoolExecutor(workers)
    try:
        for name, content in members:
            if content is None:
                yield name, None
                continue
            count += 1
            if count > limits.images:
                raise InputError(f"{path}: more than {limits.images:,} images; use fewer")
            if len(content) < _SMALL and not waiting:
                yield name, decode(path, name, content, limits)
                continue
            waiting.append((name, pool.submit(decode, path, name, content, limits)))
            if len(waiting) > workers:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def decode(path: Path, name: Name, content: bytes, limits: Limits) -> Pixels:
    """One file as uint8 ``(32, 32, 3)``: first frame, upright, over white, resized and cropped.

    Raises:
        InputError: naming the file, if it is not an image, damaged, too large, or has numbers of
            32 bits for pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            size = image.width * image.height
            if size > (limit := min(limits.image_pixels, _most_pixels(image))):
                raise _too_large(path, name, f"{image.width} x {image.height}", limit)
            if image.format == "TIFF" and image.info.get("compression", "raw") != "raw":
                # needs libtiff, the least robust of the decoders, which writes to stderr itself
                raise InputError(
                    f"{path}: image {shown(name)!r} is a compressed TIFF; convert it to PNG"
                )
            if size <= 1_000_000:
                return _pixels(path, name, image)
            with _LARGE:
                return _pixels(path, name, image)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, name, "far too many", limits.image_pixels) from error
    except Exception as error:  # Pillow's decoders raise nearly everything on hostile bytes
        unknown = isinstance(error, Image.UnidentifiedImageError)
        raise InputError(
            f"{path}: {shown(name)!r} is {'not an image' if unknown else 'damaged'} (expected "
            "JPEG, PNG, WebP, BMP, GIF, TIFF or PPM); remove or replace it"
        ) from error


def _most_pixels(image: Image.Image) -> int:
    """What an image of this kind may have without taking a gigabyte or ten seconds."""
    if image.format == "WEBP":
        return _WEBP_PIXELS
    slow = any(tile[0] in _SLOW for tile in getattr(image, "tile", ()))
    return _SLOW_PIXELS if slow else sys.maxsize


def _too_large(path: Path, name: Name, extent: str, limit: int) -> InputError:
    return InputError(
        f"{path}: image {shown(name)!r} has {extent} pixels; the limit is {limit:,} for its kind"
    )


def _pixels(path: Path, name: Name, image: Image.Image) -> Pixels:
    target = (SIDE, SIDE)
    jpeg = image.format in ("JPEG", "MPO")
    if image.mode == "RGB" and image.size == target and "exif" not in image.info:
        return np.asarray(image)
    if jpeg and min(image.size) >= 8 * SIDE:
        image.draft(None, (4 * SIDE, 4 * SIDE))  # the decoder shrinks by 2, 4 or 8 at no cost
    if "exif" in image.info or image.format == "TIFF":
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):  # nothing says which number is white
        raise InputError(
            f"{path}: image {shown(name)!r} has pixels of 32 bits; convert it to 8 or 16 bits"
        )
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        if image.mode != "RGBA":  # a conversion to what it is would be one more copy
            image = image.convert("RGBA")
        small = ImageOps.fit(image, target, Image.Resampling.BILINEAR)
        white = Image.new("RGBA", target, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, small).convert("RGB"))
    image = image.convert("RGB")
    if image.size != target:
        image = ImageOps.fit(image, target, Image.Resampling.BILINEAR)
    return np.asarray(image)
