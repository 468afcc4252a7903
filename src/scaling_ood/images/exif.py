"""EXIF's orientation: how a camera was held, which a photograph's pixels may not show."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from PIL import ExifTags, Image
from PIL.Image import Transpose

Orientation = Literal["stored", "upright"]
"""Pixels as they are stored, as the published preprocessing takes them, or turned as EXIF says."""

SIDEWAYS = 5
"""Orientations from here on swap width and height."""

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 2 to 8, of pixels that are to be turned; 1 for all others. Pillow turns TIFFs by itself."""
    return 1 if image.format == "TIFF" else _stated(image)


def turned_by_pillow(image: Image.Image) -> int:
    """The orientation, 2 to 8, of a TIFF that is turned when it is decoded, and not decoded yet; 1 for all others."""
    return _stated(image) if image.format == "TIFF" else 1


def _stated(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        # Broken EXIF is common in sound images, and Pillow's reader lets any error through.
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Pixels as they are to be looked at.

    >>> turned(Image.new("RGB", (4, 2)), 6).size
    (2, 4)
    """
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def oriented(manifest: pd.DataFrame) -> dict[str, int]:
    """Image set to the number of its images with an orientation other than 1; sets without any are left out."""
    counts = manifest[manifest["orientation"] > 1].groupby("image_set", sort=False).size()
    return {str(name): int(count) for name, count in counts.items()}


def oriented_in_words(counts: dict[str, int], orientation: Orientation) -> str:
    """What became of such images; `none` where there is none.

    >>> oriented_in_words({"test": 1200}, "stored")
    '1,200 of test: taken as stored, whatever EXIF says, as the published preprocessing does'
    """
    done = "turned as EXIF says"
    if orientation == "stored":
        done = "taken as stored, whatever EXIF says, as the published preprocessing does"
    named = ", ".join(f"{count:,} of {name}" for name, count in counts.items())
    return f"{named}: {done}" if named else "none"


def pixel_marks(manifest: pd.DataFrame, orientation: Orientation) -> list[str]:
    """By what an image's pixels differ from those that a plain reader takes from the same bytes: a part of keys.

    Empty for nearly all; so keys of ordinary photographs are what they were before anything was scaled or turned.
    """
    # A manifest of before there were these columns is one of ordinary photographs.
    bits = manifest.get("bits", pd.Series(8, manifest.index))
    turns = manifest.get("orientation", pd.Series(1, manifest.index))
    return [
        ("|16 bits" if depth == 16 else "") + (f"|turned {turn}" if turn > 1 and orientation == "upright" else "")  # noqa: PLR2004
        for depth, turn in zip(bits, turns, strict=True)
    ]
