"""Is each listed image readable, and what exactly is in the file?"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from scaling_ood.images.containers import read_bytes


class Check(NamedTuple):
    """What one file turned out to be.

    Attributes:
        digest: First 16 hexadecimal digits of the SHA-256 of the file's bytes.
        problem: Why it cannot be used; empty for a good image.
    """

    digest: str
    problem: str


def check_image(path: Path) -> Check:
    """Decode the whole image once.

    JPEGs are decoded at an eighth of their size, which still reads every byte, so that a truncated file is found at a
    fraction of the cost.
    """
    try:
        content = read_bytes(str(path))
    except OSError as error:
        return Check("", f"cannot be read: {error.strerror or error}")
    fingerprint = hashlib.sha256(content).hexdigest()[:16]
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.draft("RGB", (1, 1))
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Check(fingerprint, str(error).split("<", 1)[0].strip())
    return Check(fingerprint, "")


def check_images(paths: Sequence[Path], workers: int) -> Iterator[Check]:
    """Check many files at once, in their order; decoding releases the interpreter, so threads serve."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        yield from pool.map(check_image, paths)
