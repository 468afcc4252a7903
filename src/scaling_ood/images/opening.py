"""The one place where an image is opened, decoded and made RGB.

What is opened here may come from anybody. A file is refused by what it is: of a format that is not in the list, too
large, too long and thin, or of values without a defined meaning as grey or colour. All limits are counts, never
seconds, so that the same images are read on a slow machine and on a fast one.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from scaling_ood.images.containers import read_bytes
from scaling_ood.images.exif import Orientation, orientation_of, turned
from scaling_ood.images.formats import readable_formats

MOST_PIXELS = 89_478_485
"""Of one image. Decoded, it takes 4 bytes for each of them. Pillow warns of a decompression bomb from here on."""

MOST_STRETCHED = 100
"""How many times longer than the other one side may be."""

JPEGS = ("JPEG", "MPO")
"""What Pillow calls a JPEG: with several pictures in it, it is an MPO."""

MOST_SCANS = 500
"""Of a JPEG. A progressive one has about ten, and each is one pass over all pixels: some bytes, much time."""

LEAST_16_BIT = 2**14
"""Values of 16 bits that stay below would be read as nearly black: they are of 14, 12 or 10 bits, in all likelihood."""

_BY_PILLOW = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"})
_DEEP = re.compile(r";16|SGI16")
_SCAN = b"\xff\xda"
_BITS, _PHOTOMETRIC, _MAXIMUM, _PLANES = 258, 262, 281, 284  # Tags of a TIFF.
_WHITE_IS_ZERO, _ONE_BY_ONE = 0, 2


class RefusedImageError(OSError):
    """A file that is no image, is broken, or is one that is not read; says why in words."""


def open_image(path: str) -> ImageFile:
    """An image, wherever it is, not decoded yet.

    Raises:
        OSError: There is no such image, or it is none that is read.
        MissingLibraryError: The container needs a package that is not installed.
    """
    return open_content(read_bytes(path))


def read_rgb(path: str, orientation: Orientation = "stored") -> Image.Image:
    """An image as RGB, decoded.

    Raises:
        OSError: There is no such image, or it is none that is read.
        MissingLibraryError: The container needs a package that is not installed.
    """
    return as_rgb(open_image(path), orientation)


def as_rgb(image: ImageFile, orientation: Orientation = "stored") -> Image.Image:
    """An image that was opened as RGB, decoded; errors as of `to_rgb`."""
    turn = orientation_of(image) if orientation == "upright" else 1
    return turned(to_rgb(image), turn)


def open_content(content: bytes, most_pixels: int = MOST_PIXELS) -> ImageFile:
    """An image from the bytes of its file, not decoded yet, of at most so many pixels.

    Raises:
        RefusedImageError: It is none that is read.
    """
    with _in_words():
        try:
            image = Image.open(io.BytesIO(content), formats=readable_formats())
        except Image.DecompressionBombError:
            raise RefusedImageError(f"has more than the {most_pixels:,} pixels that are read of an image") from None
        _refuse_sizes(*image.size, most_pixels)
        if image.format in JPEGS and content.count(_SCAN) > MOST_SCANS:
            raise RefusedImageError(f"has more than {MOST_SCANS} scans, each of which is one pass over all pixels")
        image.info["stored"] = _stored(image)
        if image.format == "PNG":
            image.info["significant_bits"] = _significant_bits(content)
    return image


def load(image: Image.Image) -> None:
    """Decode an image that was opened.

    Raises:
        RefusedImageError: It is truncated or broken.
    """
    with _in_words():
        image.load()


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB; alpha is dropped, as the published preprocessing drops it.

    16-bit grey is scaled to 8 bits, from the full range or from the one that the file states: `sBIT` of a PNG,
    `BitsPerSample` or `MaxSampleValue` of a TIFF.

    Raises:
        RefusedImageError: It is broken, or its values have no defined meaning as grey or colour: floating point,
            signed or 32-bit numbers, CIELAB, and 16-bit values that are all small in a file that does not state how
            many of the 16 bits count.
    """
    load(image)
    with _in_words():
        if image.mode in _BY_PILLOW:
            if _DEEP.search(str(image.info.get("stored"))):
                _refuse_small(image)
            image.info.pop("transparency", None)  # Pillow would warn of some kinds, and alpha is dropped.
            return image if image.mode == "RGB" else image.convert("RGB")
        if image.mode in ("La", "RGBa"):
            return image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode]).convert("RGB")
        if is_deep_grey(image):
            return _scaled(image).convert("RGB")
    meaning = {"F": "floating point numbers", "I": "32-bit or signed integers", "LAB": "CIELAB colours"}
    what = meaning.get(image.mode, "values")
    raise RefusedImageError(f"has {what} (mode {image.mode}), of which it is not defined what is black and what white")


