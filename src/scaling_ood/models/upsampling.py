"""Maps at another size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor

import torch
from torch.nn import functional


def upsample(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Maps at another size, bilinear with `align_corners=False`, as everywhere in the network.

    Args:
        maps: (N, C, h, w), logits for instance.
        size: Wanted (H, W).

    Returns:
        (N, C, H, W), in single precision at least.

    >>> upsample(torch.tensor([[[[0.0, 1.0]]]]), (1, 4)).flatten().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    return functional.interpolate(_single(maps), size=tuple(size), mode="bilinear", align_corners=False)


def rows_of(maps: torch.Tensor, size: Sequence[int]) -> Callable[[int, int], torch.Tensor]:
    """Some rows of the maps at another size at a time, so that a strip of them stays in a processor's cache.

    Bilinear interpolation is a product of one along the rows and one along the columns. The first is done for all of
    the few rows that there are; the second is a matrix product of a strip's weights with the rows that it lies between.
    What it gives differs from `upsample` by rounding alone, a few units in the last place of the largest neighbour. A
    GPU, which has no use for strips, and infinite maps, whose products with a weight of 0 are not defined, take
    `upsample` itself.

    Args:
        maps: (N, C, h, w).
        size: Wanted (H, W).

    Returns:
        A function of the first row and the one after the last, to (N, C, rows, W), in single precision at least.

    >>> rows_of(torch.tensor([[[[0.0], [1.0]]]]), (4, 1))(1, 3).flatten().tolist()
    [0.25, 0.75]
    """
    height, width = size
    if maps.device.type != "cpu" or not maps.sum(dtype=torch.float64).isfinite():
        whole = upsample(maps, size)
        return lambda first, last: whole[:, :, first:last]
    own = maps.shape[2]
    if own == height:
        wide = _widened(maps, width)
        return lambda first, last: wide[:, :, first:last]
    # From the last row to the first: the order in which `upsample` adds a pixel's two neighbours.
    wide = _widened(maps.flip(2), width)
    weights = upsample(torch.eye(own, dtype=wide.dtype)[None, None], (height, own))[0, 0].flip(1)  # (H, h)

    def rows(first: int, last: int) -> torch.Tensor:
        highest = min(own, ceil((last - 0.5) * own / height - 0.5) + 1)
        lowest = max(0, floor((first + 0.5) * own / height - 0.5))
        between = slice(own - highest, own - lowest)
        return weights[first:last, between] @ wide[:, :, between]

    return rows


def _widened(maps: torch.Tensor, width: int) -> torch.Tensor:
    """`upsample` to another width alone, bit by bit, of finite maps: it would interpolate between equal rows too."""
    maps = _single(maps)
    if maps.shape[3] == width:
        return maps
    wide = functional.interpolate(maps.flatten(1, 2), size=width, mode="linear", align_corners=False)
    return wide.reshape(*maps.shape[:3], width)


def _single(maps: torch.Tensor) -> torch.Tensor:
    """The same in single precision at least."""
    return maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps
