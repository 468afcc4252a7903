"""What a picture looks like, in 64 bits: copies that were scaled, compressed anew or slightly changed stay alike.

The difference hash (Krawetz 2013): grey, 9 x 8 pixels, a bit for each pixel that is darker than its right neighbour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LOOK_PX = 64
"""Side in pixels to which a picture may be reduced before it is looked at."""

DISTANCE = 3
"""Bits in which two pictures that look alike may differ. Of two others 32 differ by the mean."""

_CHUNKS = DISTANCE + 1
_CHUNK_BITS = 64 // _CHUNKS
_GREY = np.array([0.299, 0.587, 0.114])
_AT_A_TIME = 1 << 20
_COUNTS = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)


def look_of(image: Image.Image) -> str:
    """16 hexadecimal digits of an RGB image.

    >>> look_of(Image.merge("RGB", [Image.linear_gradient("L").rotate(90)] * 3))
    'ffffffffffffffff'
    """
    grey = np.asarray(image.resize((9, 8), Image.Resampling.LANCZOS)) @ _GREY  # (8, 9)
    return np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes().hex()


def looks_in_bits(looks: list[str]) -> NDArray[np.uint64]:
    """Their numbers."""
    return np.array([int(look, 16) for look in looks], np.uint64)


def is_flat(looks: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether hardly a bit is set, or hardly one is not: plain pictures all look alike, and are not compared."""
    bits = _bits(looks)
    return (bits <= DISTANCE) | (bits >= 64 - DISTANCE)


def nearest_alike(mine: NDArray[np.uint64], theirs: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each of mine (N,), the index of one of theirs (M,) within `DISTANCE` bits, or -1.

    Two hashes that differ in 3 bits agree in one quarter at least: only those that share a quarter are compared, a
    million at a time.
    """
    found = np.full(len(mine), -1)
    for chunk in range(_CHUNKS):
        shift = np.uint64(chunk * _CHUNK_BITS)
        mask = np.uint64((1 << _CHUNK_BITS) - 1)
        of_theirs = (theirs >> shift) & mask
        order = np.argsort(of_theirs, kind="stable")
        open_ = np.flatnonzero(found < 0)
        own = (mine[open_] >> shift) & mask
        first, last = (np.searchsorted(of_theirs[order], own, side) for side in ("left", "right"))
        counts = last - first
        # Blocks of at most so many comparisons, or of a single picture.
        blocks = np.flatnonzero(np.diff(np.cumsum(counts) // _AT_A_TIME, prepend=0))
        for part in np.split(np.arange(len(open_)), blocks):
            many = counts[part]
            here = np.repeat(part, many)
            place = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first[part], many)
            there = order[place]
            alike = _bits(mine[open_[here]] ^ theirs[there]) <= DISTANCE
            found[open_[here[alike]]] = there[alike]
    return found


def _bits(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    parts = np.ascontiguousarray(numbers).view(np.uint16).reshape(-1, 4)
    counts: NDArray[np.int64] = _COUNTS[parts].sum(axis=1, dtype=np.int64)
    return counts
