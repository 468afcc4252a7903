"""Label images as they are: ids, never resized, never converted; turned only with the photograph."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile

from scaling_ood.images.exif import orientation_of
from scaling_ood.images.files import fingerprint, read_file
from scaling_ood.images.opening import JPEGS, is_deep_grey, load, open_content
from scaling_ood.images.recorded import RecordedFile, content_of
from scaling_ood.images.scenes.labels import RAW_IDS


class UnreadableLabelError(ValueError):
    """A file that is no complete label image."""


class LabelCount(NamedTuple):
    """What one label file holds.

    Attributes:
        digest: The fingerprint of the file's bytes; empty for a file that cannot be read.
        height: In pixels; 0 for a broken file.
        width: In pixels; 0 for a broken file.
        pixels: Of each raw id: (256,) int64.
        problem: Why it cannot be used; empty for a good file.
        orientation: EXIF's, 2 to 8, of a label image that claims to be stored turned; 1 for all others.
    """

    digest: str
    height: int
    width: int
    pixels: NDArray[np.int64]
    problem: str
    orientation: int = 1


def read_labels(file: str | Path | RecordedFile) -> NDArray[np.uint8]:
    """Ids of a label image: (H, W) uint8, at the file's own size.

    Raises:
        UnreadableLabelError: Missing or truncated, no image, or one whose values are no ids below 256: only grey of 8
            or 16 bits (L, I;16) and palettes (P) are read. Names the file.
        ChangedFileError: It is not what was recorded.
    """
    path = file.path if isinstance(file, RecordedFile) else str(file)
    try:
        return _ids(_decode(content_of(file) if isinstance(file, RecordedFile) else read_file(path)))
    except OSError as error:
        raise UnreadableLabelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UnreadableLabelError(f"{path}: {error}") from error


def count_labels(path: Path) -> LabelCount:
    """Pixels of each raw id; a broken file is reported, not raised. Decoding releases the interpreter lock."""
    nothing = np.zeros(RAW_IDS, np.int64)
    try:
        content = read_file(path)
    except OSError as error:
        return LabelCount("", 0, 0, nothing, f"cannot be read: {error.strerror or error}")
    digest = fingerprint(content)
    try:
        image = _decode(content)
        ids = _ids(image)
    except ValueError as error:
        return LabelCount(digest, 0, 0, nothing, str(error))
    pixels = np.bincount(ids.ravel(), minlength=RAW_IDS)
    return LabelCount(digest, image.height, image.width, pixels, "", orientation_of(image))


def _decode(content: bytes) -> ImageFile:
    try:
        image = open_content(content)
        # Pillow stretches 2-bit and 4-bit grey to 0..255 and may invert a TIFF, which would change every id.
        stored = str(image.tile[0][3]) if image.tile else image.mode
        load(image)
    except OSError as error:
        raise ValueError(str(error)) from error
    # A TIFF may hold a JPEG too.
    kind = "JPEG" if image.info.get("compression") == "jpeg" else image.format
    if kind in (*JPEGS, "JPEG2000"):
        raise ValueError(f"is a {kind} by its content, which keeps no ids")
    if (image.mode not in ("L", "P") or "L;" in stored) and not is_deep_grey(image):
        how = f"stored as {stored}" if image.mode == "L" else f"of mode {image.mode}"
        raise ValueError(
            f"is {how}, not a label image: store the id of each pixel as grey of 8 or 16 bits (L, I;16) or in a "
            "palette (P)"
        )
    return image


def _ids(image: ImageFile) -> NDArray[np.uint8]:
    values = np.asarray(image)
    if is_deep_grey(image) and values.max() >= RAW_IDS:
        raise ValueError(f"has ids up to {values.max():,} in 16 bits; label maps know 0..{RAW_IDS - 1}")
    return values.astype(np.uint8, copy=False)
