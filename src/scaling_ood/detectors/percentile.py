"""An exact percentile of more numbers than fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

_BITS = 16
_HALF = 1 << _BITS
_MIDDLE = _HALF // 2
_MAGNITUDE = (1 << 31) - 1


def exact_percentile(passes: Callable[[], Iterable[torch.Tensor]], percent: float) -> float:
    """Percentile with linear interpolation, as numpy's, of single-precision numbers, in two passes and 1 MB.

    Numbers and their order are those of 32-bit integers: the first pass counts the upper halves, which says in which of
    65,536 bins the wanted ranks are, the second counts the lower halves in those bins.

    Args:
        passes: Gives the tensors, of any shape; is called twice. They are read as float32; there must be no NaN.
        percent: 0 to 100.

    Raises:
        ValueError: There are no numbers.

    >>> exact_percentile(lambda: [torch.tensor([4.0, 1.0]), torch.tensor([2.0])], 75)
    3.0
    """
    upper = sum((_counted((_keys(values) >> _BITS) + _MIDDLE) for values in passes()), np.zeros(_HALF, np.int64))
    total = int(upper.sum())
    if total == 0:
        raise ValueError("there is no percentile of no numbers")
    position = percent / 100 * (total - 1)
    ranks = np.array([int(position), min(int(position) + 1, total - 1)])
    below = upper.cumsum()
    bins = below.searchsorted(ranks, side="right")
    lower = {int(wanted): np.zeros(_HALF, np.int64) for wanted in bins - _MIDDLE}
    for values in passes():
        keys = _keys(values)
        inside = keys >> _BITS
        for wanted, counts in lower.items():
            lower[wanted] = counts + _counted(keys[inside == wanted] & (_HALF - 1))
    rests = ranks - (below - upper)[bins]
    found = [
        wanted * _HALF + int(lower[wanted].cumsum().searchsorted(rest, side="right"))
        for wanted, rest in zip((bins - _MIDDLE).tolist(), rests, strict=True)
    ]
    first, second = (_value(key) for key in found)
    return first + (position - int(position)) * (second - first)


def _counted(places: torch.Tensor) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = torch.bincount(places, minlength=_HALF).cpu().numpy()
    return counts


def _keys(values: torch.Tensor) -> torch.Tensor:
    """32-bit integers in the order of the numbers: negative ones are stored as sign and magnitude."""
    bits = values.detach().float().contiguous().view(-1).view(torch.int32)
    return bits ^ ((bits >> 31) & _MAGNITUDE)


def _value(key: int) -> float:
    bits = key if key >= 0 else key ^ _MAGNITUDE
    return float(np.array(bits, np.int32).view(np.float32))
