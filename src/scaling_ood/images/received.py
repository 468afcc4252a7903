"""Images that somebody sends, who may be anybody: small enough, of a format that is read, and never fetched."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scaling_ood.images.exif import Orientation
from scaling_ood.images.files import read_file
from scaling_ood.images.opening import MOST_PIXELS, RefusedImageError, as_rgb, open_content, to_rgb

_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_CHANNELS = 3
_BASE64_GROWTH = 4 / 3


@dataclass(frozen=True)
class Limits:
    """What is refused before it is decoded.

    Attributes:
        images: At a time.
        megabytes: Of one image's file.
        megapixels: Of one image; decoded, a million of them takes 4 MB.
        root: Folder below which paths may lie; empty where no path is read.
    """

    images: int = 64
    megabytes: float = 20
    megapixels: float = 40
    root: str = ""


def received_image(value: Any, limits: Limits, orientation: Orientation = "stored") -> Image.Image:
    """An image as RGB, from the bytes of its file, the same in Base64, or an array.

    Args:
        value: Bytes; Base64 as text; or integers in 0..255 of shape (H, W, 3) or (H, W), as an array or nested lists.
        limits: What is refused.
        orientation: Whether it is turned as EXIF says.

    Raises:
        RefusedImageError: It is something else, too large, broken, or of a format that is not read; says why.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return _from_content(bytes(value), limits, orientation)
    if isinstance(value, str):
        return _from_content(_from_base64(value, limits), limits, orientation)
    if isinstance(value, np.ndarray | list | tuple):
        return _from_array(value, limits)
    raise RefusedImageError(
        f"is {type(value).__name__}: an image is the bytes of its file, their Base64, or an array (H, W, 3) of 0..255"
    )


def image_at(path: Any, limits: Limits, orientation: Orientation = "stored") -> Image.Image:
    """An image as RGB, from a file below the allowed folder.

    Args:
        path: Relative to that folder, or absolute.
        limits: With the folder.
        orientation: Whether it is turned as EXIF says.

    Raises:
        RefusedImageError: No path is allowed, or this one is elsewhere, no plain file, or no image that is read.
    """
    if not limits.root:
        raise RefusedImageError("is a path, and no folder is allowed here from which files are read")
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise RefusedImageError("is no path")
    root = Path(limits.root).resolve()
    try:
        # Links are followed first: what counts is where the file is.
        place = (root / path).resolve(strict=True)
        if not place.is_relative_to(root):
            raise FileNotFoundError
        content = read_file(place)
    except (OSError, RuntimeError, ValueError):
        # Which files there are elsewhere is nobody's business.
        raise RefusedImageError("is no file below the allowed folder") from None
    return _from_content(content, limits, orientation)


def _most_bytes(limits: Limits) -> int:
    return int(limits.megabytes * 1e6)


def _from_base64(text: str, limits: Limits) -> bytes:
    if _ADDRESS.match(text[:40]):
        raise RefusedImageError("is an address: nothing is ever fetched; send the image itself, in Base64")
    if len(text) > _BASE64_GROWTH * _most_bytes(limits) + 4:
        raise RefusedImageError(f"has more than {limits.megabytes:g} MB")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedImageError("is text, but no Base64") from None


def _from_content(content: bytes, limits: Limits, orientation: Orientation) -> Image.Image:
    if not content:
        raise RefusedImageError("is empty")
    if len(content) > _most_bytes(limits):
        raise RefusedImageError(f"has more than {limits.megabytes:g} MB")
    try:
        return as_rgb(open_content(content, min(MOST_PIXELS, int(limits.megapixels * 1e6))), orientation)
    except RefusedImageError as error:
        raise RefusedImageError(f"is no image that is read ({error})") from error


def _from_array(value: np.ndarray | Sequence[Any], limits: Limits) -> Image.Image:
    wanted = "an array must have the shape (H, W, 3) or (H, W) and integers in 0..255"
    try:
        # Without a type at first, as numbers outside of 0..255 would wrap around.
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        raise RefusedImageError(f"is ragged; {wanted}") from None
    if array.dtype == object:  # rows that are arrays themselves
        try:
            array = np.array([np.stack(list(row)) for row in array])
        except (ValueError, TypeError):
            raise RefusedImageError(f"is ragged, or holds no numbers; {wanted}") from None
    grey, coloured = array.ndim == _CHANNELS - 1, array.ndim == _CHANNELS and array.shape[-1] == _CHANNELS
    if not (grey or coloured) or 0 in array.shape:
        raise RefusedImageError(f"has the shape {array.shape}; {wanted}")
    if array.dtype.kind not in "iu":
        raise RefusedImageError(f"has values of type {array.dtype}; {wanted}")
    if array.min() < 0 or array.max() > np.iinfo(np.uint8).max:
        raise RefusedImageError(f"has values from {array.min()} to {array.max()}; {wanted}")
    _refuse_pixels((array.shape[1], array.shape[0]), limits)
    return to_rgb(Image.fromarray(array.astype(np.uint8)))


def _refuse_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.megapixels * 1e6:
        raise RefusedImageError(f"has {width:,} x {height:,} pixels, more than {limits.megapixels:g} million")
