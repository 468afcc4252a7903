"""One door for all images: what it lets in, as what, and what it refuses in which words."""

import ast
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from encoded import (
    COLOUR_ALPHA_PNG,
    COLOUR_PNG,
    GREY_ALPHA_PNG,
    GREY_PNG,
    colour_tiff,
    deep_png,
    deep_pnm,
    encoded,
    turned_jpeg,
)
from PIL import Image, ImageOps

from scaling_ood.images import opening
from scaling_ood.images.checks import check_image
from scaling_ood.images.formats import IMAGE_FORMATS, readable_formats
from scaling_ood.images.opening import (
    MOST_PIXELS,
    MOST_SCANS,
    MOST_STRETCHED,
    RefusedImageError,
    open_content,
    read_rgb,
    to_rgb,
)

GREY = np.arange(256, dtype=np.uint16).reshape(16, 16)
"""Every grey level of 8 bits."""

FULL, TWELVE = GREY * 257, (GREY.astype(int) * 4095 // 255).astype(np.uint16)


def pixels(content):
    return np.asarray(to_rgb(open_content(content)))


def colour(grey, channels=3):
    return np.stack([grey] * channels, axis=-1)


def with_alpha(grey, channels):
    return np.concatenate([colour(grey, channels), np.full((*grey.shape, 1), 65535, np.uint16)], axis=-1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_what_pillow_makes_rgb_is_what_pillow_makes_of_it(make_picture, mode):
    image = make_picture(30, 20).convert("P").convert("PA") if mode == "PA" else make_picture(30, 20).convert(mode)
    assert np.array_equal(to_rgb(image), image.convert("RGB"))


@pytest.mark.parametrize(("mode", "through"), [("La", "LA"), ("RGBa", "RGBA")])
def test_premultiplied_alpha_is_undone(make_picture, mode, through):
    image = make_picture(30, 20).convert(through)
    assert np.array_equal(to_rgb(image.convert(mode)), image.convert("RGB"))


def test_a_transparent_palette_is_read_by_its_colours(make_picture):
    image = make_picture(30, 20).convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.array_equal(pixels(encoded(image, "PNG", transparency=3)), image.convert("RGB"))


FULL_RANGE = {
    "png": deep_png(FULL, GREY_PNG),
    "png grey and alpha": deep_png(with_alpha(FULL, 1), GREY_ALPHA_PNG),
    "png colour": deep_png(colour(FULL), COLOUR_PNG),
    "png colour and alpha": deep_png(with_alpha(FULL, 3), COLOUR_ALPHA_PNG),
    "tiff": encoded(Image.fromarray(FULL), "TIFF"),
    "tiff compressed": encoded(Image.fromarray(FULL), "TIFF", compression="tiff_lzw"),
    "tiff colour": colour_tiff(colour(FULL)),
    "tiff of negatives": encoded(Image.fromarray(65535 - FULL), "TIFF", tiffinfo={262: 0}),
    "jpeg 2000": encoded(Image.fromarray(FULL), "JPEG2000"),
    "pgm": deep_pnm(FULL, 65535),
    "ppm": deep_pnm(colour(FULL), 65535),
}
STATED = {
    "png": deep_png(TWELVE, GREY_PNG, [12]),
    "png, scaled as its standard says": deep_png(FULL, GREY_PNG, [12]),
    "png of 8 bits in 16": deep_png(GREY, GREY_PNG, [8]),
    "tiff": encoded(Image.fromarray(TWELVE), "TIFF", tiffinfo={281: 4095}),
    "pgm": deep_pnm(TWELVE, 4095),
    "ppm": deep_pnm(colour(TWELVE), 4095),
}


@pytest.mark.parametrize("content", FULL_RANGE.values(), ids=FULL_RANGE)
def test_16_bits_become_the_8_bits_that_they_are_of(content):
    assert np.array_equal(pixels(content), colour(GREY))


@pytest.mark.parametrize("content", STATED.values(), ids=STATED)
def test_fewer_bits_that_the_file_states_become_8_bits(content):
    assert np.array_equal(pixels(content), colour(GREY))


UNSTATED = {
    "png": deep_png(TWELVE, GREY_PNG),
    "png of 14 bits": deep_png(TWELVE * 4, GREY_PNG),
    "png of 8 bits": deep_png(GREY, GREY_PNG),
    "png that states nonsense": deep_png(TWELVE, GREY_PNG, [200]),
    "png grey and alpha": deep_png(with_alpha(TWELVE, 1), GREY_ALPHA_PNG),
    "png colour": deep_png(colour(TWELVE), COLOUR_PNG),
    "png colour and alpha": deep_png(with_alpha(TWELVE, 3), COLOUR_ALPHA_PNG),
    "tiff": encoded(Image.fromarray(TWELVE), "TIFF"),
    "tiff that states its own largest value": encoded(Image.fromarray(TWELVE), "TIFF", tiffinfo={281: 4090}),
    "tiff colour": colour_tiff(colour(TWELVE)),
    "jpeg 2000": encoded(Image.fromarray(TWELVE), "JPEG2000"),
    "pgm": deep_pnm(TWELVE, 65535),
    "ppm": deep_pnm(colour(TWELVE), 65535),
}


@pytest.mark.parametrize("content", UNSTATED.values(), ids=UNSTATED)
def test_fewer_bits_that_nobody_states_are_refused_instead_of_black(content):
    with pytest.raises(RefusedImageError, match=r"is 16-bit (grey|colour) with no value above [\d,]+ and does not"):
        pixels(content)


def test_black_is_black_however_many_bits_it_has():
    assert not pixels(deep_png(np.zeros((4, 4)), GREY_PNG)).any()


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (Image.new("F", (4, 4), 0.5), "floating point numbers (mode F)"),
        (Image.new("I", (4, 4), 70_000), "32-bit or signed integers (mode I)"),
        (Image.new("LAB", (4, 4)), "CIELAB colours (mode LAB)"),
    ],
    ids=["F", "I", "LAB"],
)
def test_values_without_a_defined_black_and_white_are_refused_by_name(tmp_path, image, problem):
    image.save(tmp_path / "a.tif")
    assert problem in check_image(tmp_path / "a.tif").problem
    with pytest.raises(RefusedImageError, match="not defined what is black"):
        to_rgb(image)


