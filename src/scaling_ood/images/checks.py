"""Is each listed image readable, and what exactly is in the file?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from scaling_ood.images.containers import read_bytes
from scaling_ood.images.exif import orientation_of, turned_by_pillow
from scaling_ood.images.files import fingerprint
from scaling_ood.images.looks import LOOK_PX, look_of
from scaling_ood.images.opening import is_deep_grey, open_content, to_rgb

_AT_A_TIME = 16


class Check(NamedTuple):
    """What one file turned out to be.

    Attributes:
        digest: The fingerprint of the file's bytes; empty where there is no file to read.
        problem: Why it cannot be used; empty for a good image.
        size: Width and height as stored, in pixels; (0, 0) for a file that is no image.
        orientation: EXIF's, 2 to 8, of an image that is stored turned or mirrored; 1 for all others.
        bits: Of a grey level: 16 where it was scaled to 8.
        look: Its perceptual hash, see `looks`; empty where none was asked for.
        turned: The orientation of a TIFF, which Pillow turns by itself: `size` is what it has then. 1 for all others.
    """

    digest: str = ""
    problem: str = ""
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    bits: int = 8
    look: str = ""
    turned: int = 1


def check_image(path: str | Path, looks: bool = False) -> Check:
    """Decode the whole image once, and make it RGB as a network will see it.

    JPEGs are decoded at an eighth of their size, which still reads every byte, so that a truncated file is found at a
    fraction of the cost; where `looks` are asked for, not below the size that these need.
    """
    try:
        content = read_bytes(str(path))
    except OSError as error:
        return Check("", f"cannot be read: {error.strerror or error}")
    except ValueError as error:
        # A name that no file can have: from an annotation, say.
        return Check("", f"cannot be read: {error}")
    digest = fingerprint(content)
    try:
        image = open_content(content)
        size, turned = image.size, turned_by_pillow(image)
        image.draft("RGB", (LOOK_PX, LOOK_PX) if looks else (1, 1))
        seen = to_rgb(image)
        look = look_of(seen) if looks else ""
    except OSError as error:
        return Check(digest, str(error))
    return Check(digest, "", size, orientation_of(image), 16 if is_deep_grey(image) else 8, look, turned)


def check_images(paths: Sequence[str | Path], workers: int, looks: bool = False) -> Iterator[Check]:
    """Check many files at once, in their order; decoding releases the interpreter, so threads serve."""
    # A few at a time: to hand over each by itself costs an eighth of its check.
    some = [paths[start : start + _AT_A_TIME] for start in range(0, len(paths), _AT_A_TIME)]
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for checks in pool.map(lambda few: [check_image(path, looks) for path in few], some):
            yield from checks
