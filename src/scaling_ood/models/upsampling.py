"""Maps at another size."""

from __future__ import annotations

from collections.abc import Sequence

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
    maps = maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps
    return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