def test_colours_that_pillow_would_misread_are_refused():
    with pytest.raises(RefusedImageError, match="plane by plane"):
        pixels(colour_tiff(colour(FULL), plane_by_plane=True))


@pytest.mark.parametrize("kind", IMAGE_FORMATS)
def test_every_format_of_the_list_is_read(make_picture, kind):
    if kind not in readable_formats():
        pytest.skip(f"this Pillow reads no {kind}")
    image = make_picture(40, 32)
    read = pixels(encoded(image, kind)).astype(int)
    assert read.shape == (32, 40, 3)
    assert np.abs(read - np.asarray(image)).mean() < 25


def test_of_several_frames_the_first_is_the_image(make_picture):
    frames = [make_picture(16, 16, seed=seed) for seed in range(3)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG", "MPO"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert np.array_equal(pixels(content), pixels(encoded(frames[0], "JPEG" if kind == "MPO" else kind, **options)))


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
(canary) (w) file closefile
showpage
"""
METAFILE = struct.pack("<IHhhhhHI", 0x9AC6CDD7, 0, 0, 0, 10, 10, 72, 0) + bytes(100)


@pytest.mark.parametrize("content", [EPS, METAFILE, b"SIMPLE  =                    T" + bytes(100)])
def test_formats_that_are_not_listed_are_no_images_whatever_their_name(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    assert check_image(tmp_path / "a.jpg").problem == "cannot identify image file"


def test_no_program_is_started(tmp_path):
    """Ghostscript, or what stands in its place on the PATH, would leave a canary."""
    canary = tmp_path / "canary"
    for name in ("gs", "gswin32c", "gswin64c"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch '{canary}'\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "a.jpg").write_bytes(EPS)
    (tmp_path / "a.png").write_bytes(EPS)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def run(code):
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True)

    run(
        "from pathlib import Path; from scaling_ood.images.checks import check_image; "
        "print([check_image(Path(name)) for name in ('a.jpg', 'a.png')])"
    )
    assert not canary.exists()
    # The canary sings where anything but the door is used.
    run("from PIL import Image\ntry: Image.open('a.jpg').load()\nexcept OSError: pass")
    assert canary.exists()


def test_no_other_door():
    """Nothing opens or converts an image but `opening`."""
    root = Path(opening.__file__).parents[1]
    elsewhere = [
        f"{path.relative_to(root)}:{call.lineno}"
        for path in sorted(root.rglob("*.py"))
        if path != Path(opening.__file__)
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("Image.open", ".convert", "exif_transpose"))
    ]
    assert elsewhere == []


def bomb(width, height):
    """A PNG of few bytes and many pixels, all of one colour."""
    deflate = zlib.compressobj(9)
    row = b"\0" + bytes(width // 8 + 1)
    data = b"".join(deflate.compress(row) for _ in range(height)) + deflate.flush()

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (20_000, 20_000)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, width, height):
    content = bomb(width, height)
    assert len(content) < 200_000 < MOST_PIXELS
    (tmp_path / "a.png").write_bytes(content)
    problem = check_image(tmp_path / "a.png").problem
    assert (
        "has 10,000 x 10,000 pixels, more than the 89,478,485" in problem
        or "more than the 89,478,485 pixels" in problem
    )


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (3, 3 * MOST_STRETCHED + 1)])
def test_a_strip_is_refused(make_picture, size):
    with pytest.raises(RefusedImageError, match=r"one side is more than 100 times as long as the other"):
        open_content(encoded(Image.new("RGB", size), "PNG"))


def test_a_panorama_is_read():
    assert pixels(encoded(Image.new("RGB", (3, 3 * MOST_STRETCHED), "red"), "PNG")).shape == (300, 3, 3)


@pytest.mark.parametrize("pictures", [1, 2])
def test_a_jpeg_of_very_many_scans_is_refused(make_picture, pictures):
    several = {"save_all": True, "append_images": [make_picture(8, 8)]}  # Which Pillow calls an MPO.
    content = encoded(make_picture(64, 64), "JPEG", progressive=True)
    if pictures > 1:
        content = encoded(make_picture(64, 64), "MPO", progressive=True, **several)
    scans = content.count(b"\xff\xda")
    assert 1 < scans < 30
    # The last scan again and again: what a decoder takes minutes for, from a small file.
    last = content[content.rindex(b"\xff\xda") : -2]
    many = content[:-2] + last * MOST_SCANS + content[-2:]
    with pytest.raises(RefusedImageError, match="more than 500 scans"):
        open_content(many)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_hostile_bytes_are_refused_in_words_whatever_the_decoder_raises():
    rng = np.random.default_rng(0)
    sources = [encoded(Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)), kind) for kind in ("PNG", "TIFF")]
    sources += [encoded(Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)), kind) for kind in ("GIF", "PPM")]
    refused = 0
    for content in sources:
        for _ in range(150):
            spoiled = bytearray(content)
            for place in rng.integers(0, min(len(content), 200), 4):
                spoiled[place] = rng.integers(0, 256)
            refused += _is_refused(bytes(spoiled))
    assert refused > 100


def _is_refused(content):
    try:
        return pixels(content).shape[2] != 3
    except RefusedImageError as error:
        return bool(str(error))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_pixels_are_turned_as_exif_says(tmp_path, make_picture, orientation):
    content = turned_jpeg(make_picture(32, 16), orientation)
    (tmp_path / "a.jpg").write_bytes(content)
    stored, upright = (read_rgb(str(tmp_path / "a.jpg"), each) for each in ("stored", "upright"))
    assert stored.size == (32, 16)
    assert np.array_equal(upright, ImageOps.exif_transpose(open_content(content)))
    assert np.array_equal(upright, stored) == (orientation == 1)
    assert check_image(tmp_path / "a.jpg").orientation == orientation


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_other_formats_have_an_orientation_too(tmp_path, make_picture, kind):
    if kind not in readable_formats():
        pytest.skip(f"this Pillow reads no {kind}")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a").write_bytes(encoded(make_picture(32, 16), kind, exif=exif))
    # Pillow itself turns TIFFs.
    assert check_image(tmp_path / "a").orientation == (1 if kind == "TIFF" else 6)
    assert read_rgb(str(tmp_path / "a"), "upright").size == (16, 32)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20)]
)
def test_broken_exif_is_no_reason_to_lose_an_image(tmp_path, make_picture, exif):
    (tmp_path / "a.jpg").write_bytes(encoded(make_picture(32, 16), "JPEG", exif=exif))
    assert check_image(tmp_path / "a.jpg")[1:] == ("", (32, 16), 1, 8, "", 1)


def test_the_check_says_how_many_bits_became_8(tmp_path):
    (tmp_path / "a.png").write_bytes(FULL_RANGE["png"])
    (tmp_path / "b.png").write_bytes(FULL_RANGE["png colour"])
    assert [check_image(tmp_path / name).bits for name in ("a.png", "b.png")] == [16, 8]