def is_deep_grey(image: Image.Image) -> bool:
    """Whether its values are grey levels of more than 8 bits; Pillow's own conversion would make them white."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except RefusedImageError:
        raise
    except Exception as error:
        # Whatever a decoder raises on the bytes of a stranger, MemoryError included, is a fault of the file.
        # Pillow's message may end with the address of a buffer.
        words = str(error).split("<", 1)[0].strip()
        raise RefusedImageError(words or f"cannot be decoded ({type(error).__name__})") from error


def _refuse_sizes(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise RefusedImageError(f"has {width:,} x {height:,} pixels, more than the {most:,} that are read of an image")
    if max(width, height) > MOST_STRETCHED * min(width, height):
        raise RefusedImageError(
            f"has {width:,} x {height:,} pixels: one side is more than {MOST_STRETCHED} times as long as the other"
        )


def _stored(image: ImageFile) -> str:
    """How samples lie in the file, such as `RGB;16B`; empty where Pillow does not say or it does not matter."""
    if not image.tile or image.format not in ("PNG", "TIFF", "SGI", "PPM"):
        return ""
    tile = image.tile[0]
    if image.format == "TIFF" and tile[0] == "raw":
        tags = image.tag_v2  # type: ignore[attr-defined]
        if tags.get(_PLANES) == _ONE_BY_ONE and np.max(tags.get(_BITS, 8)) > 8:  # noqa: PLR2004
            raise RefusedImageError("holds 16-bit colours plane by plane, which Pillow takes for 8-bit ones")
    # A PPM of another maximum than 65,535 states its range, and Pillow scales it.
    return f"{tile[0]} {tile[3]}" + (";16" if image.format == "PPM" and "65535" in str(tile[3]) else "")


def _significant_bits(content: bytes) -> int:
    """What a PNG says in `sBIT` of its first channel; 0 if it says nothing."""
    position = 8
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind in (b"IDAT", b"IEND"):
            break
        if kind == b"sBIT" and length:
            return content[position + 8]
        position += 12 + length
    return 0


def _scaled(image: Image.Image) -> Image.Image:
    """8-bit grey from 16-bit grey."""
    values = np.asarray(image)
    largest = int(values.max())
    stated = _stated_top(image, largest)
    if stated is None and 0 < largest < LEAST_16_BIT:
        raise RefusedImageError(_small("grey", largest))
    top = stated or 2**16 - 1
    grey = ((np.arange(top + 1) * 255 + top // 2) // top).astype(np.uint8)
    if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # type: ignore[attr-defined]
        grey = grey[::-1]
    return Image.fromarray(grey[values])


def _stated_top(image: Image.Image, largest: int) -> int | None:
    """The value that is white, where the file says so and no value is beyond it."""
    told = 0
    if image.format == "PNG":
        # By the standard, values of fewer significant bits are scaled to 16; cameras do not always do it.
        bits = image.info.get("significant_bits", 0)
        told = 2**bits - 1 if largest < 2**bits else (2**16 - 1 if bits else 0)
    elif image.format == "TIFF":
        maximum = image.tag_v2.get(_MAXIMUM, 0)  # type: ignore[attr-defined]
        told = 2**12 - 1 if "I;12" in image.info.get("stored", "") else int(np.max(maximum))
    elif image.mode == "I" and ";16" not in image.info.get("stored", ""):
        told = 2**16 - 1
    full_range = told & (told + 1) == 0 and 0 < told < 2**16
    return told if full_range and largest <= told else None


def _refuse_small(image: Image.Image) -> None:
    """Pillow keeps the upper 8 of 16 bits of colours; what stands in the lower ones alone is lost."""
    colours = [name for name in image.getbands() if name not in ("A", "X")]
    largest = max(int(np.max(image.getchannel(name).getextrema())) for name in colours)
    if largest < LEAST_16_BIT >> 8:
        raise RefusedImageError(_small("colour", (largest << 8) + 255))


def _small(what: str, largest: int) -> str:
    return (
        f"is 16-bit {what} with no value above {largest:,} and does not state how many bits count "
        "(12 of the 16?): it would be nearly black; convert it to 8 bits, or scale it to the full range"
    )
