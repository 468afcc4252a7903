"""A threshold for a chosen rate of false alarms, from in-distribution scores alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

_COVERAGE = 0.95
_ROUNDING = 1e-9


class TooFewScoresError(ValueError):
    """So few scores that no threshold can promise the rate."""


class FalseAlarms(NamedTuple):
    """A threshold, and what it promises for new in-distribution images of the same kind."""

    threshold: float
    """What scores above it is called an anomaly."""
    images: int
    """How many scores it rests on."""
    low: float
    """Bounds that hold the rate of false alarms at this threshold with a chance of 95 %."""
    high: float


def false_alarm_threshold(score: ArrayLike, rate: float) -> FalseAlarms:
    """The threshold that at most that share of new in-distribution scores exceeds, on average over draws of these.

    Of n scores it is the k-th smallest, with k = (n + 1) (1 - rate) rounded up: a new score is equally likely to fall
    into each of the n + 1 gaps between them. The rate at this very threshold then follows a Beta distribution (n + 1 -
    k, k), whose middle 95 % are the bounds. Equal scores only lower it.

    Args:
        score: In-distribution scores that the detector did not learn from, any shape.
        rate: Wanted share of false alarms, in (0, 1).

    Raises:
        TooFewScoresError: There are fewer than 1 / rate - 1.
        ValueError: The rate is outside (0, 1), or a score is NaN.

    Examples:
        >>> found = false_alarm_threshold(range(1, 40), 0.05)
        >>> found.threshold, round(found.low, 3), round(found.high, 3)
        (38.0, 0.006, 0.135)

    Source:
        Papadopoulos et al., "Inductive Confidence Machines for Regression", ECML 2002 (split conformal prediction);
        Vovk, "Conditional validity of inductive conformal predictors", ACML 2012 (the distribution of the rate).
    """
    values = np.sort(np.ravel(np.asarray(score, dtype=np.float64)))
    if np.isnan(values).any():
        raise ValueError("a score is NaN, which has no rank")
    kept = kept_below(values.size, rate)
    return FalseAlarms(float(values[kept - 1]), values.size, *rate_bounds(values.size, kept))


def kept_below(n: int, rate: float) -> int:
    """How many of n scores the threshold keeps at or below it; see `false_alarm_threshold`.

    >>> kept_below(19, 0.05), kept_below(39, 0.05), kept_below(1000, 0.01)
    (19, 38, 991)
    """
    if not 0 < rate < 1:
        raise ValueError(f"the rate of false alarms must lie in (0, 1), got {rate}")
    kept = n + 1 - math.floor((n + 1) * rate + _ROUNDING)
    if kept > n:
        least = math.ceil(1 / rate - 1 - _ROUNDING)
        raise TooFewScoresError(
            f"a rate of {rate:.2%} false alarms takes at least {least:,} in-distribution scores, and there are {n:,}"
        )
    return kept


def rate_bounds(n: int, kept: int) -> tuple[float, float]:
    """Bounds of the rate of false alarms at the threshold, see `false_alarm_threshold`."""
    tails = np.array([(1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2])
    low, high = betaincinv(n + 1 - kept, kept, tails)
    return float(low), float(high)


class ScoreCounts:
    """Exact order statistics of more scores than memory holds, in single precision, in two passes.

    The first pass counts the upper 16 bits of each score, the second the lower 16 bits of those that share the upper
    ones of the wanted. Holds 1 MB.
    """

    def __init__(self) -> None:
        """Start the first pass."""
        self._upper = np.zeros(1 << 16, dtype=np.int64)
        self._lower = np.zeros(1 << 16, dtype=np.int64)

    def add(self, score: NDArray[np.floating]) -> None:
        """First pass: count some scores, any shape."""
        self._upper += np.bincount(_ordered(score) >> np.uint32(16), minlength=1 << 16)

    @property
    def total(self) -> int:
        """How many scores were counted."""
        return int(self._upper.sum())

    def refine(self, score: NDArray[np.floating], order: int) -> None:
        """Second pass: count the same scores more finely around the one of that order, counted from 1."""
        keys = _ordered(score)
        shared = keys[(keys >> np.uint32(16)) == self._shared(order)]
        self._lower += np.bincount(shared & np.uint32(0xFFFF), minlength=1 << 16)

    def at(self, order: int) -> float:
        """The score of that order, counted from 1 at the smallest.

        >>> counts, scores = ScoreCounts(), np.array([3.0, -1.5, 2.25, 2.25])
        >>> counts.add(scores)
        >>> counts.refine(scores, 2)
        >>> counts.at(2)
        2.25
        """
        upper = self._shared(order)
        before = int(self._upper[:upper].sum())
        lower = int(np.searchsorted(np.cumsum(self._lower), order - before))
        key = np.uint32((upper << 16) | lower)
        bits = key ^ np.uint32(0x80000000) if key & np.uint32(0x80000000) else ~key
        return float(np.array(bits, dtype=np.uint32).view(np.float32))

    def _shared(self, order: int) -> int:
        return int(np.searchsorted(np.cumsum(self._upper), order))


def _ordered(score: NDArray[np.floating]) -> NDArray[np.uint32]:
    """Integers in the order of the scores, of their bits in single precision.

    >>> _ordered(np.array([-np.inf, -2.0, 0.0, 1e-9, np.inf])).argsort().tolist()
    [0, 1, 2, 3, 4]
    """
    # Plus 0, as -0.0 would come before it.
    bits = (np.ravel(score).astype(np.float32) + np.float32(0)).view(np.uint32)
    negative = (bits & np.uint32(0x80000000)) != 0
    return np.where(negative, ~bits, bits | np.uint32(0x80000000))
