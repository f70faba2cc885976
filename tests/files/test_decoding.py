"""Image files to pixels: every ordinary kind, every way to be broken, nothing out of bounds."""

from __future__ import annotations

from pathlib import Path

import images
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from contrastive_tutorial.errors import InputError
from contrastive_tutorial.files.archives import Limits
from contrastive_tutorial.files.decoding import ImageError, decode, decode_all, fit, is_image_name

PATH, NAME = Path("pets.zip"), ("train", "cat", "1.png")


def _decode(content, limits=None):
    found = decode(PATH, NAME, content, limits or Limits())
    assert found.shape == (32, 32, 3)
    assert found.dtype == np.uint8
    return found


def _refusal(content, limits=None):
    with pytest.raises(InputError, match=r"pets\.zip.*train/cat/1\.png") as caught:
        _decode(content, limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_keep_every_pixel(kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert np.array_equal(
        _decode(images.encoded(images.pixels(1), kind, **options)), images.pixels(1)
    )


def test_jpeg_is_what_torchvision_decodes():
    from torchvision.io import ImageReadMode, decode_jpeg

    content = images.encoded(images.pixels(2), "JPEG", quality=75)
    expected = decode_jpeg(
        torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB
    )
    difference = _decode(content).astype(int) - expected.permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 1  # two builds of libjpeg may round differently


@pytest.mark.parametrize(("width", "height"), [(64, 64), (100, 48), (40, 131), (32, 33), (200, 32)])
def test_other_sizes_are_resized_and_cropped_at_the_centre(width, height):
    """Same as torchvision's antialiased resize of the shorter side, then a centre crop."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = (
        127 + 60 * np.sin(rows[..., None] / 9 + [0, 1, 2]) + 60 * np.cos(columns[..., None] / 7)
    )
    image = smooth.astype(np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    expected = tv.center_crop(tv.resize(tensor, 32, antialias=True), [32, 32])
    found = torch.from_numpy(_decode(images.encoded(image)).copy()).permute(2, 0, 1)
    # the crop falls between pixels where ours cuts before resizing, torchvision after rounding
    assert (found.double() - expected.double()).abs().mean() < 4


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (3_000, 1), (7, 5)])
def test_tiny_and_thin_images_are_enlarged(width, height):
    image = np.full((height, width, 3), 90, np.uint8)
    assert (_decode(images.encoded(image)) == 90).all()


def test_large_jpegs_are_shrunk_while_decoding():
    flat = np.zeros((1_000, 1_400, 3), np.uint8)
    flat[:, 700:] = 200
    found = _decode(images.encoded(flat, "JPEG"))
    assert np.abs(found[:, :14].astype(int)).max() < 8
    assert np.abs(found[:, 18:].astype(int) - 200).max() < 8


def test_grey_palette_and_cmyk_become_rgb():
    grey = images.pixels(3)[..., 0]
    assert np.array_equal(_decode(images.encoded(grey)), np.repeat(grey[..., None], 3, 2))
    bits = Image.fromarray(grey > 127)
    assert np.array_equal(_decode(images.encoded(bits))[..., 0], (grey > 127) * 255)
    palette = Image.fromarray(images.pixels(4)).quantize(16)
    assert np.array_equal(_decode(images.encoded(palette)), np.asarray(palette.convert("RGB")))
    cmyk = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        red = _decode(images.encoded(cmyk, kind)).reshape(-1, 3).mean(0)
        assert red[0] > 240
        assert red[1:].max() < 15


def test_sixteen_bits_are_kept_until_the_whole_set_is_known():
    deep = np.arange(1024, dtype=np.uint16).reshape(32, 32) * 64
    for kind in ("PNG", "TIFF"):
        found = decode(PATH, NAME, images.encoded(Image.fromarray(deep), kind), Limits())
        assert found.dtype == np.uint16
        assert np.array_equal(found, deep)
    flat = Image.fromarray(np.full((90, 70), 4_000, np.uint16))
    assert (decode(PATH, NAME, images.encoded(flat), Limits()) == 4_000).all()


def test_a_portable_graymap_says_which_number_is_white():
    rows = (np.arange(1024).reshape(32, 32) * 4).astype(">u2")
    found = _decode(b"P5 32 32 4095\n" + rows.tobytes())
    assert found[0, 0, 0] == 0
    assert abs(int(found[31, 31, 0]) - 254) <= 1


@pytest.mark.parametrize("most", [4_096, 65_536])
@pytest.mark.parametrize("kind", [2, 6])
def test_colours_of_sixteen_bits_are_kept_until_the_whole_set_is_known(kind, most):
    deep = np.random.default_rng(0).integers(0, most, (32, 32, 3)).astype(">u2")
    opaque = np.full((32, 32, 1), 65_535, ">u2")
    raw = deep if kind == 2 else np.concatenate([deep, opaque], 2).astype(">u2")
    found = decode(PATH, NAME, _png(32, 32, depth=16, kind=kind, raw=raw), Limits())
    assert found.dtype == np.uint16
    assert np.array_equal(found, deep)
    flat = np.full((90, 70, raw.shape[2]), 4_000).astype(">u2")
    flat[..., 3:] = 65_535
    assert (
        decode(PATH, NAME, _png(70, 90, depth=16, kind=kind, raw=flat), Limits()) == 4_000
    ).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_sixteen_bits_in_a_tiff(order):
    deep = np.random.default_rng(0).integers(0, 4_096, (32, 32, 3)).astype(f"{order}u2")
    content = images.deep_tiff(deep)
    assert np.array_equal(decode(PATH, NAME, content, Limits()), deep)


def test_what_is_transparent_among_colours_of_sixteen_bits_becomes_white():
    deep = np.full((32, 32, 3), (1_000, 2_000, 3_000)).astype(">u2")
    deep[0] += 1  # another colour, though not in its upper byte
    key = deep[1, 1].tobytes()
    found = _decode(_png(32, 32, depth=16, kind=2, raw=deep, clear=key))
    assert (found[1:] == 255).all()
    assert found[0, 0].tolist() == [3, 7, 11]
    half = np.concatenate([deep, np.zeros_like(deep[..., :1])], 2).astype(">u2")
    assert (_decode(_png(32, 32, depth=16, kind=6, raw=half)) == 255).all()


def test_what_is_transparent_among_grey_levels_of_sixteen_bits_becomes_white():
    grey = np.full((32, 32), 50 << 8, np.uint16)
    grey[:, 16:] = 200 << 8
    grey[0] += 1  # another level, though not in its upper byte
    found = _decode(images.encoded(Image.fromarray(grey), transparency=50 << 8))
    assert (found[1:, :16] == 255).all()
    assert (found[1:, 16:] == 200).all()
    assert found[0, 0].tolist() == [50, 50, 50]
    unused = images.encoded(Image.fromarray(grey), transparency=7)
    assert np.array_equal(decode(PATH, NAME, unused, Limits()), grey)


def test_of_a_tiff_whose_zero_is_white():
    for kind, value in ((np.uint8, 200), (np.uint16, 40_000)):
        content = images.encoded(np.full((32, 32), value, kind), "TIFF")
        tag = content.index(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00") + 8
        turned = content[:tag] + b"\x00" + content[tag + 1 :]
        if kind is np.uint8:
            assert (_decode(turned) == 55).all()
        else:
            with pytest.raises(ImageError, match="16 bits, and zero for white"):
                _decode(turned)


def test_what_is_transparent_becomes_white():
    image = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    image.paste((200, 0, 0, 255), (0, 0, 64, 32))
    for kind in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        found = _decode(images.encoded(image, kind, **options))
        assert (found[:14] == [200, 0, 0]).all()
        assert (found[18:] == 255).all()
    palette = Image.new("P", (32, 32), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    assert (_decode(images.encoded(palette, "GIF", transparency=1)) == 255).all()


@pytest.mark.parametrize("side", [31, 32, 64])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA"])
def test_what_is_transparent_becomes_white_at_every_size(side, mode):
    black = (0,) * len(Image.new(mode, (1, 1)).getbands())
    image = Image.new(mode, (side, side), black if len(black) > 1 else 0)
    options: dict[str, object] = {}
    if mode in ("RGB", "L", "P"):
        options["transparency"] = black if mode == "RGB" else 0
    assert (_decode(images.encoded(image, **options)) == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    content = images.encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(_decode(content).reshape(-1, 3).mean(0) - [250, 0, 0]).max() < 6


@pytest.mark.parametrize("side", [32, 64])
def test_photographs_are_put_upright_wherever_the_file_says_so(side):
    """In a PNG the orientation may stand behind the pixels, or in XMP text."""
    image = np.zeros((side, side, 3), np.uint8)
    image[: side // 2] = 255  # light above
    exif = Image.Exif()
    exif[0x0112] = 3
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF tiff:Orientation="3"/></x:xmpmeta>'
    png = images.encoded(image, exif=exif)
    early = png.index(b"eXIf") - 4
    length = 12 + int.from_bytes(png[early : early + 4], "big")
    late = png[:early] + png[early + length :]
    late = late[:-12] + png[early : early + length] + late[-12:]
    for content in (
        png,
        late,
        images.encoded(image, "WEBP", exif=exif, lossless=True),
        images.encoded(image, "JPEG", exif=exif),
        images.encoded(image, "JPEG", xmp=xmp),
        images.encoded(image, "TIFF", exif=exif),
    ):
        found = _decode(content)
        assert found[:12].mean() < 10
        assert found[20:].mean() > 245


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("junk", [b"Exif\0\0garbage, not a header", b"Exif\0\0II*\0\x08"])
def test_metadata_that_cannot_be_read_cost_no_image(kind, junk):
    content = images.encoded(np.full((64, 64, 3), 90, np.uint8), kind, exif=junk)
    assert abs(_decode(content).astype(int) - 90).max() <= 2


@pytest.mark.parametrize("side", [8, 48, 224])
def test_other_sizes_on_request(side):
    found = decode(PATH, NAME, images.encoded(images.pixels(3, 300, 260)), Limits(), side)
    assert found.shape == (side, side, 3)
    same = images.pixels(4, side, side)
    assert np.array_equal(decode(PATH, NAME, images.encoded(same), Limits(), side), same)
    assert fit(images.pixels(3, 300, 260), side).shape == (side, side, 3)


UNUSABLE = {
    "is empty": [b""],
    "not an image": [b"hello", b"\xff\xd8\xff", bytes(99),
                     b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"],
    "is AVIF, not a supported format; convert it": [b"\0\0\0\x1cftypavif" + bytes(40)],
    "is HEIC, not a supported format; convert it": [
        b"\0\0\0\x18ftypheic" + bytes(40), b"\0\0\0\x18ftypmif1" + bytes(40)],
    "is JPEG 2000, not a supported format; convert it": [
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), b"\xff\x4f\xff\x51" + bytes(40)],
    "is JPEG XL, not a supported format; convert it": [b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)],
    "32 bits": [images.encoded(Image.new(mode, (32, 32)), "TIFF") for mode in "IF"],
    "compressed TIFF; convert it to PNG": [
        images.encoded(images.pixels(4), "TIFF", compression=kind)
        for kind in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")],
}  # fmt: skip


@pytest.mark.parametrize("words", UNUSABLE)
def test_what_is_no_usable_image_is_refused_by_name(words):
    for content in UNUSABLE[words]:
        assert words in _refusal(content)


def test_names_that_promise_an_image():
    for name in ("1.jpg", "A.JPEG", "x.webp", "IMG.HEIC", "val_0", "a.b.png"):
        assert is_image_name(("cat", name))
    for name in ("labels.csv", "README.md", "Thumbs.db", "a.docx", "b.mat", "c.zip", "IMG_1.CR2"):
        assert not is_image_name(("cat", name))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_cut_images_are_refused(kind):
    content = images.encoded(images.pixels(5), kind)
    for length in range(8, len(content) // 2, len(content) // 12):
        assert "remove or replace it" in _refusal(content[:length])


def _png(width, height, depth=8, kind=0, raw=None, clear=b""):
    lines = b"" if raw is None else b"".join(b"\0" + row.tobytes() for row in raw)
    return images.bare_png(width, height, depth, kind, lines, clear)


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (50_000, 1_300), (8_001, 8_000)])
def test_too_many_pixels_are_refused_from_the_header(width, height):
    """The file holds no pixels at all: nothing was decoded to find out."""
    assert "the limit is 64,000,000" in _refusal(_png(width, height))


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (b"P5 1500 1400 200\n" + bytes(2_100_000), "2,000,000"),  # neither 8 nor 16 bits
        (b"P2 1500 1400 255\n" + b"0 " * 2_100_000, "2,000,000"),
        (images.run_lengths(2_000, 1_001), "2,000,000"),
        (images.encoded(Image.new("RGB", (8_000, 4_001)), "WEBP", lossless=True), "32,000,000"),
    ],
    ids=["levels", "text", "run lengths", "webp"],
)
def test_kinds_that_take_more_time_or_memory_have_a_lower_limit(content, limit):
    assert f"the limit is {limit} for its kind" in _refusal(content)


def test_the_pixel_limit_is_exact():
    content = images.encoded(images.pixels(6, 40, 40))
    _decode(content, Limits(image_pixels=1_600))
    assert "40 x 40" in _refusal(content, Limits(image_pixels=1_599))


def test_order_is_kept_by_the_threads_and_folders_pass_through():
    """Small files are decoded at once, large ones by threads; nothing overtakes."""
    rng = np.random.default_rng(0)
    content = []
    for i in range(60):
        side = 32 if rng.random() < 0.6 else 300
        options = {"compress_level": 0} if side > 32 else {}
        content.append(images.encoded(np.full((side, side, 3), i, np.uint8), **options))
    assert {len(data) < 1 << 16 for data in content} == {True, False}
    members = [((f"{i}.png",), data) for i, data in enumerate(content)]
    found = list(decode_all(PATH, iter([(("folder",), None), *members]), Limits()))
    assert found[0] == (("folder",), None)
    assert [name for name, _ in found[1:]] == [name for name, _ in members]
    assert all(
        isinstance(pixels, np.ndarray) and pixels[0, 0, 0] == i
        for i, (_, pixels) in enumerate(found[1:])
    )


def test_too_many_images_are_refused():
    content = images.encoded(images.pixels(8))
    members = [((f"{i}.png",), content) for i in range(5)]
    assert len(list(decode_all(PATH, iter(members), Limits(images=5)))) == 5
    with pytest.raises(InputError, match="more than 4 images"):
        list(decode_all(PATH, iter(members), Limits(images=4)))


def test_bad_images_are_passed_on_in_their_place():
    good = images.encoded(images.pixels(9, 300, 300))
    members = [((f"{i}.png",), good) for i in range(60)]
    members[30], members[40] = (("bad.png",), b"no" * 100_000), (("short.png",), good[:4_000])
    found = list(decode_all(PATH, iter(members), Limits()))
    bad = {name[0]: pixels for name, pixels in found if isinstance(pixels, ImageError)}
    assert bad.keys() == {"bad.png", "short.png"}
    assert not bad["bad.png"].is_image
    assert bad["short.png"].is_image
    assert len(found) == 60
