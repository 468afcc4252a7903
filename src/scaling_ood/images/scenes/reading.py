"""Label images as they are: ids in a PNG, never resized, never converted."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scaling_ood.images.scenes.labels import RAW_IDS


class UnreadableLabelError(ValueError):
    """A file that is no complete label image."""


class LabelCount(NamedTuple):
    """What one label file holds.

    Attributes:
        digest: First 16 hexadecimal digits of the SHA-256 of the file's bytes; empty for a file that cannot be read.
        height: In pixels; 0 for a broken file.
        width: In pixels; 0 for a broken file.
        pixels: Of each raw id: (256,) int64.
        problem: Why it cannot be used; empty for a good file.
    """

    digest: str
    height: int
    width: int
    pixels: NDArray[np.int64]
    problem: str


def read_labels(path: str | Path) -> NDArray[np.uint8]:
    """Ids of a label image: (H, W) uint8, at the file's own size.

    Raises:
        UnreadableLabelError: Missing or truncated, no image, or one whose values are no 8-bit ids: only modes L
            (8-bit grey) and P (palette) are read. Names the file.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableLabelError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return np.asarray(_decode(content))
    except ValueError as error:
        raise UnreadableLabelError(f"{path}: {error}") from error


def count_labels(path: Path) -> LabelCount:
    """Pixels of each raw id; a broken file is reported, not raised. Decoding releases the interpreter lock."""
    nothing = np.zeros(RAW_IDS, np.int64)
    try:
        content = path.read_bytes()
    except OSError as error:
        return LabelCount("", 0, 0, nothing, f"cannot be read: {error.strerror}")
    digest = hashlib.sha256(content).hexdigest()[:16]
    try:
        image = _decode(content)
    except ValueError as error:
        return LabelCount(digest, 0, 0, nothing, str(error))
    return LabelCount(digest, image.height, image.width, np.asarray(image.histogram(), np.int64), "")


def _decode(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
        # Pillow stretches 2-bit and 4-bit grey to 0..255, which would change every id without a word.
        stored = str(image.tile[0][3]) if image.tile else image.mode
        image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow's message may end with the address of a buffer.
        raise ValueError(str(error).split("<", 1)[0].strip()) from error
    if image.mode not in ("L", "P") or stored.startswith("L;"):
        kind = f"stored as {stored}" if image.mode == "L" else f"of mode {image.mode}"
        raise ValueError(f"is {kind}, not a label image (8-bit grey, L, or palette, P)")
    return image
