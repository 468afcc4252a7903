"""What strangers send: taken by what it is, refused before it costs anything, and never fetched."""

import base64
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from scaling_ood.images.opening import RefusedImageError, read_rgb
from scaling_ood.images.received import Limits, image_at, received_image

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
LIMITS = Limits(megabytes=1, megapixels=0.01)


def encoded(pixels=PIXELS, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def text(content):
    return base64.b64encode(content).decode()


def bomb(width, height):
    """A PNG of a few bytes that says it is large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "value", [encoded(), bytearray(encoded()), text(encoded()), PIXELS, PIXELS.tolist(), PIXELS.astype(np.int64)]
)
def test_bytes_base64_and_arrays_are_the_same_image(value):
    image = received_image(value, LIMITS)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), PIXELS)


def test_an_array_of_arrays_is_taken_as_tables_hold_it():
    rows = np.empty(len(PIXELS), dtype=object)
    rows[:] = [[*row] for row in PIXELS]
    np.testing.assert_array_equal(np.asarray(received_image(rows, LIMITS)), PIXELS)


def test_grey_becomes_rgb():
    grey = received_image(PIXELS[..., 0].tolist(), LIMITS)
    np.testing.assert_array_equal(np.asarray(grey), np.repeat(PIXELS[..., :1], 3, axis=2))


def test_a_photograph_is_turned_as_exif_says_where_the_data_were():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(kind="JPEG", exif=exif.tobytes())
    assert received_image(content, LIMITS).size == (9, 6)
    assert received_image(content, LIMITS, "upright").size == (6, 9)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "is empty"),
        ("", "is empty"),
        (b"hello", "is no image that is read"),
        (encoded()[:60], "is no image that is read"),
        (text(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "is no image that is read"),
        (bomb(50_000, 50_000), "is no image that is read"),
        (bomb(101, 100), "has 101 x 100 pixels, more than the 10,000 that are read"),
        (bomb(12_000, 12_000), "has 12,000 x 12,000 pixels, more than the 10,000 that are read"),
        (bomb(20_000, 20_000), "has more than the 10,000 pixels that are read"),
        (bomb(2000, 4), "one side is more than 100 times as long"),
        (b"x" * 1_000_001, "has more than 1 MB"),
        ("A" * 1_400_000, "has more than 1 MB"),
        ("http://example.org/a.png", "is an address: nothing is ever fetched"),
        (" FILE:///etc/passwd", "is an address"),
        ("data:image/png;base64,AAAA", "is an address"),
        ("/etc/passwd", "is text, but no Base64"),
        ("AAA", "is text, but no Base64"),
        ("ä" * 8, "is text, but no Base64"),
        ([[1, 2], [3]], "is ragged"),
        ([], r"has the shape \(0,\)"),
        (np.zeros((4, 4, 4), np.uint8), r"has the shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), "has the shape"),
        ([[0.5, 0.1]], "has values of type float64"),
        ([["a", "b"]], "has values of type"),
        ([[10**30, 1]], "has values of type object"),
        ([[-1, 2]], "has values from -1 to 2"),
        ([[256, 2]], "has values from 2 to 256"),
        (np.zeros((200, 60), np.uint8), "has 60 x 200 pixels"),
        ({"a": 1}, "is dict"),
        (True, "is bool"),
        (7, "is int"),
    ],
)
def test_anything_else_is_refused_with_the_reason(value, why):
    with pytest.raises(RefusedImageError, match=why):
        received_image(value, LIMITS)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "allowed"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded())
    (tmp_path / "secret.png").write_bytes(encoded())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "inner/link.png").symlink_to(folder / "a.png")
    os.mkfifo(folder / "pipe.png")
    return folder


@pytest.mark.parametrize("path", ["a.png", "inner/../a.png", "inner/link.png"])
def test_paths_below_the_allowed_folder_are_read(root, path):
    limits = Limits(root=str(root))
    for each in (path, str(root / path)):
        np.testing.assert_array_equal(np.asarray(image_at(each, limits)), np.asarray(read_rgb(str(root / "a.png"))))


@pytest.mark.parametrize(
    "path", ["../secret.png", "link.png", "/etc/passwd", "nothing.png", "inner", "pipe.png", "", "~/a.png", "a" * 5000]
)
def test_all_other_paths_are_refused_alike(root, path):
    with pytest.raises(RefusedImageError, match=r"^is no file below the allowed folder$"):
        image_at(path, Limits(root=str(root)))


@pytest.mark.parametrize(("path", "why"), [("a\0.png", "is no path"), (7, "is no path"), (["a.png"], "is no path")])
def test_what_is_no_path_is_refused(root, path, why):
    with pytest.raises(RefusedImageError, match=why):
        image_at(path, Limits(root=str(root)))


def test_without_a_folder_no_path_is_read(root):
    with pytest.raises(RefusedImageError, match="no folder is allowed here"):
        image_at(str(root / "a.png"), Limits())
