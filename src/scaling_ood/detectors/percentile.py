"""An exact percentile of more numbers than fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

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
    upper = torch.zeros(_HALF, dtype=torch.int64)
    for values in passes():
        upper += torch.bincount((_keys(values) >> _BITS) + _MIDDLE, minlength=_HALF).cpu()
    total = int(upper.sum())
    if total == 0:
        raise ValueError("there is no percentile of no numbers")
    position = percent / 100 * (total - 1)
    ranks = torch.tensor([int(position), min(int(position) + 1, total - 1)])
    below = upper.cumsum(0)
    bins = torch.searchsorted(below, ranks, right=True)
    lower = torch.zeros(2, _HALF, dtype=torch.int64)
    for values in passes():
        keys = _keys(values)
        inside = keys >> _BITS
        for which, wanted in enumerate((bins - _MIDDLE).tolist()):
            lower[which] += torch.bincount(keys[inside == wanted] & (_HALF - 1), minlength=_HALF).cpu()
    rests = ranks - (below - upper)[bins]
    offsets = [int(torch.searchsorted(row.cumsum(0), rest, right=True)) for row, rest in zip(lower, rests, strict=True)]
    first, second = _values((bins - _MIDDLE) * _HALF + torch.tensor(offsets))
    return first + (position - int(position)) * (second - first)


def _keys(values: torch.Tensor) -> torch.Tensor:
    """32-bit integers in the order of the numbers: negative ones are stored as sign and magnitude."""
    bits = values.detach().float().contiguous().view(-1).view(torch.int32)
    return bits ^ ((bits >> 31) & _MAGNITUDE)


def _values(keys: torch.Tensor) -> list[float]:
    bits = keys.int()
    numbers: list[float] = (bits ^ ((bits >> 31) & _MAGNITUDE)).view(torch.float32).tolist()
    return numbers
