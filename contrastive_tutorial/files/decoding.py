"""Image files to small RGB pixels: what is not an ordinary image is refused before it is decoded.

Pillow decodes, with raster formats only (its EPS reader would start Ghostscript).
"""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.archives import Limits, Member, Name
from contrastive_tutorial.files.names import shown

SIDE = 32
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
#: Names of such files promise an image. The last ones are not read, but named when refused.
_IMAGES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif",
    ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpf", ".jpx", ".jxl",
)  # fmt: skip
#: How files of other formats begin, from which byte on.
_OTHERS = (
    (4, b"ftypavi", "AVIF"), (4, b"ftyphe", "HEIC"), (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"), (4, b"jP  ", "JPEG 2000"), (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"JXL ", "JPEG XL"), (0, b"\xff\x0a", "JPEG XL"),
)  # fmt: skip
_ORIENTED = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
_TELLING = {*_ORIENTED, "transparency"}
_SMALL = 1 << 16  # bytes of a file
_WEBP_PIXELS = 32_000_000  # its decoder holds five pictures of four bytes a pixel
_SLOW_PIXELS = 2_000_000  # what Pillow decodes in Python takes microseconds a pixel
_SLOW = ("ppm", "ppm_plain", "bmp_rle")
#: What Pillow raises on metadata that are none.
_UNREADABLE = (SyntaxError, ValueError, TypeError, LookupError, struct.error)
_WHITE = 262  # the tag of a TIFF that says whether zero is black or white
_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
_LARGE = threading.Lock()  # one large image at a time, whatever the number of threads

_DEEP_PIXELS = 32_000_000  # of colours of 16 bits, which are decoded twice
#: Pillow keeps one byte of a colour of 16 bits. Asked for the other order, it keeps the other one.
_OTHER_BYTE = {
    "RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B",
}  # fmt: skip

#: uint8 ``(S, S, 3)``; of images of 16 bits uint16 ``(S, S)`` or ``(S, S, 3)``, as only the whole
#: set tells which number is white: cameras and microscopes leave 10, 12 or 14 bits in such files.
Pixels = np.ndarray


def is_image_name(name: Name) -> bool:
    """Whether a file must be an image: by its suffix, or because it has none."""
    return (suffix := suffix_of(name)) in _IMAGES or not suffix


def suffix_of(name: Name) -> str:
    """The suffix of a file's name in small letters, with its dot; "" if there is none."""
    return os.path.splitext(name[-1])[1].lower()


class ImageError(InputError):
    """One image that cannot be used.

    Args:
        path, name: which one.
        reason: a clause that follows the name.
        cure: what to do.
        is_image: False for a file that begins like no kind of image.
    """

    def __init__(self, path: Path, name: Name, reason: str, cure: str, is_image: bool = True):
        super().__init__(f"{path}: {shown(name)!r} {reason}; {cure}")
        self.brief, self.cure, self.is_image = f"{shown(name)!r} {reason}", cure, is_image


def decode_all(
    path: Path, members: Iterator[Member], limits: Limits, side: int = SIDE
) -> Iterator[tuple[Name, Pixels | ImageError | None]]:
    """Decode every file of :func:`contrastive_tutorial.files.archives.members`, in the same order.

    Small files are decoded on the spot: threads would spend more time on handing Python's lock to
    each other than on pixels. Large ones go to threads.

    Yields:
        name and pixels of a file, or why it cannot be used; name and None of a folder.

    Raises:
        InputError: for more images than allowed, and as ``members``.
    """

    def attempt(name: Name, content: bytes) -> Pixels | ImageError:
        try:
            return decode(path, name, content, limits, side)
        except ImageError as error:
            return error

    workers = max(1, min(4, os.cpu_count() or 1))
    waiting: deque[tuple[Name, Future[Pixels | ImageError]]] = deque()
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
                yield name, attempt(name, content)
                continue
            waiting.append((name, pool.submit(attempt, name, content)))
            if len(waiting) > workers:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def decode(path: Path, name: Name, content: bytes, limits: Limits, side: int = SIDE) -> Pixels:
    """One file as pixels: first frame, upright, over white, resized and cropped.

    Returns:
        uint8 ``(side, side, 3)``; of an image of 16 bits uint16 ``(side, side)``, or
        ``(side, side, 3)`` if it has colours and nothing is transparent.

    Raises:
        ImageError: if it is not an image, damaged, too large, or has numbers of 32 bits for
            pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            size = image.width * image.height
            if size > (limit := min(limits.image_pixels, _most_pixels(image))):
                raise _too_large(path, name, f"{image.width} x {image.height}", limit)
            if image.format == "TIFF" and image.info.get("compression", "raw") != "raw":
                # needs libtiff, the least robust of the decoders, which writes to stderr itself
                raise ImageError(path, name, "is a compressed TIFF", "convert it to PNG")
            low = _lower_bytes(content) if _is_deep(image) else None
            if size <= 1_000_000:
                return pixels_of(path, name, image, side, low)
            with _LARGE:
                return pixels_of(path, name, image, side, low)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, name, "far too many", limits.image_pixels) from error
    except Exception as error:  # Pillow's decoders raise nearly everything on hostile bytes
        raise _unusable(path, name, content, error) from error


def _unusable(path: Path, name: Name, content: bytes, error: Exception) -> ImageError:
    if not isinstance(error, Image.UnidentifiedImageError):
        return ImageError(path, name, "is damaged", "remove or replace it")
    if not content:
        return ImageError(path, name, "is empty", "remove or replace it", is_image=False)
    for at, start, kind in _OTHERS:
        if content.startswith(start, at):
            return ImageError(
                path, name, f"is {kind}, not a supported format", "convert it to JPEG or PNG"
            )
    return ImageError(
        path, name, "is not an image (expected JPEG, PNG, WebP, BMP, GIF, TIFF or PPM)",
        "remove or replace it", is_image=False,
    )  # fmt: skip


def _most_pixels(image: Image.Image) -> int:
    """What an image of this kind may have without taking a gigabyte or ten seconds."""
    if image.format == "WEBP":
        return _WEBP_PIXELS
    if _is_deep(image):
        return _DEEP_PIXELS
    slow = any(tile[0] in _SLOW for tile in getattr(image, "tile", ()))
    return _SLOW_PIXELS if slow else sys.maxsize


def _too_large(path: Path, name: Name, extent: str, limit: int) -> ImageError:
    reason = f"has {extent} pixels; the limit is {limit:,} for its kind"
    return ImageError(path, name, reason, "make it smaller")


def _raw_mode(tile: Any) -> str:
    """How the bytes lie that Pillow is about to decode."""
    args = tile[3]
    return str(args[0] if isinstance(args, tuple) else args)


def _is_deep(image: Image.Image) -> bool:
    """Whether it has colours of 16 bits, of which Pillow keeps the upper byte."""
    tiles = getattr(image, "tile", ())
    return bool(tiles) and all(_raw_mode(tile) in _OTHER_BYTE for tile in tiles)


def _lower_bytes(content: bytes) -> Image.Image:
    """The lower bytes of colours of 16 bits."""
    image = Image.open(io.BytesIO(content), formats=_FORMATS)

    def other(tile: Any) -> Any:
        raw, args = _OTHER_BYTE[_raw_mode(tile)], tile[3]
        changed = (raw, *args[1:]) if isinstance(args, tuple) else raw
        return type(tile)(*tile[:3], changed) if hasattr(tile, "_fields") else (*tile[:3], changed)

    image.tile = [other(tile) for tile in image.tile]
    return image


def pixels_of(
    path: Path, name: Name, image: Image.Image, side: int, low: Image.Image | None = None
) -> Pixels:
    """An image of PIL by the rules for files: upright, over white, resized and cropped.

    Args:
        path, name: what to call it where it is refused.
        image: may be turned in place.
        side: width and height.
        low: the lower bytes, if ``image`` has the upper ones of colours of 16 bits.

    Returns:
        As :func:`decode`.

    Raises:
        ImageError: for pixels of 32 bits.
    """
    plain = image.format != "PNG" and _TELLING.isdisjoint(image.info) and low is None
    if image.mode == "RGB" and image.size == (side, side) and plain:
        return np.asarray(image)
    if image.format in ("JPEG", "MPO") and min(image.size) >= 8 * side:
        image.draft(None, (4 * side, 4 * side))  # the decoder shrinks by 2, 4 or 8 at no cost
    _set_upright(image)
    if low is not None:
        _set_upright(low)
        cut = _with_transparency(image, low)
        if cut is None:
            channels = zip(image.split()[:3], low.split()[:3], strict=True)
            deep = [256 * _fitted_float(up, side) + _fitted_float(down, side)
                    for up, down in channels]  # fmt: skip
            return np.stack(deep, 2).round().astype(np.uint16)
        image = cut
    if image.format == "PPM" and image.mode == "I":  # its header says which number is white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode.startswith("I;16"):
        if getattr(image, "tag_v2", {}).get(_WHITE) == 0:  # Pillow turns those of 8 bits round
            raise ImageError(path, name, "has 16 bits, and zero for white", "convert it to PNG")
        grey, key = np.asarray(image), image.info.get("transparency")
        if not isinstance(key, int) or not (grey == key).any():
            # the fit of 16 bits would cut them to 8
            return _fitted_float(image, side).round().astype(np.uint16)
        image = Image.fromarray((grey >> 8).astype(np.uint8))
        image.putalpha(Image.fromarray(np.where(grey == key, 0, 255).astype(np.uint8)))
    elif image.mode in ("I", "F"):  # nothing says which number is white
        raise ImageError(path, name, "has pixels of 32 bits", "convert it to 8 or 16 bits")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        if image.mode != "RGBA":  # a conversion to what it is would be one more copy
            image = image.convert("RGBA")
        small = _fitted(image, side)
        white = Image.new("RGBA", small.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, small).convert("RGB"))
    return np.asarray(_fitted(image if image.mode == "RGB" else image.convert("RGB"), side))


def _set_upright(image: Image.Image) -> None:
    image.load()  # in a PNG, orientation and transparency may stand behind the pixels
    if not _ORIENTED.isdisjoint(image.info) or image.format == "TIFF":
        with suppress(*_UNREADABLE):  # such metadata say nothing, and the image is there
            ImageOps.exif_transpose(image, in_place=True)


def _with_transparency(image: Image.Image, low: Image.Image) -> Image.Image | None:
    """8 bits of an image of 16, with transparency; None if nothing of it is transparent."""
    if image.mode == "RGBA":
        opaque = all(part.getchannel("A").getextrema()[0] == 255 for part in (image, low))
        return None if opaque else image
    key = image.info.get("transparency")
    if not isinstance(key, tuple) or len(key) != 3:
        return None
    hit = np.ones((image.height, image.width), bool)
    for number, up, down in zip(key, image.split(), low.split(), strict=True):
        hit &= (np.asarray(up) == number >> 8) & (np.asarray(down) == number & 255)
    if not hit.any():
        return None
    image.putalpha(Image.fromarray(np.where(hit, 0, 255).astype(np.uint8)))
    return image


def _fitted_float(image: Image.Image, side: int) -> np.ndarray:
    return np.asarray(_fitted(image.convert("F"), side))


def _fitted(image: Image.Image, side: int) -> Image.Image:
    if image.size == (side, side):
        return image
    return ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)


def fit(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Pixels uint8 ``(H, W, 3)`` resized and cropped as those of a file: ``(side, side, 3)``."""
    return np.asarray(_fitted(Image.fromarray(image), side))
