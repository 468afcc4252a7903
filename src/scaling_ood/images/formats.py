"""Which image formats are read, and by which endings their files are known.

Every format here is decoded inside this process by Pillow or a library that it brings. Formats whose readers start a
program (EPS starts Ghostscript), call the operating system (WMF, EMF) or are never those of photographs (icons, fonts,
fax, films, scientific containers) are not read, whatever the file is called.
"""

from __future__ import annotations

from functools import cache

from PIL import Image

IMAGE_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "AVIF",
    "GIF",
    "TIFF",
    "BMP",
    "DIB",
    "JPEG2000",
    "PPM",
    "PCX",
    "SGI",
    "QOI",
    # The last one: a TGA has no signature, so that anything may look like one.
    "TGA",
)
"""Pillow's names, in the order in which they are tried. Of several frames or pages, the first is the image.

JPEG includes the multi-picture files of cameras and telephones (MPO).
"""


@cache
def readable_formats() -> tuple[str, ...]:
    """Those that the installed Pillow reads; AVIF came late."""
    Image.init()
    return tuple(name for name in IMAGE_FORMATS if name in Image.OPEN)


@cache
def image_suffixes() -> frozenset[str]:
    """The endings of these formats, lower case with their dot, as far as the installed Pillow reads them.

    >>> {".jpg", ".jpeg", ".png", ".tif", ".webp"} <= image_suffixes(), ".eps" in image_suffixes()
    (True, False)
    """
    readable = readable_formats()
    known = Image.registered_extensions()
    # Pillow knows no ending of its own for multi-picture JPEGs.
    return frozenset({".mpo", *(suffix for suffix, name in known.items() if name in readable)})
